"""The chromosome's mask of a grey crop, by the threshold that the preprocessing uses."""

from __future__ import annotations

import numpy as np

from gricol_zoo.data.preprocess import foreground, stretch
from gricol_zoo.errors import ImageError

LEAST_PIXELS = 30  # of a mask
# Of the largest piece, that 3x3 squares inside it must cover: 0.90 and more of val crops, at most 0.25 of shuffled ones.
LEAST_SOLID = 0.6


def find_mask(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the chromosome of a crop: the largest 8-connected piece of the foreground, its holes filled.

    Args:
        grey: (H, W) float in 0..1; a light background is inverted.

    Returns:
        The stretched crop, (H, W) float with background 0 and the brightest bands 1 (outside the mask 0), and the mask,
        (H, W) bool.

    Raises:
        ImageError: no (H, W) array, not finite, blank, too few pixels, or scattered ones as in noise.
    """
    from scipy import ndimage

    grey = np.asarray(grey)
    if grey.ndim != 2 or min(grey.shape) < 3 or not np.isfinite(grey).all():
        raise ImageError(f"expected finite grey values of shape (H, W), at least 3x3, but got shape {grey.shape}")
    value = stretch(grey.astype(np.float64))
    bright = foreground(value)
    if not bright.any():
        raise ImageError("blank: nothing on it is brighter than its background")
    pieces, _ = ndimage.label(bright, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    piece = pieces == sizes.argmax() + 1
    squares = ndimage.binary_opening(np.pad(piece, 1, mode="edge"), np.ones((3, 3)))[1:-1, 1:-1]
    mask = ndimage.binary_fill_holes(piece)
    if mask.sum() < LEAST_PIXELS:
        raise ImageError(f"a mask of {mask.sum()} pixels is too small to measure: expected at least {LEAST_PIXELS}")
    if squares.sum() < LEAST_SOLID * piece.sum():
        raise ImageError("no chromosome: its bright pixels are scattered as noise is, not in one solid piece")
    return np.where(mask, value, 0.0), mask
