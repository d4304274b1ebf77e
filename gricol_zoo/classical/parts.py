"""The parts of a chromosome, from its mask and medial axis: its bounding box, its bends and its two arms.

They replace manual annotations in networks that learn from such annotations (``gricol_zoo.models.baselines``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gricol_zoo.classical.axis import find_axis
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.classical.profiles import SAMPLES, centromere, sample
from gricol_zoo.errors import ImageError

REACH = SAMPLES // 8  # samples of the axis before and after a point whose directions are compared to measure the bend there
CALM = 0.5  # radians by which a bend at the end of a half must be sharper than one in the middle of the half to be chosen


class Parts(NamedTuple):
    """Parts of one chromosome, in order from the end of the short arm.

    Attributes:
        box: (top, left, bottom, right) of the mask, in pixels; the last two are exclusive.
        joints: (5, 2) as (x, y), pixel centres at whole numbers: tip, bend, centromere, bend, tip.
        arms: (H, W) uint8: 0 outside the mask, 1 in the short arm, 2 in the long one.
    """

    box: tuple[int, int, int, int]
    joints: np.ndarray
    arms: np.ndarray


def measure_parts(grey: np.ndarray) -> Parts:
    """Measure a crop, (H, W) float in 0..1.

    The short arm is the one whose end is nearer to the centromere, as in the classical systems.

    Raises:
        ImageError: there is no chromosome that can be measured (``find_mask``).
    """
    value, mask = find_mask(grey)
    axis = find_axis(mask, SAMPLES)
    waist = centromere(sample(value, mask, axis)[1])
    if waist > 0.5:
        axis, waist = axis[::-1], 1 - waist
    at = round(waist * (SAMPLES - 1))
    first, second = find_bends(axis)
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    box = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return Parts(box, axis[[0, first, at, second, len(axis) - 1]].copy(), _arms(mask, axis, at))


def parts_or_reason(grey: np.ndarray) -> Parts | str:
    """Measure a crop, (H, W) float in 0..1, or return why it cannot be measured."""
    try:
        return measure_parts(grey)
    except ImageError as error:
        return str(error)


def find_bends(axis: np.ndarray) -> tuple[int, int]:
    """Return the indices of the two points of a line, (n, 2), where its first and its second half bend most.

    Of equal bends, the one nearest to the middle of its half is chosen; a straight line has its two points there.
    """
    steps = axis[REACH:] - axis[:-REACH]
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs(np.angle(np.exp(1j * (angle[REACH:] - angle[:-REACH]))))  # of the points REACH .. n - REACH - 1
    half = len(turn) // 2
    off = np.abs(np.arange(half) - (half - 1) / 2) / ((half - 1) / 2)  # 0 in the middle of the half, 1 at its ends
    first = (turn[:half] - CALM * off).argmax()
    second = (turn[-half:] - CALM * off).argmax()
    return REACH + int(first), len(axis) - REACH - half + int(second)


def _arms(mask: np.ndarray, axis: np.ndarray, at: int) -> np.ndarray:
    """Divide a mask into two arms at point ``at`` of its axis: each pixel belongs to the arm of the nearest axis point."""
    from scipy.spatial import cKDTree

    ys, xs = np.nonzero(mask)
    _, nearest = cKDTree(axis).query(np.stack([xs, ys], 1))
    arms = np.zeros(mask.shape, np.uint8)
    arms[ys, xs] = np.where(nearest <= at, 1, 2)
    return arms
