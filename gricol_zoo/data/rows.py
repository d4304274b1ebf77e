"""Convert rows of a table to CSV and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gricol_zoo.files import escaped, guard, read_table


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Return rows as CSV: the named columns, or each that any row has, in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row)) if columns is None else columns
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(guarded, rows))
    return stream.getvalue()


def guarded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with text escaped for a CSV; ``read_csv`` restores the original."""
    return {column: guard(escaped(value)) if isinstance(value, str) else value for column, value in row.items()}


def read_csv(file: Path) -> list[dict[str, str]]:
    """Read a CSV: one mapping of column to text per row.

    Raises:
        GricolZooError: the file is not a table (``gricol_zoo.files.read_table``).
        OSError: the file cannot be read.
    """
    return [row.values for row in read_table(file.read_bytes(), str(file)).rows]
