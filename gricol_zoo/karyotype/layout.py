"""Where everything of a karyogram goes: a list of simple shapes, in units that ``draw`` turns into PNG or SVG.

ISCN order, Denver groups in rows, homologues side by side, the doubtful listed below with the least sure first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

import numpy as np

from gricol_zoo.karyotype.document import DOUBTFUL, Chromosome, Karyotype
from gricol_zoo.karyotype.draft import NOTE
from gricol_zoo.karyotype.pictures import WIDTH

ROWS = (
    (("A", ("1", "2", "3")), ("B", ("4", "5"))),
    (("C", ("6", "7", "8", "9", "10", "11", "12")),),
    (("D", ("13", "14", "15")), ("E", ("16", "17", "18"))),
    (("F", ("19", "20")), ("G", ("21", "22")), ("sex", ("X", "Y"))),
)
"""Groups and their classes, row by row. X belongs to group C and Y to G by shape; they stand apart, as ISCN has it."""

SURE, FAIR, DOUBTFUL_COLOUR, EDITED, GREY = "#2166ac", "#f4a582", "#b2182b", "#762a83", "#777777"
SURE_FROM = 0.99
MARGIN, GAP, GROUP_GAP, LINE = 24, 18, 48, 19
LEAST_HEIGHT = 36.0  # of a row; also of the box that stands for an unreadable image
MOST_LISTED = 12
LETTERS = 100  # of a line of a warning


@dataclass(frozen=True)
class Text:
    """Words at a point; ``anchor`` is start, middle or end of them."""

    x: float
    y: float
    words: str
    size: int = 14
    anchor: str = "start"
    colour: str = "#000000"


@dataclass(frozen=True)
class Bar:
    """A filled or outlined box."""

    x: float
    y: float
    width: float
    height: float
    fill: str = ""
    outline: str = ""


@dataclass(frozen=True)
class Picture:
    """A grey image whose middle of the lower edge is at a point; ``id`` is the chromosome's."""

    x: float
    y: float
    pixels: np.ndarray
    id: int


@dataclass
class Sheet:
    """A karyogram: shapes in the order of drawing, its size, and the box of each chromosome as (x, y, width, height).

    ``places`` has the box of each class, its chromosomes and its name, where a page lets things be dropped.
    """

    width: float = 0
    height: float = 0
    shapes: list[Text | Bar | Picture] = field(default_factory=list)
    boxes: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    places: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def at(self, x: float, y: float) -> int | None:
        """Return the id of the chromosome at a point, None where there is none."""
        for id, (left, top, width, height) in self.boxes.items():
            if left <= x < left + width and top <= y < top + height:
                return id
        return None


def colour_of(item: Chromosome) -> str:
    """Return the colour that tells how sure a chromosome's class is, or that a person gave it."""
    if item.edited:
        return EDITED
    if not item.assigned or item.confidence < DOUBTFUL:
        return DOUBTFUL_COLOUR
    return SURE if item.confidence >= SURE_FROM else FAIR


