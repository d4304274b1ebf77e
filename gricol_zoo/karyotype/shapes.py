"""The elements of a karyogram: texts, bars and pictures on a sheet, in units that ``draw`` turns into PNG or SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from unicodedata import east_asian_width

import numpy as np

BLACK, GREY, PALE = "#000000", "#777777", "#dddddd"
SURE, FAIR, DOUBTFUL_COLOUR, EDITED = "#2166ac", "#f4a582", "#b2182b", "#762a83"
MARGIN, LINE = 24, 19  # around everything; from one line of text to the next
LETTER, WIDE = 0.62, 1.05  # upper bound of the mean width of a letter, and of a wide (Chinese) one, in font sizes


@dataclass(frozen=True)
class Text:
    """A text at a point; ``anchor`` says whether the point is its start, middle or end."""

    x: float
    y: float
    words: str
    size: int = 14
    anchor: str = "start"
    colour: str = BLACK


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
    """A grey image; the point is the middle of its lower edge, and ``id`` is the chromosome's."""

    x: float
    y: float
    pixels: np.ndarray
    id: int


@dataclass
class Sheet:
    """A karyogram.

    Attributes:
        width, height: of the sheet.
        shapes: in the order of drawing.
        boxes: (x, y, width, height) of each chromosome by id, its colour bar included.
        centromeres: y of the centromere of each chromosome that is aligned by it, by id.
        places: (x, y, width, height) of each class, with its chromosomes and its name, where a page accepts drops; for a class
            of several lines, the first line.
    """

    width: float = 0
    height: float = 0
    shapes: list[Text | Bar | Picture] = field(default_factory=list)
    boxes: dict[int, tuple[float, float, float, float]] = field(default_factory=dict)
    centromeres: dict[int, float] = field(default_factory=dict)
    places: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def at(self, x: float, y: float) -> int | None:
        """Return the id of the chromosome at a point, None if there is none."""
        for id, (left, top, width, height) in self.boxes.items():
            if left <= x < left + width and top <= y < top + height:
                return id
        return None


def width_of(words: str, size: int) -> float:
    """Return an upper bound of the width of a text, in any font."""
    return size * sum(WIDE if east_asian_width(letter) in "WF" else LETTER for letter in words)


def shortened(words: str, size: int, width: float) -> str:
    """Return a text that fits a width, with an ellipsis if it had to be cut."""
    if width_of(words, size) <= width:
        return words
    while words and width_of(words + "…", size) > width:
        words = words[:-1]
    return words.rstrip() + "…"
