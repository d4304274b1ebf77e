"""Find the mask of the chromosome in a grey crop, with the threshold that the preprocessing uses."""

from __future__ import annotations

import numpy as np

from gricol_zoo.data.preprocess import foreground, stretch
from gricol_zoo.errors import ImageError

MIN_PIXELS = 30  # smallest area of a mask
# Fraction of the largest piece that 3x3 squares inside it must cover: val crops reach 0.90 or more, shuffled ones at most 0.25.
MIN_SOLID = 0.6
# The next three limits lie beyond what crops of single chromosomes have: they reject none of the 24461 crops in the train and
# val parts of Q-band and Pki-3.
MAX_HOLE = 0.2  # of the filled mask, in one hole: a faint band makes 0.14 at most
MAX_SECOND = 0.25  # of the largest piece, in another piece that lies apart
APART = 0.75  # of the largest piece's width: the gap from which a piece lies apart (a faint centromere leaves a smaller gap)


def find_mask(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the chromosome of a crop: the largest 8-connected piece of the foreground, with its holes filled.

    Args:
        grey: (H, W) float in 0..1; a light background is inverted.

    Returns:
        The stretched crop, (H, W) float with background 0 and the brightest bands 1 (outside the mask 0), and the mask,
        (H, W) bool.

    Raises:
        ImageError: not an (H, W) array, not finite, blank, too few pixels, scattered pixels as in noise, a ring, or two
            separate pieces that are not one chromosome. (Chromosomes that touch form one piece, which cannot be distinguished
            from a bent one. A chromosome that the crop cuts off cannot be distinguished from one that fills its crop, as a
            third of Pki-3's do.)
    """
    from scipy import ndimage

    grey = np.asarray(grey)
    if grey.ndim != 2 or min(grey.shape) < 3 or not np.isfinite(grey).all():
        raise ImageError(f"expected finite grey values of shape (H, W), at least 3x3, but got shape {grey.shape}")
    value = stretch(grey.astype(np.float64))
    bright = foreground(value)
    if not bright.any():
        raise ImageError("blank: nothing is brighter than the background")
    pieces, _ = ndimage.label(bright, np.ones((3, 3)))
    piece = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    mask = ndimage.binary_fill_holes(piece)
    if mask.sum() < MIN_PIXELS:
        raise ImageError(f"a mask of {mask.sum()} pixels is too small to measure: expected at least {MIN_PIXELS}")
    squares = ndimage.binary_opening(np.pad(piece, 1, mode="edge"), np.ones((3, 3)))[1:-1, 1:-1]
    if squares.sum() < MIN_SOLID * piece.sum():
        raise ImageError("no chromosome: the bright pixels are scattered like noise")
    _check_single(pieces, piece, mask)
    return np.where(mask, value, 0.0), mask


def _check_single(pieces: np.ndarray, piece: np.ndarray, mask: np.ndarray) -> None:
    """Check that a mask is one chromosome with two ends.

    Args:
        pieces: (H, W) int, the numbered pieces of the foreground, 0 outside.
        piece: (H, W) bool, the largest piece.
        mask: (H, W) bool, the largest piece with its holes filled.

    Raises:
        ImageError: the mask is a ring, or another large piece lies apart from it.
    """
    from scipy import ndimage

    holes, _ = ndimage.label(mask & ~piece)
    hole = np.bincount(holes.ravel(), minlength=2)[1:].max()
    if hole > MAX_HOLE * mask.sum():
        raise ImageError(f"a ring, which has no ends: its mask of {mask.sum()} pixels has a hole of {hole}")
    sizes = np.bincount(pieces.ravel())
    large = np.nonzero(sizes[1:] > MAX_SECOND * piece.sum())[0] + 1
    if len(large) < 2:
        return
    gaps = ndimage.distance_transform_edt(~piece)
    width = 2 * ndimage.distance_transform_edt(np.pad(piece, 1)).max()
    for number in large:
        gap = gaps[pieces == number].min()
        if gap > APART * width:
            raise ImageError(f"two chromosomes, or none: pieces of {piece.sum()} and {sizes[number]} pixels, {gap:.0f} apart")
