"""The layout of a karyogram: a list of simple shapes, in units that ``draw`` turns into PNG or SVG.

ISCN order, Denver groups in rows, homologues side by side with their centromeres on one line; after the sex chromosomes those
without a class, such as markers; below them the list of what a person should look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from gricol_zoo.karyotype.captions import SURE_FROM, closing, heading, legend, review_list
from gricol_zoo.karyotype.document import DOUBTFUL, Chromosome, Karyotype
from gricol_zoo.karyotype.doubts import percent
from gricol_zoo.karyotype.placing import (
    GAP,
    GROUP_GAP,
    MIN_HEIGHT,
    Block,
    Extent,
    broken,
    extent_of,
    rows_of,
    width_of_block,
)
from gricol_zoo.karyotype.shapes import (
    BLACK,
    DOUBTFUL_COLOUR,
    EDITED,
    FAIR,
    GREY,
    MARGIN,
    PALE,
    SURE,
    Bar,
    Picture,
    Sheet,
    Text,
    width_of,
)

__all__ = ["Bar", "Picture", "Sheet", "Text", "colour_of", "lay_out", "percent"]

NAMED, BELOW = 50.0, 82.0  # height of the bars and names below a row; distance from the row's foot to the next row
LOOSE = "unassigned, markers or unreadable"


def colour_of(item: Chromosome) -> str:
    """Return the colour that shows how sure a chromosome's class is, or that a person gave it."""
    if item.edited:
        return EDITED
    if not item.assigned or item.confidence < DOUBTFUL:
        return DOUBTFUL_COLOUR
    return SURE if item.confidence >= SURE_FROM else FAIR


def lay_out(
    karyotype: Karyotype, pictures: Mapping[int, np.ndarray], zoom: int = 2, bare: bool = False, checked: str = ""
) -> Sheet:
    """Lay out a cell's karyogram.

    Args:
        karyotype: the karyotype to draw.
        pictures: pictures of its chromosomes, ``zoom`` pixels per unit, by id.
        zoom: zoom of the pictures.
        bare: without title, list and note, for a page that shows these itself.
        checked: who checked the cell, and when; "" leaves a line for a signature.
    """
    sheet = Sheet()
    y = legend(sheet, 16) if bare else heading(sheet, karyotype, checked)
    extents = {item.id: extent_of(item, pictures.get(item.id), zoom) for item in karyotype.chromosomes}
    for row in rows_of(karyotype):
        for line in broken(row, extents):
            y = _line(sheet, y, line, extents, pictures)
    loose = [item for item in karyotype.chromosomes if not item.assigned]
    if loose:
        for line in broken([Block("", "", loose, LOOSE)], extents):
            y = _line(sheet, y, line, extents, pictures)
    if not bare:
        y = closing(sheet, review_list(sheet, y, karyotype))
    sheet.width, sheet.height = max(_ends(sheet)) + MARGIN, y
    return sheet


def _ends(sheet: Sheet) -> Iterator[float]:
    """Yield the right end of each shape."""
    yield 720.0 - MARGIN
    yield from (left + width for left, _, width, _ in sheet.boxes.values())
    for shape in sheet.shapes:
        if isinstance(shape, Text):
            yield shape.x + width_of(shape.words, shape.size) * {"start": 1.0, "middle": 0.5, "end": 0.0}[shape.anchor]
        elif isinstance(shape, Bar):
            yield shape.x + shape.width


def _line(
    sheet: Sheet, y: float, blocks: Sequence[Block], extents: Mapping[int, Extent], pictures: Mapping[int, np.ndarray]
) -> float:
    """Draw one line of classes from y down; return where it ends."""
    inside = [extents[item.id] for block in blocks for item in block.items]
    above = max([one.above for one in inside], default=0.0)
    base = y + max(MIN_HEIGHT, above + max([one.below for one in inside], default=0.0))
    level = base - max([one.below for one in inside], default=0.0)
    x = float(MARGIN)
    for group, members in groupby(blocks, lambda block: block.group):
        start = x
        for block in members:
            _class(sheet, x, level, base, block, extents, pictures)
            width = width_of_block(block, extents)
            if block.label:
                sheet.places.setdefault(block.label, (x, y, width, base + NAMED - y))
            x += width + GAP
        if group:
            sheet.shapes.append(Text((start + x - GAP) / 2, base + 60, group, 12, "middle", GREY))
        x += GROUP_GAP - GAP
    return base + BELOW


def _class(
    sheet: Sheet,
    x: float,
    level: float,
    base: float,
    block: Block,
    extents: Mapping[int, Extent],
    pictures: Mapping[int, np.ndarray],
) -> None:
    """Draw the chromosomes of a class from x to the right.

    Args:
        sheet: to draw on.
        x: left end of the class.
        level: y of the centromeres, or of the lower end of a chromosome without one.
        base: y below all of the line's chromosomes.
        block: the class.
        extents: extents of its chromosomes, by id.
        pictures: pictures of its chromosomes, by id.
    """
    width = width_of_block(block, extents)
    if any(extents[item.id].below for item in block.items):
        sheet.shapes.append(Bar(x, level - 0.25, width, 0.5, fill=PALE))
    left = x
    for item in block.items:
        _chromosome(sheet, left, level, base, item, extents[item.id], pictures.get(item.id))
        left += extents[item.id].width
    if block.label:
        sheet.shapes.append(Bar(x + 4, base + 26, width - 8, 1, fill=BLACK))
        sheet.shapes.append(Text(x + width / 2, base + 43, block.name, 15, "middle"))
    else:
        sheet.shapes.append(Text(x, base + 43, block.name, 12, colour=GREY))


def _chromosome(
    sheet: Sheet, left: float, level: float, base: float, item: Chromosome, extent: Extent, picture: np.ndarray | None
) -> None:
    middle, foot = left + extent.width / 2, level + extent.below
    if picture is not None:
        sheet.shapes.append(Picture(middle, foot, picture, item.id))
    else:
        sheet.shapes += [
            Bar(left + 8, foot - MIN_HEIGHT, extent.width - 16, MIN_HEIGHT, outline=GREY),
            Text(middle, foot - 12, "?", 18, "middle", GREY),
        ]
    sheet.shapes.append(Bar(left + 6, base + 5, extent.width - 12, 5, fill=colour_of(item)))
    if item.doubtful or not item.assigned:  # the list below refers to it by this number
        sheet.shapes.append(Text(middle, base + 21, f"no. {item.id}", 10, "middle", GREY))
    sheet.boxes[item.id] = (left, level - extent.above, extent.width, base - level + extent.above + 14)
    if extent.below:
        sheet.centromeres[item.id] = level
