"""Rows of a table to CSV and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gricol_zoo.files import escaped


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Return rows as CSV: the named columns, or each that any row has, in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row)) if columns is None else columns
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(plain, rows))
    return stream.getvalue()


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without control characters: a CSV is read in terminals and spreadsheets."""
    return {column: escaped(value) if isinstance(value, str) else value for column, value in row.items()}


def read_csv(file: Path) -> list[dict[str, str]]:
    """Read a CSV: one mapping of column to text a row.

    Raises:
        OSError: it cannot be read.
    """
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
