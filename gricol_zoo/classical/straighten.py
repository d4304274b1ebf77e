"""Straighten a bent chromosome: along its medial axis, or by cutting it at the bend and rotating the two arms.

``medial_axis`` samples the crop on lines at right angles to the axis. ``javan_roshtkhari`` is the method of Javan-Roshtkhari
and Setarehdan (2008), with the weights of Sharma et al. (CVPR Workshops 2017, section 3, Table 2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gricol_zoo.classical.arms import straighten_arms
from gricol_zoo.classical.axis import cross_sections, directions, find_axis
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.images import border_median
from gricol_zoo.errors import GricolZooError

MARGIN = 3  # background pixels around the straightened chromosome


def straighten(grey: np.ndarray, method: str = "medial_axis") -> np.ndarray:
    """Straighten the chromosome of a crop; the end that is up in the crop stays up.

    Args:
        grey: (H, W) float in 0..1.
        method: one of ``METHODS``.

    Returns:
        (h, w) float32 in 0..1, upright, with the crop's scale and grey values; only background around the chromosome.

    Raises:
        GricolZooError: an unknown method.
        ImageError: there is no chromosome that can be measured (``find_mask``).
    """
    if method not in METHODS:
        raise GricolZooError(f"Unknown method {method!r}. Known: {', '.join(METHODS)}.")
    _, mask = find_mask(grey)
    background = border_median(grey)
    # Difference from the background, 0 outside the mask: other chromosomes in the crop must not be drawn.
    height = METHODS[method](np.where(mask, grey.astype(np.float64) - background, 0.0), mask)
    return np.asarray(np.clip(np.pad(height, MARGIN) + background, 0, 1), np.float32)


def _along_axis(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return values, (length, greatest width), sampled at right angles to the axis: one row per pixel of its length."""
    from scipy import ndimage

    axis = find_axis(mask)
    along = directions(axis)
    normal = np.stack([along[:, 1], -along[:, 0]], 1)  # to the right where the axis runs down
    left, right = cross_sections(axis, normal, mask)
    half = int(np.ceil(max(left.max(), right.max())))
    reach = np.arange(-half, half + 1)
    places = axis[:, None] + normal[:, None] * reach[None, :, None]
    sampled = ndimage.map_coordinates(value, [places[..., 1], places[..., 0]], order=1, mode="constant")
    # On the inner side of a bend, neighbouring lines cross outside the outline and would sample the other arm.
    inside = (reach >= -left[:, None] - 0.5) & (reach <= right[:, None] + 0.5)
    return np.where(inside, sampled, 0.0)


METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "medial_axis": _along_axis,
    "javan_roshtkhari": straighten_arms,
}
"""Name -> function: (H, W) difference from the background and (H, W) mask -> (h, w) difference, straightened."""
