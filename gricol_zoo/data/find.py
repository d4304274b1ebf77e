"""Find the chromosome in a crop, whatever camera it came from: preparation 2.

The rule, in its order. Every number is a share of what is in the crop itself, so that neither exposure, bit depth nor
resolution matters.

1. A flat frame around another background is left out (``inner_box``).
2. The background is the median of the outermost pixels. The stain lies on that side of it on which the strongest pixels do.
3. What is brighter than ``FOREGROUND`` of the 99th percentile of the chromosome is foreground.
4. A background that rises or falls across the crop is levelled by a plane (``fit_plane``), and the foreground found again.
5. Foreground that a few steps of dilation join is one piece. The heaviest piece is the chromosome. Another one belongs to it
   where it lies in line with it, near its end, and is not a crumb: a satellite, or an arm beyond a gap
   (``gricol_zoo.data.pieces``).

``gricol_zoo.export.find`` is the same rule in the operators that a graph has, and a test holds the two together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.images import box_of, percentile, percentile_of_sorted, ring
from gricol_zoo.data.pieces import main_piece

FOREGROUND = 0.15  # of the 99th percentile of the chromosome
GRAIN, MOST_GRAIN = 3.0, 0.3  # standard deviations of the background; and at most this share of the percentile
FRAME_STEP = 0.1  # of the crop's range: how far a frame's grey must be from the background inside it
FRAME_SAME, FRAME_BAND = 0.05, 0.05  # where more of the ring inside a frame than this share is this near it, it is background
UNEVEN = 0.06  # of the contrast: a background that rises by less is even
LEAST_GROUND = 0.1  # of the crop: less of it tells nothing of a slope
ROUNDS = 2  # the plane is fitted again when the foreground is better known
REACH = 0.07  # dilation steps by the root of the foreground's area: 1 for a small chromosome, 3 for a large one
MOST_REACH = 6


class Found(NamedTuple):
    """A chromosome on a background of 0.

    Attributes:
        value: (h, w) float32, the part of the crop that it takes: its brightest percent at 1 or above, 0 where it is not.
        top: how far that percent is from the background, in the units of the crop.
        mask: (h, w) bool, its pixels.
        light: whether the background was lighter than the chromosome.
        others: how many further pieces there are that could be chromosomes.
        rim: how far from the mask the value is not 0, in pixels across and down.
    """

    value: np.ndarray
    top: float
    mask: np.ndarray
    light: bool
    others: int
    rim: int


def find_chromosome(grey: np.ndarray, ground: str = "auto") -> Found:
    """Find the chromosome in a grey crop (see the module).

    Args:
        grey: (H, W) float32, any range.
        ground: "auto", or whether the background was "light" (G-bands) or "dark" (Q-bands, other fluorescence).
    """
    value, ordered, edge, light = stand_out(grey[inner_box(grey)], ground)
    mask, near, reach, inside = foreground(value, ordered, edge)
    for _ in range(ROUNDS):
        plane = fit_plane(value, edge, near, extremes(ordered)[1])
        if plane is None:
            break
        value = value - plane
        ordered, edge = np.sort(value, axis=None), np.sort(ring(value))
        mask, near, reach, inside = foreground(value, ordered, edge)
    others, box = 0, box_of_one_piece(near)
    if box is None:
        mask, near, others = main_piece(value, mask, near)
        box, inside = box_of(near), np.sort(value[mask])
    value = value[box] * near[box]
    top = percentile_of_sorted(inside, 99) if inside.size else 0.0
    return Found(np.maximum(value, 0, out=value) / np.float32(top or 1), top, mask[box], light, others, reach)


def box_of_one_piece(near: np.ndarray) -> tuple[slice, slice] | None:
    """Return the rows and columns of a mask, (H, W) bool, each of whose rows is one run next to the one above; else None.

    So are most chromosomes, and it is seen in a quarter of the time that labelling pieces takes.
    """
    height, width = near.shape
    row = width + 1
    line = np.zeros(height * row + 1, bool)  # row after row, with a gap before each
    line[1:].reshape(height, row)[:, :width] = near
    edges = np.flatnonzero(line[1:] != line[:-1])
    first, last = edges[::2], edges[1::2] - 1  # of each run
    if not len(first):
        return None
    # A run that is not in the next row is too near or too far for one of the two.
    if (first[1:] - last[:-1]).max(initial=0) > row + 1 or (last[1:] - first[:-1]).min(initial=row) < row - 1:
        return None
    columns = slice(int((first % row).min()), int((last % row).max()) + 1)
    return slice(int(first[0]) // row, int(last[-1]) // row + 1), columns


def inner_box(grey: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of what lies inside a flat frame with a background of another grey; else all of them."""
    whole = slice(None), slice(None)
    flat = grey[0, 0]
    if not (grey[0] == flat).all():
        return whole
    box = box_of(grey != flat)
    edge = ring(grey[box])
    if np.count_nonzero(edge == flat) > FRAME_SAME * edge.size:
        return whole
    span = float(grey.max()) - float(grey.min())
    stands_off = abs(percentile(edge, 50) - float(flat)) > FRAME_STEP * span and float(np.ptp(grey[box])) > FRAME_STEP * span
    if stands_off and np.count_nonzero(np.abs(edge - flat) <= FRAME_BAND * span) <= FRAME_SAME * edge.size:
        return box
    return whole


