"""All cells of one or several cases at a glance: a small picture of each karyogram, in one HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gricol_zoo.files import data_url
from gricol_zoo.karyotype.case.content import RESEARCH
from gricol_zoo.karyotype.case.page import text, to_page
from gricol_zoo.karyotype.case.summary import Case, in_a_line
from gricol_zoo.karyotype.case.thumbnails import open_karyogram, to_small_png
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Karyotype

WIDTH = 420  # pixels of a thumbnail
MAX_THUMBNAILS = 3_500_000  # most bytes of thumbnails in a page
Drawn = Callable[[Karyotype], bytes]
"""Function that returns the karyogram of a cell as PNG, b"" if there is none."""


def overview_html(cases: Sequence[Case], drawn: Drawn, title: str = "Overview") -> str:
    """Return an HTML page with all cells: picture, draft, what still needs checking.

    Args:
        cases: cases with their cells.
        drawn: function that returns a cell's karyogram.
        title: title of the page.

    Raises:
        GricolZooError: a karyogram that is not a PNG.
    """
    parts, room = [f"<h1>{text(title)}</h1>", f'<p class="strong loud">{RESEARCH}.</p>'], MAX_THUMBNAILS
    for case in cases:
        items = []
        for cell in case.cells:
            data = drawn(cell) if room > 0 else b""
            small = to_small_png(open_karyogram(data, cell.cell), WIDTH) if data else b""
            room -= len(small) * 4 // 3
            items.append(_cell(case, cell, small if room >= 0 else b""))
        items += [
            f'<li><b>{text(one.cell)}</b><br><span class="loud">failed: {text(one.why)}</span></li>' for one in case.failed
        ]
        parts += [f"<h2>{text(case.name or 'No case named')}</h2>", f'<p class="strong">{text(in_a_line(case))}</p>']
        parts.append(f'<ul class="cells">{"".join(items)}</ul>')
    if room < 0:
        parts.append('<p class="soft">Only the first cells have a picture, so that the page stays small.</p>')
    return to_page(title, "\n".join(parts))


def _cell(case: Case, cell: Karyotype, picture: bytes) -> str:
    image = (
        f'<img src="{data_url(picture, "image/png")}" alt="karyogram of {text(cell.cell)}" loading="lazy">' if picture else ""
    )
    state, unclear = state_of(case, cell)
    lines = [f"<b>{text(cell.cell)}</b>", text(cell.draft), f'<span class="soft">{text(state)}</span>']
    lines += [f'<span class="loud">{text(unclear)}</span>'] * bool(unclear)
    return f"<li>{image}{'<br>'.join(lines)}</li>"


def state_of(case: Case, cell: Karyotype) -> tuple[str, str]:
    """Return what in a cell still needs checking, and why the proposal does not use it ("" if it does)."""
    doubtful, checked = len(cell.doubtful()), checked_by(cell)
    state = f"{doubtful or 'none'} in doubt; {f'checked: {checked}' if checked else 'not checked'}"
    return state, dict(case.proposal.unclear).get(cell.cell, "")
