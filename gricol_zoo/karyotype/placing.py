"""The lines of a karyogram: which chromosomes are in which line, and how much room each takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gricol_zoo.karyotype.centromere import find_centromere
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.doubts import odd_counts
from gricol_zoo.karyotype.shapes import MARGIN

ROWS = (
    (("A", ("1", "2", "3")), ("B", ("4", "5"))),
    (("C", ("6", "7", "8", "9", "10", "11", "12")),),
    (("D", ("13", "14", "15")), ("E", ("16", "17", "18"))),
    (("F", ("19", "20")), ("G", ("21", "22")), ("sex", ("X", "Y"))),
)
"""Groups and their classes, row by row. By shape X belongs to group C and Y to G; they are placed apart, as in ISCN."""

WIDTH, SPACE = 44.0, 4.0  # least width of a chromosome's place; space between two
GAP, GROUP_GAP = 18.0, 48.0
PAGE = 800.0  # width: a row that needs more continues in the next line
MIN_HEIGHT = 36.0  # of a row; also of the box for an unreadable image


@dataclass(frozen=True)
class Extent:
    """How much room a chromosome takes, in units: its width, and what is above and below the line on which it is aligned."""

    width: float
    above: float
    below: float


@dataclass(frozen=True)
class Block:
    """Chromosomes of one class in one line, and the text below them; without a label they have no class."""

    group: str
    label: str
    items: Sequence[Chromosome]
    name: str


def extent_of(item: Chromosome, picture: np.ndarray | None, zoom: int) -> Extent:
    """Return the room for a chromosome: around its centromere if that is known, otherwise all of it above the line."""
    if picture is None:
        return Extent(WIDTH, MIN_HEIGHT, 0.0)
    height, width = picture.shape
    row = find_centromere(picture, item.assigned)
    above = height if row is None else row + 0.5
    return Extent(max(WIDTH, width / zoom + SPACE), above / zoom, (height - above) / zoom)


def rows_of(karyotype: Karyotype) -> list[list[Block]]:
    """Return the rows of the sheet, each with all of its classes; classes other than the 24 are in rows of their own."""
    odd = odd_counts(karyotype)
    rows = [[(group, label) for group, labels in row for label in labels if label in karyotype.labels] for row in ROWS]
    placed = {label for row in rows for _, label in row}
    rows.append([("", label) for label in karyotype.labels if label not in placed])
    members: dict[str, list[Chromosome]] = {label: [] for label in karyotype.labels}
    for item in karyotype.chromosomes:
        if item.assigned:
            members[item.assigned].append(item)
    blocks = []
    for row in filter(None, rows):
        names = [f"{label} ({len(members[label])})" if label in odd and label not in "XY" else label for _, label in row]
        blocks.append([Block(*place, members[place[1]], name) for place, name in zip(row, names, strict=True)])
    return blocks


def broken(row: Sequence[Block], extents: Mapping[int, Extent]) -> list[list[Block]]:
    """Return a row as lines that fit the page, broken between classes, or within a class that is wider than the page."""
    lines: list[list[Block]] = [[]]
    x = float(MARGIN)
    for block in [piece for whole in row for piece in _pieces(whole, extents)]:
        gap = 0.0 if not lines[-1] else GAP if lines[-1][-1].group == block.group else GROUP_GAP
        if lines[-1] and x + gap + width_of_block(block, extents) > PAGE - MARGIN:
            lines.append([])
            x, gap = float(MARGIN), 0.0
        lines[-1].append(block)
        x += gap + width_of_block(block, extents)
    return lines


def _pieces(block: Block, extents: Mapping[int, Extent]) -> Iterator[Block]:
    """Yield a class as blocks no wider than the page; each has its name."""
    start, x = 0, 0.0
    for index, item in enumerate(block.items):
        width = extents[item.id].width
        if index > start and x + width > PAGE - 2 * MARGIN:
            yield Block(block.group, block.label, block.items[start:index], block.name)
            start, x = index, 0.0
        x += width
    yield Block(block.group, block.label, block.items[start:], block.name)


def width_of_block(block: Block, extents: Mapping[int, Extent]) -> float:
    """Return the width of a class's place: at least that of two chromosomes."""
    taken = sum(extents[item.id].width for item in block.items)
    return taken + WIDTH * max(0, 2 - len(block.items)) if block.label else max(taken, 1.0)