def lay_out(karyotype: Karyotype, pictures: Mapping[int, np.ndarray], zoom: int = 2, bare: bool = False) -> Sheet:
    """Lay out a cell's karyogram.

    Args:
        karyotype: what is drawn.
        pictures: of its chromosomes, ``zoom`` pixels a unit, by id.
        zoom: of the pictures.
        bare: without title, list and note, for a page that says these itself.
    """
    sheet = Sheet()
    y = _legend(sheet, 16) if bare else _heading(sheet, karyotype)
    members: dict[str, list[Chromosome]] = {}
    for item in karyotype.chromosomes:
        members.setdefault(item.assigned, []).append(item)
    rows = [row for row in (_known(row, karyotype) for row in ROWS) if row]
    placed = {label for row in rows for _, labels in row for label in labels}
    others = tuple(label for label in karyotype.labels if label not in placed)
    if others:  # a model of other classes than the 24
        rows.append([("", others)])
    for row in rows:
        inside = [item for _, labels in row for label in labels for item in members.get(label, [])]
        base, x, top = y + _tallest(inside, pictures, zoom), float(MARGIN), y
        for group, labels in row:
            x = _group(sheet, x, base, group, [(label, members.get(label, [])) for label in labels], pictures, zoom)
            x += GROUP_GAP
        for label in (label for _, labels in row for label in labels):
            left, _, width, _ = sheet.places[label]
            sheet.places[label] = (left, top, width, base + 50 - top)
        y = base + 82
    if members.get(""):
        y = _loose(sheet, y, members[""], pictures, zoom)
    if not bare:
        y = _list(sheet, y, karyotype)
        sheet.shapes.append(Text(MARGIN, y + 4, NOTE, 12, colour=GREY))
    sheet.width = max([720.0, *(left + width + MARGIN for left, _, width, _ in sheet.boxes.values())])
    sheet.height = y if bare else y + 24
    return sheet


def _known(row: tuple[tuple[str, tuple[str, ...]], ...], karyotype: Karyotype) -> list[tuple[str, tuple[str, ...]]]:
    groups = [(group, tuple(label for label in labels if label in karyotype.labels)) for group, labels in row]
    return [(group, labels) for group, labels in groups if labels]


def _tallest(items: Sequence[Chromosome], pictures: Mapping[int, np.ndarray], zoom: int) -> float:
    return max([LEAST_HEIGHT, *(len(pictures[item.id]) / zoom for item in items if item.id in pictures)])


def _heading(sheet: Sheet, karyotype: Karyotype) -> float:
    sheet.shapes.append(Text(MARGIN, 34, f"{karyotype.draft}   (draft)", 24))
    count = len(karyotype.chromosomes)
    counted = f"{karyotype.cell} · {count} image{'' if count == 1 else 's'} · {karyotype.model.get('name', '')}"
    sheet.shapes.append(Text(MARGIN, 58, counted, 14, colour=GREY))
    y = 79.0
    for warning in warned(karyotype):
        sheet.shapes.append(Text(MARGIN, y, warning, 13, colour=DOUBTFUL_COLOUR))
        y += LINE
    return _legend(sheet, y)


def warned(karyotype: Karyotype) -> list[str]:
    """Return the warnings of a cell as lines that fit the sheet."""
    return [line for warning in karyotype.warnings for line in wrap(f"Warning: {warning}", LETTERS)]


def _legend(sheet: Sheet, y: float) -> float:
    """Say what the colours mean, on the baseline y; return where the legend ends."""
    x = float(MARGIN)
    for colour, words in (
        (SURE, f"sure (from {SURE_FROM:.0%})"),
        (FAIR, f"from {DOUBTFUL:.0%}"),
        (DOUBTFUL_COLOUR, "doubtful"),
        (EDITED, "edited by hand"),
    ):
        sheet.shapes += [Bar(x, y - 8, 18, 6, fill=colour), Text(x + 24, y, words, 12, colour=GREY)]
        x += 46 + 6.4 * len(words)
    return y + 17


def _group(
    sheet: Sheet,
    x: float,
    base: float,
    group: str,
    classes: list[tuple[str, list[Chromosome]]],
    pictures: Mapping[int, np.ndarray],
    zoom: int,
) -> float:
    """Draw one group from x to the right; return where it ends."""
    start = x
    for label, items in classes:
        places = max(2, len(items))
        for place, item in enumerate(items):
            _chromosome(sheet, x + place * WIDTH, base, item, pictures, zoom)
        foot = base + 26
        width = places * WIDTH
        sheet.places[label] = (x, base, width, 50)
        sheet.shapes.append(Bar(x + 4, foot, width - 8, 1, fill="#000000"))
        wanting = "" if len(items) == 2 or label in ("X", "Y") else f" ({len(items)})"
        sheet.shapes.append(Text(x + width / 2, foot + 17, label + wanting, 15, "middle"))
        x += width + GAP
    end = x - GAP
    sheet.shapes.append(Text((start + end) / 2, base + 60, group, 12, "middle", GREY))
    return end


