"""A report as one HTML file, which prints on A4."""

from __future__ import annotations

from collections.abc import Mapping

from gricol_zoo.files import data_url
from gricol_zoo.karyotype.case.content import Block, Grid, Heading, Karyogram, Paragraph, Report
from gricol_zoo.karyotype.case.page import text, to_page
from gricol_zoo.karyotype.case.thumbnails import open_karyogram, to_small_png

WIDTH = 1600  # pixels of a karyogram


def report_html(report: Report, pictures: Mapping[str, bytes]) -> str:
    """Return a report as a page.

    Args:
        report: report of a case.
        pictures: PNGs of karyograms by cell; a missing one is named as such.

    Raises:
        GricolZooError: a karyogram that is not a PNG.
    """
    blocks = "\n".join(_block(block, pictures) for block in report.blocks)
    return to_page(report.title, f"<h1>{text(report.title)}</h1>\n{blocks}\n<footer>{text(report.footer)}</footer>")


def _block(block: Block, pictures: Mapping[str, bytes]) -> str:
    if isinstance(block, Heading):
        return f"<h2>{text(block.words)}</h2>"
    if isinstance(block, Paragraph):
        return f'<p class="strong">{text(block.words)}</p>' if block.strong else f"<p>{text(block.words)}</p>"
    if isinstance(block, Grid):
        return _table(block)
    return _figure(block, pictures.get(block.cell, b""))


def _table(grid: Grid) -> str:
    columns = "".join(f'<col style="width:{share:.0%}">' for share in grid.shares)
    head = "".join(f"<th>{text(name)}</th>" for name in grid.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{text(value)}</td>' for value in row)}</tr>" for row in grid.rows)
    above = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table><colgroup>{columns}</colgroup>{above}<tbody>{rows}</tbody></table>"


def _figure(block: Karyogram, data: bytes) -> str:
    caption = text(block.caption)
    if not data:
        return f"<figure><figcaption>{caption}: there is no picture of it.</figcaption></figure>"
    picture = data_url(to_small_png(open_karyogram(data, block.cell), WIDTH), "image/png")
    return f'<figure><img src="{picture}" alt="karyogram, {caption}"><figcaption>{caption}</figcaption></figure>'
