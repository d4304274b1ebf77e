"""A report as a PDF on A4, by matplotlib's PDF writer (extra ``viz``)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import escaped
from gricol_zoo.karyotype.case.content import Block, Grid, Heading, Karyogram, Paragraph, Report
from gricol_zoo.karyotype.case.sheet import BODY, HEAD, HIGHEST, TITLE, Sheets
from gricol_zoo.karyotype.case.thumbnails import open_karyogram, shrink

LOOK = {
    "text.usetex": False,  # TeX would execute commands in a name
    "font.family": ["DejaVu Sans"],  # which comes with matplotlib
    "text.color": "black",
    "figure.facecolor": "white",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "savefig.bbox": None,  # the whole page
    "savefig.facecolor": "auto",
    "pdf.compression": 6,
}
"""Settings that a user's matplotlibrc must not change; its other settings do no harm."""
MAX_BYTES = 5 * 2**20  # bytes of a report
WIDTHS = (1600, 1000, 600)  # pixels of a karyogram, tried in this order until the file is small enough


def report_pdf(report: Report, pictures: Mapping[str, bytes]) -> bytes:
    """Return a report as a PDF of at most 5 MB.

    Args:
        report: report of a case.
        pictures: PNGs of karyograms by cell; a missing one is named as such.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        GricolZooError: a karyogram that is not a PNG, or a report too long for 5 MB.
    """
    import matplotlib  # noqa: F401

    for width in WIDTHS:
        data = _write(report, pictures, width)
        if len(data) <= MAX_BYTES:
            return data
    raise GricolZooError(f"Expected a report of at most 5 MB, but got {len(data) / 2**20:.1f} MB. Report fewer cells at once.")


def _write(report: Report, pictures: Mapping[str, bytes], width: int) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    stream = io.BytesIO()
    look: Any = LOOK  # matplotlib's stubs type its settings as literals
    with rc_context(look), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sheets = Sheets(report.footer)
        sheets.text(report.title, TITLE, bold=True)
        for block, after in zip_longest(report.blocks, report.blocks[1:]):
            if isinstance(block, Heading):
                sheets.keep(HIGHEST + 3 * HEAD if isinstance(after, Karyogram) else 80)
            _block(sheets, block, pictures, width)
        pages = sheets.finish()
        with PdfPages(stream, metadata={"Title": escaped(report.title), "Creator": "gricol_zoo"}) as pdf:
            for page in pages:
                pdf.savefig(page)
    return stream.getvalue()


def _block(sheets: Sheets, block: Block, pictures: Mapping[str, bytes], width: int) -> None:
    if isinstance(block, Heading):
        sheets.skip(10)
        sheets.text(block.words, HEAD, bold=True)
    elif isinstance(block, Paragraph):
        sheets.text(block.words, BODY, bold=block.strong)
        sheets.skip(3)
    elif isinstance(block, Grid):
        _grid(sheets, block)
    else:
        _karyogram(sheets, block, pictures.get(block.cell, b""), width)


def _grid(sheets: Sheets, grid: Grid) -> None:
    if grid.columns:
        sheets.keep(40)
        sheets.row(grid.columns, grid.shares, bold=True)
    for row in grid.rows:
        sheets.row(row, grid.shares)
    sheets.skip(6)


def _karyogram(sheets: Sheets, block: Karyogram, data: bytes, width: int) -> None:
    if not data:
        sheets.text(f"{block.caption}: there is no picture of it.", BODY)
        return
    sheets.picture(shrink(open_karyogram(data, block.cell), width), block.caption)
