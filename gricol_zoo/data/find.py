"""Find the chromosome in a crop from any camera: preparation 2.

The steps, in order. All thresholds are relative to the crop itself, so that exposure, bit depth and resolution do not matter.

1. A flat frame around another background is left out (``inner_box``).
2. The background is the median of the outermost pixels. The stain is on the side of it, brighter or darker, that has the
   strongest pixels.
3. Pixels brighter than ``FOREGROUND`` times the 99th percentile of the chromosome are foreground.
4. A background that rises or falls across the crop is levelled with a plane (``fit_plane``), and the foreground is found again.
5. Foreground pixels that a few steps of dilation connect form one piece. The heaviest piece is the chromosome. Another piece
   belongs to it if it lies in line with it, near its end, and is not too small: a satellite, or an arm beyond a gap
   (``gricol_zoo.data.pieces``).

``gricol_zoo.export.find`` implements the same steps with the operators of a graph; a test checks that the two agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.images import box_of, percentile, percentile_of_sorted, ring
from gricol_zoo.data.pieces import main_piece

FOREGROUND = 0.15  # of the 99th percentile of the chromosome
GRAIN, MAX_GRAIN = 3.0, 0.3  # threshold in standard deviations of the background; at most this fraction of the percentile
FRAME_STEP = 0.1  # of the crop's range: least difference between a frame's grey and the background inside it
FRAME_SAME, FRAME_BAND = 0.05, 0.05  # not a frame if more than this fraction of the ring inside is this near its grey
UNEVEN = 0.06  # of the contrast: a background that rises by less counts as even
MIN_GROUND = 0.1  # of the crop: with less background no slope can be estimated
ROUNDS = 2  # the plane is fitted again with the better foreground
REACH = 0.07  # dilation steps per square root of the foreground's area: 1 for a small chromosome, 3 for a large one
MAX_REACH = 6


class Found(NamedTuple):
    """A chromosome on a background of 0.

    Attributes:
        value: (h, w) float32, the part of the crop that the chromosome occupies: its brightest percent at 1 or above, 0
        outside. top: difference of that percent from the background, in the units of the crop.
        mask: (h, w) bool, the pixels of the chromosome.
        light: whether the background was lighter than the chromosome.
        others: number of further pieces that could be chromosomes.
        rim: distance from the mask up to which the value may not be 0, in pixels across and down.
    """

    value: np.ndarray
    top: float
    mask: np.ndarray
    light: bool
    others: int
    rim: int


def find_chromosome(grey: np.ndarray, ground: str = "auto") -> Found:
    """Find the chromosome in a grey crop (see the module's docstring).

    Args:
        grey: (H, W) float32, any range.
        ground: the background, "light" (G-bands), "dark" (Q-bands, other fluorescence), or "auto".
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
    """Return the rows and columns of a mask, (H, W) bool, if each of its rows is one run that touches the run above; else None.

    This holds for most chromosomes, and takes a quarter of the time of labelling the pieces.
    """
    height, width = near.shape
    row = width + 1
    line = np.zeros(height * row + 1, bool)  # row after row, with a gap before each
    line[1:].reshape(height, row)[:, :width] = near
    edges = np.flatnonzero(line[1:] != line[:-1])
    first, last = edges[::2], edges[1::2] - 1  # of each run
    if not len(first):
        return None
    # If the next run is not in the next row, its distance is too small or too large for one of the two conditions.
    if (first[1:] - last[:-1]).max(initial=0) > row + 1 or (last[1:] - first[:-1]).min(initial=row) < row - 1:
        return None
    columns = slice(int((first % row).min()), int((last % row).max()) + 1)
    return slice(int(first[0]) // row, int(last[-1]) // row + 1), columns


def inner_box(grey: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns inside a flat frame whose grey differs from the background; all of them without a frame."""
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
    """Shift the background to 0 and the stain above it.

    Returns:
        The values, (H, W) float32; their pixels in ascending order; those of their ``ring`` in ascending order; and whether the
        background was light.
    """
    edge = np.sort(ring(grey))
    level = np.float32(percentile_of_sorted(edge, 50))
    value, ordered, edge = grey - level, np.sort(grey, axis=None) - level, edge - level
    low, high = extremes(ordered)
    light = -low > high if ground == "auto" else ground == "light"
    return (-value, -ordered[::-1], -edge[::-1], True) if light else (value, ordered, edge, False)


def extremes(ordered: np.ndarray) -> tuple[float, float]:
    """Return the 0.5th and the 99.5th percentile of values in ascending order, without interpolation."""
    rank = round(0.005 * (ordered.size - 1))
    return float(ordered[rank]), float(ordered[-1 - rank])


def foreground(value: np.ndarray, ordered: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Find the foreground.

    The threshold is computed twice, so that it does not depend on how much background surrounds the chromosome. On a grainy
    background only pixels ``GRAIN`` standard deviations above it count, as long as that leaves a chromosome.

    Args:
        value: (H, W) float32, the background at 0.
        ordered: its pixels in ascending order.
        edge: its ``ring`` in ascending order.

    Returns:
        The foreground, (H, W) bool; the foreground dilated until its pieces are whole, (H, W) bool; the number of dilation
        steps; and the values of the foreground in ascending order.
    """
    grainy = 2 * np.count_nonzero(edge) > edge.size  # otherwise the median is 0
    grain = GRAIN * 1.4826 * percentile(np.abs(edge), 50) if grainy else 0.0  # a median, which a tip at the edge does not raise
    top = extremes(ordered)[1]
    for _ in range(2):
        bound = np.float32(min(max(FOREGROUND * top, grain), MAX_GRAIN * top))
        inside = ordered[ordered.searchsorted(bound, "right") :]
        top = percentile_of_sorted(inside, 99) if inside.size else 0.0
    mask, reach = value > bound, reach_of(inside.size)
    return mask, grow(mask, reach), reach, inside


def fit_plane(value: np.ndarray, edge: np.ndarray, near: np.ndarray, bright: float) -> np.ndarray | None:
    """Return the slope of the background across the crop, (H, W) float32; None if it is even, or if too little of it is seen.

    It is the least-squares plane through all pixels that are not ``near`` the foreground.

    Args:
        value: (H, W) float32.
        edge: its ``ring`` in ascending order.
        near: (H, W) bool, the dilated foreground.
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
    # Cramer's rule, which an exported graph can compute too.
    whole = n * (sxx * syy - sxy * sxy) - sx * (sx * syy - sxy * sy) + sy * (sx * sxy - sxx * sy)
    if n < MIN_GROUND * value.size or whole <= 0:
        return None
    flat = (b * (sxx * syy - sxy * sxy) - sx * (bx * syy - sxy * by) + sy * (bx * sxy - sxx * by)) / whole
    slope = (n * (bx * syy - sxy * by) - b * (sx * syy - sxy * sy) + sy * (sx * by - bx * sy)) / whole
    rise = (n * (sxx * by - bx * sxy) - sx * (sx * by - bx * sy) + b * (sx * sxy - sxx * sy)) / whole
    if abs(slope) * width + abs(rise) * height <= UNEVEN * bright:
        return None
    return (flat + slope * x[None] + rise * y[:, None]).astype(np.float32)


def grow(mask: np.ndarray, steps: int) -> np.ndarray:
    """Dilate a mask, (H, W) bool, by a square with a side of ``2 steps + 1`` pixels.

    Each round grows by up to twice the steps done so far plus one, so a square of 9 pixels takes two rounds.
    """
    height, width = mask.shape
    row = width + 2 * steps
    wide = np.zeros((height + 2 * steps, row), bool)
    wide[steps:-steps, steps:-steps] = mask
    # As one long integer the whole mask is shifted at once; pixels that cross an edge stay in the padding.
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
    """Return the number of steps by which a foreground of ``area`` pixels is dilated to find its pieces."""
    return min(max(round(REACH * math.sqrt(area)), 1), MAX_REACH)
