"""Read Parquet one row group at a time, and write predictions batch by batch: CSV, or Parquet with typed numbers."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gricol_zoo.data.rows import guarded
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.predict import COLUMNS

PARQUET = ".parquet"
Write = Callable[[Sequence[dict[str, Any]]], None]
"""Writes typed rows that have the columns ``COLUMNS``."""


@contextlib.contextmanager
def open_table(file: Path) -> Iterator[Write]:
    """Open a file for writing rows: Parquet if its suffix is .parquet, else CSV as `predict` writes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with (_parquet if file.suffix.lower() == PARQUET else _csv)(file) as write:
        yield write


@contextlib.contextmanager
def _csv(file: Path) -> Iterator[Write]:
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        yield lambda rows: writer.writerows(guarded(as_text(row)) for row in rows)


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """Return a typed row as `predict` writes it: four decimals for a probability, an empty cell for None."""
    return {name: "" if value is None else f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()}


@contextlib.contextmanager
def _parquet(file: Path) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    kinds = {"probability": pa.float32(), "second_probability": pa.float32(), "review": pa.int8(), "turned": pa.int8()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    with ParquetWriter(file, schema) as writer:
        yield lambda rows: writer.write_table(
            pa.Table.from_pylist([{name: row[name] for name in COLUMNS} for row in rows], schema)
        )


def row_groups(files: Sequence[Path], image: str) -> list[Any]:
    """Return the row groups of Parquet files, or of folders of them, as one-row tables with the columns table and group.

    Args:
        files: Parquet files, or folders that hold some.
        image: the column that each file must have.

    Raises:
        GricolZooError: a file cannot be read or lacks the column, or there are no rows.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    whole = [part for file in files for part in (sorted(file.glob(f"*{PARQUET}")) if file.is_dir() else [file])]
    found = []
    for file in whole:
        try:
            table = ParquetFile(file)
        except (OSError, pa.ArrowException) as error:
            raise GricolZooError(f"{file} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
        names = table.schema_arrow.names
        if image not in names:
            raise GricolZooError(f"Expected {file} to have a column {image!r} of images, but it has {', '.join(names)}.")
        place = str(file.absolute())
        found += [pa.table({"table": [place], "group": [number]}) for number in range(table.num_row_groups)]
    if not found:
        raise GricolZooError(f"{', '.join(map(str, files))} has no rows.")
    return found


class RowGroups:
    """Reads row groups and runs ``work`` on them in batches.

    Args:
        work: takes a batch of a file's columns.
        size: rows per batch.
    """

    def __init__(self, work: Callable[[Mapping[str, Any]], Any], size: int) -> None:
        self.work, self.size = work, size

    def __call__(self, batch: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the results of the row groups that a batch names."""
        from pyarrow.parquet import ParquetFile

        for file, group in zip(batch["table"], batch["group"], strict=True):
            for rows in ParquetFile(file).iter_batches(self.size, row_groups=[int(group)]):
                yield self.work(rows.to_pydict())
