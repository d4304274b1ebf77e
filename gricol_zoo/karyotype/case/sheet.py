"""A4 pages that text, tables and pictures flow onto, as matplotlib figures. All measures are points, 1/72 inch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gricol_zoo.files import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

WIDTH, HEIGHT, MARGIN = 595.3, 841.9, 48.0
FOOT = 40.0  # height of the area for the footer only
TITLE, HEAD, BODY, SMALL = 16.0, 11.5, 9.0, 7.5
LEADING = 1.35  # distance from one line to the next, in font sizes
GAP = 6.0  # between columns
HIGHEST = 330.0  # of a picture, so that two of them fit on one page
MAX_LINES = 12  # of a table cell; a name may have any length


class Sheets:
    """Pages that are filled from the top; a new one begins if the next item does not fit.

    Args:
        footer: text at the foot of each page, before its number.
    """

    def __init__(self, footer: str) -> None:
        self._footer = footer
        self._pages: list[Figure] = []
        self._y = 0.0  # of the next line's top, from the foot of the page
        self._new()

    def finish(self) -> list[Figure]:
        """Return the pages, with their numbers."""
        for number, page in enumerate(self._pages, start=1):
            end = f"page {number} of {len(self._pages)}"
            room = WIDTH - 2 * MARGIN - width_of(end, SMALL, False) - GAP
            self._put(page, MARGIN, FOOT - 14, wrap(self._footer, room, SMALL, False)[0], SMALL)
            self._put(page, WIDTH - MARGIN, FOOT - 14, end, SMALL, align="right")
        return self._pages

    def keep(self, height: float) -> None:
        """Begin a new page if less than ``height`` is left on this one."""
        if self._y - height < FOOT:
            self._new()

    def skip(self, height: float) -> None:
        """Leave room."""
        self._y -= height

    def text(self, words: str, size: float, bold: bool = False) -> None:
        """Write a paragraph over the whole width."""
        for line in wrap(words, WIDTH - 2 * MARGIN, size, bold):
            self.keep(size * LEADING)
            self._put(self._pages[-1], MARGIN, self._y - size, line, size, bold)
            self._y -= size * LEADING

    def row(self, values: Sequence[str], shares: Sequence[float], bold: bool = False) -> None:
        """Write a row of a table, with a line below it.

        Args:
            values: one per column.
            shares: fraction of the width, one per column.
            bold: for the header.
        """
        widths = [(WIDTH - 2 * MARGIN) * share for share in shares]
        columns = [wrap(value, width - GAP, BODY, bold)[:MAX_LINES] for value, width in zip(values, widths, strict=True)]
        height = max(map(len, columns)) * BODY * LEADING + 3
        self.keep(height)
        for lines, left in zip(columns, np.cumsum([MARGIN, *widths[:-1]]), strict=True):
            for number, line in enumerate(lines):
                self._put(self._pages[-1], left, self._y - BODY - number * BODY * LEADING, line, BODY, bold)
        self._y -= height
        self._rule(self._y)
        self._y -= 2

    def picture(self, image: Image.Image, caption: str) -> None:
        """Place a picture over the whole width, or less if it would be too high, with a caption below."""
        lines = wrap(caption, WIDTH - 2 * MARGIN, SMALL, False)
        below = len(lines) * SMALL * LEADING + 8
        width = min(WIDTH - 2 * MARGIN, HIGHEST * image.width / image.height)
        height = width * image.height / image.width
        self.keep(height + below)
        box = (MARGIN / WIDTH, (self._y - height) / HEIGHT, width / WIDTH, height / HEIGHT)
        axes = self._pages[-1].add_axes(box)
        axes.imshow(np.asarray(image), interpolation="none", aspect="auto")
        axes.set_axis_off()
        self._y -= height + 2
        for line in lines:
            self.text(line, SMALL)
        self._y -= 6

    def _new(self) -> None:
        from matplotlib.figure import Figure

        self._pages.append(Figure(figsize=(WIDTH / 72, HEIGHT / 72)))
        self._y = HEIGHT - MARGIN

    def _put(self, page: Figure, x: float, y: float, words: str, size: float, bold: bool = False, align: str = "left") -> None:
        # parse_math: a name with two dollar signs is not a formula.
        weight = "bold" if bold else "normal"
        page.text(x / WIDTH, y / HEIGHT, words, size=size, weight=weight, ha=align, va="baseline", parse_math=False)

    def _rule(self, y: float) -> None:
        from matplotlib.lines import Line2D

        ends = [MARGIN / WIDTH, 1 - MARGIN / WIDTH]
        self._pages[-1].add_artist(Line2D(ends, [y / HEIGHT] * 2, color="#bbbbbb", linewidth=0.4))


def wrap(words: str, width: float, size: float, bold: bool) -> list[str]:
    """Return text as lines that fit a width, broken between words, and within a word that is too long for a line."""
    lines, line = [], ""
    for word in drawable(words).split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer, size, bold) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        while width_of(word, size, bold) > width and len(word) > 1:
            fits = _most_that_fits(word, width, size, bold)
            lines.append(word[:fits])
            word = word[fits:]
        line = word
    return [*lines, line]


def _most_that_fits(word: str, width: float, size: float, bold: bool) -> int:
    """Return how many letters of a word fit a width, at least one."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(word[:middle], size, bold) <= width else (low, middle - 1)
    return low


@lru_cache(maxsize=20_000)
def width_of(words: str, size: float, bold: bool) -> float:
    """Return the width of a line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(words, font, False)[0]) if words else 0.0


def drawable(words: str) -> str:
    r"""Return text that the font can draw: control characters, and characters that it lacks, are escaped (\u65e5)."""
    known = _letters()
    return "".join(one if ord(one) in known else one.encode("unicode_escape").decode() for one in escaped(words))


@cache
def _letters() -> frozenset[int]:
    """Return the code points that the font has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
