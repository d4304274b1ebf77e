"""All cells of an upload together: an overview to choose from, and the files of the case to download."""

from __future__ import annotations

from collections.abc import Mapping

from gricol_zoo.data.store import DOCUMENT, PICTURE
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import data_url
from gricol_zoo.karyotype.case.batch import can_pdf, case_files, cell_files, to_zip
from gricol_zoo.karyotype.case.content import RESEARCH
from gricol_zoo.karyotype.case.overview import WIDTH, state_of
from gricol_zoo.karyotype.case.summary import Case, cases_of, in_a_line
from gricol_zoo.karyotype.case.thumbnails import to_small_png
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.draw import to_image
from gricol_zoo.serve.cell import ZOOM, Cell
from gricol_zoo.serve.markup import text
from gricol_zoo.serve.saving import KINDS, Download, document_of, sheet_of
from gricol_zoo.serve.session import Session


def overview(session: Session) -> str:
    """Return every classified cell as a button that shows it: a small karyogram, the draft, what still needs checking."""
    named = {id(cell.karyotype): (name, cell) for name, cell in session.cells.items()}
    parts = []
    for case in cases_of((cell.karyotype for cell in session.cells.values()), session.failed):
        buttons = [_button(case, *named[id(one)]) for one in case.cells]
        failed = [f'<p class="bad">{text(one.cell)}: {text(one.why)}</p>' for one in case.failed]
        parts.append(f"<h4>{text(case.name or 'No case named')}: {text(in_a_line(case))}. {RESEARCH}.</h4>")
        parts.append(f'<div class="cells">{"".join(buttons)}</div>{"".join(failed)}')
    return f'<div class="overview scroll">{"".join(parts)}</div>'


def _button(case: Case, name: str, cell: Cell) -> str:
    one = cell.karyotype
    small = to_small_png(to_image(sheet_of(cell), ZOOM), WIDTH)
    state, unclear = state_of(case, one)
    lines = [f"<b>{text(one.cell)}</b> {text(one.draft)}", f"<i>{text(state)}</i>"]
    lines += [f"<em>{text(unclear)}</em>"] * bool(unclear)
    return f'<button data-open="{text(name)}"><img src="{data_url(small, "image/png")}" alt="">{"<br>".join(lines)}</button>'


def report_of_case(session: Session) -> Download:
    """Return a zip of the files of ``gricol-zoo report``, and each cell's files; cells are classified first if needed.

    Raises:
        GricolZooError: nothing was dropped, no cell can be classified, or a report is too long.
    """
    session.classify_all()
    if not session.cells:
        raise GricolZooError(f"No cell could be classified. The first one: {session.failed[0].why}")
    files = {id(cell.karyotype): _files(cell) for cell in session.cells.values()}

    def files_of(one: Karyotype) -> Mapping[str, bytes]:
        return files[id(one)]

    cells = [cell.karyotype for cell in session.cells.values()]
    members = [*case_files(cells, session.failed, files_of, pdf=can_pdf()), *cell_files(cells, files_of)]
    return Download("report.zip", "application/zip", to_zip(members))


def _files(cell: Cell) -> dict[str, bytes]:
    return {f"{PICTURE}.png": KINDS["PNG"][1](cell), DOCUMENT: document_of(cell)}