def _chromosome(
    sheet: Sheet, left: float, base: float, item: Chromosome, pictures: Mapping[int, np.ndarray], zoom: int
) -> None:
    middle, height = left + WIDTH / 2, _tallest([item], pictures, zoom)
    if item.id in pictures:
        sheet.shapes.append(Picture(middle, base, pictures[item.id], item.id))
    else:
        sheet.shapes += [
            Bar(left + 8, base - LEAST_HEIGHT, WIDTH - 16, LEAST_HEIGHT, outline=GREY),
            Text(middle, base - 12, "?", 18, "middle", GREY),
        ]
    sheet.shapes.append(Bar(left + 6, base + 5, WIDTH - 12, 5, fill=colour_of(item)))
    if item.doubtful or not item.assigned:  # the list below calls it by this number
        sheet.shapes.append(Text(middle, base + 21, f"no. {item.id}", 10, "middle", GREY))
    sheet.boxes[item.id] = (left, base - height, WIDTH, height + 14)


def _loose(sheet: Sheet, y: float, items: list[Chromosome], pictures: Mapping[int, np.ndarray], zoom: int) -> float:
    """Draw what has no class in rows; return where they end."""
    across = 16
    for start in range(0, len(items), across):
        row = items[start : start + across]
        base = y + _tallest(row, pictures, zoom)
        for place, item in enumerate(row):
            _chromosome(sheet, MARGIN + place * WIDTH, base, item, pictures, zoom)
        y = base + 42
    sheet.shapes.append(Text(MARGIN, y, "unassigned or unreadable", 12, colour=GREY))
    return y + 30


def _list(sheet: Sheet, y: float, karyotype: Karyotype) -> float:
    """Write the doubtful, least sure first, what could not be read, and warnings; return where the list ends."""
    doubtful = karyotype.doubtful()
    unread = [item for item in karyotype.chromosomes if item.error]
    lines = [describe_doubt(item) for item in doubtful[:MOST_LISTED]]
    if len(doubtful) > MOST_LISTED:
        lines.append(f"and {len(doubtful) - MOST_LISTED} more, in karyotype.json")
    lines += [f"no. {item.id}: {item.error}" for item in unread[:MOST_LISTED]]
    if len(unread) > MOST_LISTED:
        lines.append(f"and {len(unread) - MOST_LISTED} more that could not be read")
    warnings = [f"no. {item.id}: {warning}" for item in karyotype.chromosomes for warning in item.warnings]
    warnings = [warning for warning in warnings if warning not in karyotype.warnings]  # which stand above
    lines += [line for warning in warnings[:MOST_LISTED] for line in wrap(warning, LETTERS)]
    if len(warnings) > MOST_LISTED:
        lines.append(f"and {len(warnings) - MOST_LISTED} more warnings, in karyotype.json")
    title = "To review, least certain first" if lines else "Nothing doubtful"
    sheet.shapes.append(Text(MARGIN, y + 6, title, 15))
    y += 10
    for line in lines:
        y += LINE
        sheet.shapes.append(Text(MARGIN, y + 4, line, 13))
    return y + LINE + 8


def describe_doubt(item: Chromosome) -> str:
    """Return one line that says what speaks for a chromosome's class, and for which other."""
    others = sorted(item.probabilities.items(), key=lambda pair: -pair[1])
    seen = ", ".join(f"{label} {percent(value)}" for label, value in others[:3] if value >= 0.005)
    where = f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"
    return f"no. {item.id}: {where}; on its own {seen}"


def percent(value: float) -> str:
    """Return a share as whole percents, and never as 100: no network is that sure.

    >>> percent(0.873), percent(0.9996)
    ('87%', 'over 99%')
    """
    return f"{value:.0%}" if value < 0.995 else "over 99%"
