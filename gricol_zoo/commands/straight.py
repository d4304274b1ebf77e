"""Straighten pictures for a karyogram with ``gricol_zoo.classical``, so that ``gricol_zoo.karyotype`` need not depend on it."""

from __future__ import annotations

import numpy as np

from gricol_zoo.errors import ImageError
from gricol_zoo.karyotype.pictures import BLANK, trimmed

BENT, FILLED = 45.0, 0.7  # degrees from which a bend is strong; a chromosome that fills more of its box is not measured
COARSE = 60  # pixels of length, which are enough to measure a bend


def straightened(picture: np.ndarray) -> np.ndarray:
    """Return a strongly bent chromosome straightened; any other picture, or one without an axis, unchanged.

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
    if ndimage.label(mask, np.ones((3, 3)))[1] > 1:  # an axis covers only one piece: the others would be lost
        return picture
    step = max(1, len(trimmed(picture)) // COARSE)
    try:
        if bend_of(find_axis(mask[::step, ::step])) < BENT:
            return picture
    except ImageError:
        return picture
    return 255 - np.clip(METHODS["medial_axis"](value * mask.astype(float), mask) + 0.5, 0, 255).astype(np.uint8)
