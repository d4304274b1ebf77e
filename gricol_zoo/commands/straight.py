"""Straight pictures for a karyogram, by the medial axis of ``gricol_zoo.classical``: rooms that do not know each other."""

from __future__ import annotations

import numpy as np

from gricol_zoo.errors import ImageError
from gricol_zoo.karyotype.pictures import BLANK, trimmed

BENT, FILLED = 45.0, 0.7  # degrees from which a bend is strong; what fills more of its upright box is not looked at
COARSE = 60  # pixels of length are enough to measure a bend


def straightened(picture: np.ndarray) -> np.ndarray:
    """Return a strongly bent chromosome straight, any other as it is, and one that has no axis too.

    Args:
        picture: (h, w) uint8, dark on white, upright.
    """
    from scipy import ndimage

    from gricol_zoo.classical.axis import bend_of, find_axis
    from gricol_zoo.classical.straighten import METHODS

    value = 255 - picture
    mask = value > 255 - BLANK
    if not mask.any() or trimmed(np.where(mask, 0, 255).astype(np.uint8)).mean() < 255 * (1 - FILLED):
        return picture
    if ndimage.label(mask, np.ones((3, 3)))[1] > 1:  # an axis is of one piece: the other would be lost
        return picture
    step = max(1, len(trimmed(picture)) // COARSE)
    try:
        if bend_of(find_axis(mask[::step, ::step])) < BENT:
            return picture
    except ImageError:
        return picture
    return 255 - np.clip(METHODS["medial_axis"](value * mask.astype(float), mask) + 0.5, 0, 255).astype(np.uint8)