def stand_out(grey: np.ndarray, ground: str = "auto") -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Bring the background to 0 and the stain above it.

    Returns:
        The value, (H, W) float32; its pixels in rising order, and those of its ``ring``; whether the background was light.
    """
    edge = np.sort(ring(grey))
    level = np.float32(percentile_of_sorted(edge, 50))
    value, ordered, edge = grey - level, np.sort(grey, axis=None) - level, edge - level
    low, high = extremes(ordered)
    light = -low > high if ground == "auto" else ground == "light"
    return (-value, -ordered[::-1], -edge[::-1], True) if light else (value, ordered, edge, False)


def extremes(ordered: np.ndarray) -> tuple[float, float]:
    """Return the 0.5th and the 99.5th percentile of values in rising order, to the pixel."""
    rank = round(0.005 * (ordered.size - 1))
    return float(ordered[rank]), float(ordered[-1 - rank])


def foreground(value: np.ndarray, ordered: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Find the foreground.

    It is looked for twice, so that it does not depend on how much background there is around it. Of a grainy background only
    what stands ``GRAIN`` standard deviations out of it counts, as far as that leaves a chromosome.

    Args:
        value: (H, W) float32, the background at 0.
        ordered: its pixels in rising order.
        edge: its ``ring`` in rising order.

    Returns:
        The foreground; it dilated until its pieces are whole, (H, W) bool both; by how many steps; its pixels in rising order.
    """
    grainy = 2 * np.count_nonzero(edge) > edge.size  # else the median is 0
    grain = GRAIN * 1.4826 * percentile(np.abs(edge), 50) if grainy else 0.0  # by it, which a tip at the edge does not raise
    top = extremes(ordered)[1]
    for _ in range(2):
        bound = np.float32(min(max(FOREGROUND * top, grain), MOST_GRAIN * top))
        inside = ordered[ordered.searchsorted(bound, "right") :]
        top = percentile_of_sorted(inside, 99) if inside.size else 0.0
    mask, reach = value > bound, reach_of(inside.size)
    return mask, grow(mask, reach), reach, inside


def fit_plane(value: np.ndarray, edge: np.ndarray, near: np.ndarray, bright: float) -> np.ndarray | None:
    """Return how the background rises and falls across the crop, (H, W) float32; None where it is even, or hardly seen.

    It is the plane of least squares through all pixels that are not ``near`` the foreground.

    Args:
        value: (H, W) float32.
        edge: its ``ring`` in rising order.
        near: (H, W) bool.
        bright: the contrast of the crop.
    """
    if edge[-1] - edge[0] <= UNEVEN * bright:
        return None
    bare = ring(value)[~ring(near)]
    if not bare.size or bare.max() - bare.min() <= UNEVEN * bright:
        return None
    height, width = value.shape
    weight = (~near).astype(np.float64)
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    rows, columns, seen = weight.sum(1), weight.sum(0), weight * value
    n, sx, sy, sxx, sxy, syy = rows.sum(), columns @ x, rows @ y, columns @ x**2, y @ weight @ x, rows @ y**2
    b, bx, by = seen.sum(), seen.sum(0) @ x, seen.sum(1) @ y
    # Cramer's rule, as a graph can compute it too.
    whole = n * (sxx * syy - sxy * sxy) - sx * (sx * syy - sxy * sy) + sy * (sx * sxy - sxx * sy)
    if n < LEAST_GROUND * value.size or whole <= 0:
        return None
    flat = (b * (sxx * syy - sxy * sxy) - sx * (bx * syy - sxy * by) + sy * (bx * sxy - sxx * by)) / whole
    slope = (n * (bx * syy - sxy * by) - b * (sx * syy - sxy * sy) + sy * (sx * by - bx * sy)) / whole
    rise = (n * (sxx * by - bx * sxy) - sx * (sx * by - bx * sy) + b * (sx * sxy - sxx * sy)) / whole
    if abs(slope) * width + abs(rise) * height <= UNEVEN * bright:
        return None
    return (flat + slope * x[None] + rise * y[:, None]).astype(np.float32)


def grow(mask: np.ndarray, steps: int) -> np.ndarray:
    """Dilate a mask, (H, W) bool, by a square of ``2 steps + 1`` pixels.

    Each round adds up to twice what it has and one: a square of 9 pixels takes two.
    """
    height, width = mask.shape
    row = width + 2 * steps
    wide = np.zeros((height + 2 * steps, row), bool)
    wide[steps:-steps, steps:-steps] = mask
    # As one long number all of it is shifted at once, and what crosses an edge stays in the rim.
    line = int.from_bytes(np.packbits(wide).tobytes(), "big")
    for pixel in (1, row):
        done = 0
        while done < steps:
            step = min(2 * done + 1, steps - done)
            line |= line << step * pixel | line >> step * pixel
            done += step
    bits = np.unpackbits(np.frombuffer(line.to_bytes(-(-wide.size // 8), "big"), np.uint8), count=wide.size)
    return bits.view(bool).reshape(wide.shape)[steps:-steps, steps:-steps]


def reach_of(area: int) -> int:
    """Return by how many steps a foreground of ``area`` pixels is dilated to find its pieces."""
    return min(max(round(REACH * math.sqrt(area)), 1), MOST_REACH)
