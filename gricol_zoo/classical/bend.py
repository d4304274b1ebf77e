"""Bend a nearly straight chromosome along a circular arc: a controlled bend of a real crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.classical.axis import find_axis
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.images import border_median
from gricol_zoo.errors import GricolZooError

MAX_DEGREES = 300.0  # degrees either way; beyond them the two ends meet


class Frame(NamedTuple):
    """The straight line that fits the medial axis, in pixels with (x, y) at pixel centres.

    Attributes:
        origin: (2,) its middle.
        along: (2,) unit vector along it, from its upper end down.
        across: (2,) unit vector at right angles to it, to the right of a line that runs down.
        length: from end to end, in pixels.
    """

    origin: np.ndarray
    along: np.ndarray
    across: np.ndarray
    length: float


def bend(grey: np.ndarray, degrees: float) -> np.ndarray:
    """Bend the chromosome of a crop so that its axis turns by ``degrees`` from end to end; its length along the axis is kept.

    A bend that the chromosome already has is added to this. If the radius of the arc is less than half the chromosome's width,
    the inner edge is lost at the centre of the arc.

    Args:
        grey: (H, W) float in 0..1, one chromosome.
        degrees: angle of the bend, -300..300; positive bends the ends of an upright chromosome to the right, as in
            ``render``; 0 returns the crop unchanged.

    Returns:
        (h, w) float32 in 0..1 with the crop's scale, grey values and margins around the chromosome.

    Raises:
        GricolZooError: more than 300 degrees.
        ImageError: there is no chromosome that can be measured (``find_mask``).
    """
    return next(bend_each(grey, [degrees]))


def bend_each(grey: np.ndarray, angles: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield the crop bent by each of the angles (degrees), as ``bend`` does; the axis is computed only once."""
    for degrees in angles:
        if not abs(degrees) <= MAX_DEGREES:
            raise GricolZooError(f"Expected at most {MAX_DEGREES:g} degrees either way, but got {degrees}.")
    mask = find_mask(grey)[1]
    frame = fit_line(find_axis(mask))
    for degrees in angles:
        if degrees == 0:
            yield np.array(grey, np.float32)
        else:
            yield _sample(grey, mask, frame, float(np.radians(degrees)) / frame.length)


def fit_line(axis: np.ndarray) -> Frame:
    """Fit a straight line to an axis of (n, 2) evenly spaced points (total least squares)."""
    mean = axis.mean(0)
    along = np.linalg.svd(axis - mean)[2][0]
    if along @ (axis[-1] - axis[0]) < 0:
        along = -along
    places = (axis - mean) @ along
    origin = mean + along * (places.max() + places.min()) / 2
    return Frame(origin, along, np.array([along[1], -along[0]]), float(np.ptp(places)))


def onto_arc(across: np.ndarray, along: np.ndarray, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """Map points of the straight chromosome to the bent one, both in the frame of its line; ``from_arc`` is the inverse.

    Args:
        across: pixels to the right of the line.
        along: pixels down the line from its middle, of the same shape.
        curvature: radians per pixel, not 0.

    Returns:
        The same two coordinates after bending.
    """
    radius = np.maximum(1 - curvature * across, 0) / curvature
    return 1 / curvature - radius * np.cos(curvature * along), radius * np.sin(curvature * along)


def from_arc(across: np.ndarray, along: np.ndarray, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """Map points of the bent chromosome back to the straight one; arguments and result as for ``onto_arc``."""
    x, y = 1 - curvature * across, curvature * along
    return (1 - np.hypot(x, y)) / curvature, np.arctan2(y, x) / curvature


def _sample(grey: np.ndarray, mask: np.ndarray, frame: Frame, curvature: float) -> np.ndarray:
    """Return the crop bent by ``curvature`` radians per pixel."""
    from scipy import ndimage

    ys, xs = np.nonzero(mask)
    points = np.stack([xs, ys], 1) - frame.origin
    across, along = onto_arc(points @ frame.across, points @ frame.along, curvature)
    outline = frame.origin + across[:, None] * frame.across + along[:, None] * frame.along
    left, top = np.round(outline.min(0) - (xs.min(), ys.min())).astype(int)
    spare = (mask.shape[1] - 1 - xs.max(), mask.shape[0] - 1 - ys.max())
    right, bottom = np.round(outline.max(0) + spare).astype(int)
    pixels = np.stack(np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1)), -1) - frame.origin
    across, along = from_arc(pixels @ frame.across, pixels @ frame.along, curvature)
    source = frame.origin + across[..., None] * frame.across + along[..., None] * frame.along
    # Cubic: linear interpolation would blur the bent crop, but not the straight one that it is compared with.
    sampled = ndimage.map_coordinates(
        grey.astype(np.float64), [source[..., 1], source[..., 0]], order=3, mode="grid-constant", cval=border_median(grey)
    )
    return np.asarray(np.clip(sampled, 0, 1), np.float32)
