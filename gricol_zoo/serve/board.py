"""The interactive karyogram: what can be clicked, dragged and dropped on in it, and the buttons around it."""

from __future__ import annotations

from gricol_zoo.files import data_url
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draw import to_svg
from gricol_zoo.karyotype.layout import Sheet, lay_out, percent
from gricol_zoo.serve.cell import ZOOM, Cell
from gricol_zoo.serve.markup import text
from gricol_zoo.serve.saving import KINDS, Download
from gricol_zoo.serve.session import Session

LOOSE = 30  # height of the empty place for unassigned chromosomes, in units
TOOLS = (
    ("confirm", "Confirm", "Enter"),
    ("turn", "Turn over", "F"),
    ("swap", "Swap", "S"),
    ("next", "Next doubtful", "N"),
    ("undo", "Undo", "Ctrl+Z"),
    ("redo", "Redo", "Ctrl+Shift+Z"),
)
"""The buttons above the karyogram: the message that each sends, its label, and the equivalent key."""


def karyogram(cell: Cell, selected: int | None) -> str:
    """Return the karyogram as SVG, each chromosome a button that carries its number as ``data-id``, in the order of the sheet.

    Beneath the buttons each class has a place to drop chromosomes on, and so have the unassigned ones.
    """
    one = cell.karyotype
    sheet = lay_out(one, cell.pictures, ZOOM, bare=True)
    places = {**sheet.places, "": _loose(one, sheet)}
    drawing = to_svg(sheet, ZOOM).removesuffix("</svg>\n")
    below = [_place(label, box) for label, box in places.items()]
    buttons = [_button(item, sheet.boxes[item.id], item.id == selected) for item in in_order(one, sheet)]
    chosen = "" if selected is None else str(selected)
    known = f'data-labels="{text("|".join(one.labels))}" data-selected="{chosen}"'
    return (
        f'<div class="board" data-cell="{text(one.cell)} {text(one.time)}" {known}>'
        f'<div class="scroll karyogram">{drawing}{"".join(below)}{"".join(buttons)}</svg></div></div>'
    )


def in_order(karyotype: Karyotype, sheet: Sheet) -> list[Chromosome]:
    """Return the chromosomes in reading order: class by class, from left to right, those without a class at the end."""
    order = {label: place for place, label in enumerate([*karyotype.labels, ""])}

    def key(item: Chromosome) -> tuple[float, ...]:
        x, y, _, height = sheet.boxes[item.id]
        return order[item.assigned], 0 if item.assigned else y + height, x

    return sorted(karyotype.chromosomes, key=key)


def _loose(karyotype: Karyotype, sheet: Sheet) -> tuple[float, float, float, float]:
    """Return the box of the unassigned chromosomes; if there are none, the sheet gets a strip for them."""
    tops = [sheet.boxes[item.id][1] for item in karyotype.chromosomes if not item.assigned]
    if tops:
        return (0.0, min(tops) - 6, sheet.width, sheet.height - min(tops) + 6)
    sheet.height += LOOSE
    return (0.0, sheet.height - LOOSE, sheet.width, LOOSE)


def _place(label: str, box: tuple[float, float, float, float]) -> str:
    x, y, width, height = box
    words = text(f"class {label}" if label else "unassigned: drop chromosomes without a class here")
    hint = (
        f'<text x="{x + 24:g}" y="{y + height / 2 + 4:g}" class="loose">{words}</text>' if not label and height == LOOSE else ""
    )
    where = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"'
    return f'{hint}<rect class="place" data-label="{text(label)}" {where}/>'


def _button(item: Chromosome, box: tuple[float, float, float, float], chosen: bool) -> str:
    x, y, width, height = box
    place = f'x="{x - 1:g}" y="{y - 5:g}" width="{width + 2:g}" height="{height + 7:g}" rx="5"'
    label, names = text(_title(item)), "hit" + " chosen" * chosen
    tick = ""
    if item.settled and not item.error:
        tick = f'<text class="tick" x="{x + width - 9:g}" y="{y + height + 1:g}">\N{CHECK MARK}</text>'
    return (
        f'<rect class="{names}" data-id="{item.id}" data-label="{text(item.assigned)}" {place} tabindex="0" role="button" '
        f'aria-label="{label}"><title>{label}</title></rect>{tick}'
    )


def _title(item: Chromosome) -> str:
    if item.error:
        return f"no. {item.id}: could not be read: {item.error}"
    where = f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"
    if item.edited or item.settled:
        where = f"{item.assigned or 'unassigned'}, {'by hand' if item.edited else 'confirmed'}"
    return f"no. {item.id}: {where}"


def tools(session: Session) -> str:
    """Return the buttons above the karyogram, and data for the page: its version, and whether there is unsaved work."""
    cell = session.cells.get(session.cell)
    unsaved = any(one.unsaved for one in session.cells.values())
    state = f'data-version="{session.version}" data-unsaved="{int(unsaved)}"'
    if cell is None:
        return f'<div class="tools" {state}></div>'
    word = "Save \u2022" if unsaved else "Save"
    save = f'<button data-do="save" class="save" title="Ctrl+S">{word}<kbd>Ctrl+S</kbd></button>'
    if session.upload is not None and len(session.upload.cells) > 1 and not session.together:
        save = f'<button data-do="cells" title="all cells of this upload, together">All cells</button>{save}'
    if session.together:
        return f'<div class="tools" {state}>{save}</div><p id="typed" role="status"></p>'
    off = {"undo": " disabled" * (not cell.review.done), "redo": " disabled" * (not cell.review.undone)}
    buttons = [
        f'<button data-do="{does}" title="{text(key)}"{off.get(does, "")}>{words}<kbd>{text(key)}</kbd></button>'
        for does, words, key in TOOLS
    ]
    zooms = [
        f'<button data-zoom="{how}" title="{text(title)}">{words}</button>'
        for how, words, title in (("-", "\u2212", "smaller (-)"), ("0", "fit", "all of the sheet"), ("+", "+", "larger (+)"))
    ]
    return (
        f'<div class="tools" {state}>{"".join(buttons)}<span class="zooms">{"".join(zooms)}</span>{save}</div>'
        '<p id="typed" role="status"></p>'
    )


def check_button(session: Session) -> str:
    """Return the button that checks the current cell, what still prevents that, and the files to download."""
    karyotype = session.karyotype
    report = '<button data-do="report" title="table, overview and report of all cells, as a zip">report</button>'
    if karyotype is None:
        return f'<div class="downloads"><span>Files</span>{report}</div>' if session.together else ""
    saves = "".join(f'<button data-save="{kind}">{kind}</button>' for kind in KINDS) + report
    files = f'<div class="downloads"><span>Files</span>{saves}</div>'
    by = checked_by(karyotype)
    if by:
        return f'<p class="checked" id="checked">Checked: {text(by)}</p>{files}'
    left = len(karyotype.doubtful())
    words = f"{left} still in doubt" if left else "nothing is in doubt"
    sign, off = ", and sign it" if session.key else "", " disabled" * bool(left)
    return (
        f'<button class="check" data-do="check" title="{words} (Ctrl+Enter)"{off}>Check this cell{sign}</button>'
        f'<p class="hint">{words}</p>{files}'
    )


def file_link(file: Download) -> str:
    """Return a link that contains a file, so the server writes nothing to disk. The page follows it at once."""
    return f'<a download="{text(file.name)}" href="{data_url(file.data, file.kind)}">{text(file.name)}</a>'
