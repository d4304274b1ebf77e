"""All files of one or several cases, for a folder or a zip: table, overview, a report per case, and the cells' own files."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from gricol_zoo.data.store import PICTURE
from gricol_zoo.karyotype.case.content import chosen, report_of
from gricol_zoo.karyotype.case.overview import overview_html
from gricol_zoo.karyotype.case.report_html import report_html
from gricol_zoo.karyotype.case.report_pdf import report_pdf
from gricol_zoo.karyotype.case.summary import Case, Failed, cases_of
from gricol_zoo.karyotype.case.table import CELLS_FILE, cells_csv
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.output import folder_names

OVERVIEW_FILE, REPORT = "overview.html", "report"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip; the same files give the same zip
FilesOf = Callable[[Karyotype], Mapping[str, bytes]]
"""Function that returns the files of a cell by their names, ``gricol_zoo.karyotype.output.FILES``."""


def can_pdf() -> bool:
    """Return whether reports can be written as PDF: matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def case_files(
    cells: Sequence[Karyotype], failed: Sequence[Failed], files_of: FilesOf, time: str = "", pdf: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of cases, as (name, content): cells.csv, overview.html, and a report per case.

    Args:
        cells: cells of the cases.
        failed: cells without a karyotype.
        files_of: function that returns the files of a cell.
        time: time of the reports (default: now).
        pdf: write the reports as PDF too.

    Raises:
        GricolZooError: a karyogram that is not a PNG, or a report too long for a PDF of 5 MB.
        ModuleNotFoundError: matplotlib is not installed, and a PDF was requested.
    """

    def drawn(cell: Karyotype) -> bytes:
        return files_of(cell).get(f"{PICTURE}.png", b"")

    cases = cases_of(cells, failed)
    yield CELLS_FILE, cells_csv(cells, failed).encode()
    yield OVERVIEW_FILE, overview_html(cases, drawn).encode()
    for case, name in zip(cases, report_names(cases), strict=True):
        report = report_of(case, time)
        pictures = {cell.cell: drawn(cell) for cell in chosen(case)}
        yield f"{name}.html", report_html(report, pictures).encode()
        if pdf:
            yield f"{name}.pdf", report_pdf(report, pictures)


def report_names(cases: Sequence[Case]) -> list[str]:
    """Return the names of the cases' reports, without suffix: "report", with the case's name if there are several."""
    return (
        [REPORT] if len(cases) == 1 else [f"{REPORT}_{name}" for name in folder_names(case.name or "no case" for case in cases)]
    )


def cell_files(cells: Sequence[Karyotype], files_of: FilesOf) -> Iterator[tuple[str, bytes]]:
    """Yield the files of each cell, as (name, content), in a folder with the cell's name."""
    for cell, folder in zip(cells, folder_names(cell.cell for cell in cells), strict=True):
        for name, data in files_of(cell).items():
            yield f"{folder}/{name}", data


def to_zip(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return files as a zip, for one download."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()
