"""``cells.csv``: one row per cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gricol_zoo.data.rows import to_csv
from gricol_zoo.files import write_atomically
from gricol_zoo.karyotype.case.summary import Case, Failed, cases_of
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Karyotype

CELLS = ["case", "cell", "draft", "images", "unassigned", "unreadable", "doubtful", "scale", "warnings", "checked"]
LATER = ["edits", "clone", "unclear"]
"""Columns that were added later; then one per class, ``count_1``, ``count_2``, ..."""
FAILED = "failed: "  # beginning of the warning of a cell without a karyotype
CELLS_FILE = "cells.csv"


def cell_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return one row per cell: its draft, what a person should look at, its clone and its chromosome counts.

    ``clone`` is the cell's clone in the proposal, ``unclear`` the reason why the cell was not used for it. A cell that failed
    has only the reason, as its warning.
    """
    rows: list[dict[str, Any]] = []
    for case in cases:
        unclear = dict(case.proposal.unclear)
        rows += [_row(case, cell, unclear.get(cell.cell, "")) for cell in case.cells]
        rows += [{"case": one.case, "cell": one.cell, "warnings": f"{FAILED}{one.why}"} for one in case.failed]
    return rows


def _row(case: Case, cell: Karyotype, unclear: str) -> dict[str, Any]:
    return {
        "case": cell.case,
        "cell": cell.cell,
        "draft": cell.draft,
        "images": len(cell.chromosomes),
        "unassigned": sum(not one.assigned and not one.error for one in cell.chromosomes),
        "unreadable": sum(bool(one.error) for one in cell.chromosomes),
        "doubtful": len(cell.doubtful()),
        "scale": f"{cell.scale:g}",
        "warnings": "; ".join(cell.warnings),
        "checked": checked_by(cell),
        "edits": len(cell.edits),
        "clone": case.clone_of(cell.cell),
        "unclear": unclear,
        **{f"count_{label}": number for label, number in cell.counts().items()},
    }


def columns_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the columns of a table of cells: the fixed ones, and one for each class of any cell."""
    return list(dict.fromkeys([*CELLS, *LATER, *(name for row in rows for name in row)]))


def cells_csv(cells: Iterable[Karyotype], failed: Iterable[Failed] = ()) -> str:
    """Return the table of cells as CSV; text that a spreadsheet would take for a formula is guarded."""
    rows = cell_rows(cases_of(cells, failed))
    return to_csv(rows, columns_of(rows))


def write_cells(cells: Iterable[Karyotype], file: Path, failed: Iterable[Failed] = ()) -> None:
    """Write the table of cells; errors as for ``write_atomically``."""
    write_atomically(file, cells_csv(cells, failed).encode())
