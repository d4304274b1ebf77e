"""The conditions of the robustness benchmark by name: what other cameras, files and handling do to crops and to whole cells.

Each takes (H, W) uint8 pixels and a generator, and returns a file's bytes; the same generator gives the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmarks.released.robustness_pixels import (
    Pixels,
    any_turn,
    as_it_is,
    blurred,
    coarse,
    colour,
    deep,
    exposed,
    framed,
    gamma,
    grey_ground,
    ground_of,
    half_turn,
    inverted,
    jpeg,
    levels,
    margin,
    mirrored,
    noisy,
    of_height,
    pale,
    png,
    quarter_turn,
    scaled,
    sharpened,
    specks,
    tight,
    transparent,
    turned,
    uneven,
    widened,
    with_neighbour,
)
from gricol_zoo.data.outliers import OUTLIERS

Change = Callable[[Pixels, np.random.Generator], bytes]
Cell = Sequence[tuple[Pixels, str]]
"""The crops of a cell with their classes."""

Files = list[tuple[bytes, str]]
"""The files of a cell with their classes, "" for one that is odd: it shows anything but one chromosome of the cell."""

UNTOUCHED = "untouched"
TURNS: dict[str, Callable[[np.random.Generator], float]] = {
    "turned by 180": half_turn,
    "turned by 90": quarter_turn,
    "turned by any angle": any_turn,
}
"""What draws the angle of a turn, in degrees counter-clockwise; it is the first draw from the generator."""

IMAGES: dict[str, Change] = {
    UNTOUCHED: as_it_is,
    **{f"scale {factor:g}": partial(scaled, factor) for factor in (0.5, 0.67, 0.8, 1.25, 1.5, 2, 3)},
    "all of one height": partial(of_height, 100),
    **{f"pixels {factor:g} wide": partial(widened, factor) for factor in (1.1, 1.25)},
    **{name: partial(turned, turn) for name, turn in TURNS.items()},
    "mirrored": mirrored,
    "inverted": inverted,
    "slightly grey ground": partial(grey_ground, 200, 25),
    "grey ground": partial(grey_ground, 117, 60),
    "transparent ground": transparent,
    "12-bit TIFF": partial(deep, 12, 1.0),
    "16-bit TIFF": partial(deep, 16, 1.0),
    "14-bit TIFF, low exposure": partial(deep, 14, 0.35),
    "14-bit TIFF, a tenth exposed": partial(deep, 14, 0.1),
    "RGB": partial(colour, "RGB"),
    "RGBA, opaque": partial(colour, "RGBA"),
    "palette": partial(colour, "P"),
    **{f"JPEG quality {quality}": partial(jpeg, quality) for quality in (30, 10)},
    "16 greys": partial(levels, 16),
    "half the contrast": partial(pale, 0.5),
    "a quarter of the contrast": partial(pale, 0.25),
    **{f"gamma {exponent}": partial(gamma, exponent) for exponent in (0.5, 0.7, 1.5, 2.0)},
    "overexposed by 1.4": partial(exposed, 1.4),
    **{f"noise {deviation}": partial(noisy, deviation) for deviation in (2, 5, 10)},
    **{f"blur {deviation} px": partial(blurred, deviation) for deviation in (1, 2, 3)},
    "half the resolution": partial(coarse, 0.5),
    "sharpened": partial(sharpened, 150),
    **{f"uneven ground {rise:.0%}": partial(uneven, rise) for rise in (0.05, 0.1, 0.2)},
    "margin +30 px": partial(margin, 30),
    "margin -2 px": partial(tight, 2),
    "black frame": partial(framed, 0),
    "white frame": partial(framed, 255),
    "specks": partial(specks, 6),
    "many specks": partial(specks, 20),
}
"""Changes of every image of a cell."""

NEIGHBOURS: dict[str, Callable[[Pixels, Pixels, np.random.Generator], bytes]] = {
    "a neighbour's end 6 px away": partial(with_neighbour, 6),
    "a neighbour's end 2 px away": partial(with_neighbour, 2),
    "a neighbour's end touches": partial(with_neighbour, -2),
}
"""Changes of every image of a cell that use another image of the same cell."""


def as_files(cell: Cell) -> Files:
    """Return the files of a cell as it is."""
    return [(png(crop), label) for crop, label in cell]


def missing(cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell without ten of its chromosomes."""
    lost = set(rng.choice(len(cell), min(10, len(cell) - 1), replace=False).tolist())
    return as_files([item for i, item in enumerate(cell) if i not in lost])


def foreign(cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell with three chromosomes of another one."""
    return as_files([*cell, *(other[i] for i in rng.choice(len(other), min(3, len(other)), replace=False))])


def heap(cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell with all chromosomes of another one."""
    return as_files([*cell, *other])


def with_odd(kind: str, cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell with one chromosome replaced by one of ``OUTLIERS``; two side by side take the place of both."""
    i, j = rng.choice(len(cell), 2, replace=False).tolist()
    one, two = (cell[k][0].astype(np.float32) / 255 for k in (i, j))
    odd = OUTLIERS[kind](one, two, rng)
    files = as_files(cell)
    files[i] = (png(255 * odd), "")
    return [file for k, file in enumerate(files) if k != j] if kind == "two chromosomes" else files


def in_one_crop(count: int, cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell with ``count`` of its chromosomes in one crop, side by side with a gap."""
    chosen = rng.choice(len(cell), min(count, len(cell) - 1), replace=False).tolist()
    crops = [cell[k][0] for k in chosen]
    fill, height = round(ground_of(crops[0])), max(map(len, crops))
    parts = [np.pad(crop, ((0, height - len(crop)), (6, 6)), constant_values=fill) for crop in crops]
    rest = as_files([item for k, item in enumerate(cell) if k not in chosen])
    return [*rest, (png(np.hstack(parts)), "")]


def twice(cell: Cell, other: Cell, rng: np.random.Generator) -> Files:
    """Return the cell with one picture twice; the copy counts as odd."""
    files = as_files(cell)
    return [*files, (files[int(rng.integers(len(files)))][0], "")]


CELLS: dict[str, Callable[[Cell, Cell, np.random.Generator], Files]] = {
    "ten chromosomes missing": missing,
    "three of another cell": foreign,
    "two cells in one heap": heap,
    "half a chromosome": partial(with_odd, "half a chromosome"),
    "an empty crop": partial(with_odd, "blank"),
    "a crop of noise": partial(with_odd, "noise"),
    "two chromosomes that touch": partial(with_odd, "two chromosomes"),
    "two chromosomes in one crop": partial(in_one_crop, 2),
    "ten chromosomes in one crop": partial(in_one_crop, 10),
    "the same picture twice": twice,
}
"""Changes of what a cell consists of, given another cell; each should lead to a warning, or cost no accuracy."""

ALWAYS_WARNED = tuple(name for name in CELLS if name not in ("ten chromosomes missing", "three of another cell"))
"""Conditions that put something into a cell that is not one of its chromosomes: a warning is due whatever the classes are."""
