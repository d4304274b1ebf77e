"""Bend a nearly straight chromosome along an arc of a circle: a controlled bend on a real crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.classical.axis import find_axis
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.images import border_median
from gricol_zoo.errors import GricolZooError

MOST = 300.0  # degrees either way; beyond them the two ends meet


class Frame(NamedTuple):
    """The straight line that fits the medial axis, in pixels with (x, y) at pixel centres.

    Attributes:
        origin: (2,) its middle.
        along: (2,) unit direction down it; across: (2,) the same turned to the right where it runs down.
        length: from end to end.
    """

    origin: np.ndarray
    along: np.ndarray
    across: np.ndarray
    length: float


def bend(grey: np.ndarray, degrees: float) -> np.ndarray:
    """Bend the chromosome of a crop so that its axis turns by so much from end to end, its length along the axis kept.

    What bend it has already stays on top of that. Where the radius of the arc is less than half the chromosome's width, its
    inner edge is lost in the arc's centre.

    Args:
        grey: (H, W) float in 0..1, one chromosome.
        degrees: of turn, up to 300 either way; positive bends the ends to the right of a chromosome that stands upright, as in
            ``render``; 0 gives the crop back.

    Returns:
        (h, w) float32 in 0..1 in the crop's own scale and grey values, with the crop's own margins around the chromosome.

    Raises:
        GricolZooError: more than 300 degrees.
        ImageError: no chromosome that can be measured (``find_mask``).
    """
    return next(bend_each(grey, [degrees]))


def bend_each(grey: np.ndarray, angles: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield the crop bent by each of the angles, as ``bend`` does; its axis is found once."""
    for degrees in angles:
        if not abs(degrees) <= MOST:
            raise GricolZooError(f"Expected at most {MOST:g} degrees either way, but got {degrees}.")
    mask = find_mask(grey)[1]
    frame = fit_line(find_axis(mask))
    for degrees in angles:
        if degrees == 0:
            yield np.array(grey, np.float32)
        else:
            yield _sample(grey, mask, frame, float(np.radians(degrees)) / frame.length)


def fit_line(axis: np.ndarray) -> Frame:
    """Fit a straight line to an axis of (n, 2) points, evenly spaced: least squares at right angles to it."""
    mean = axis.mean(0)
    along = np.linalg.svd(axis - mean)[2][0]
    if along @ (axis[-1] - axis[0]) < 0:
        along = -along
    places = (axis - mean) @ along
    origin = mean + along * (places.max() + places.min()) / 2
    return Frame(origin, along, np.array([along[1], -along[0]]), float(np.ptp(places)))


def onto_arc(across: np.ndarray, along: np.ndarray, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where the points of a straight chromosome come to lie, in its own frame; ``from_arc`` undoes it.

    Args:
        across: pixels to the right of the line.
        along: pixels down it from its middle, of the same shape.
        curvature: radians a pixel, not 0.
    """
    radius = np.maximum(1 - curvature * across, 0) / curvature
    return 1 / curvature - radius * np.cos(curvature * along), radius * np.sin(curvature * along)


def from_arc(across: np.ndarray, along: np.ndarray, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of the straight chromosome that came to lie at these, across and along the line."""
    x, y = 1 - curvature * across, curvature * along
    return (1 - np.hypot(x, y)) / curvature, np.arctan2(y, x) / curvature


def _sample(grey: np.ndarray, mask: np.ndarray, frame: Frame, curvature: float) -> np.ndarray:
    """Return the bent crop."""
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
    # Cubic, for linear interpolation would blur the bent one and not the straight one it is compared with.
    sampled = ndimage.map_coordinates(
        grey.astype(np.float64), [source[..., 1], source[..., 0]], order=3, mode="grid-constant", cval=border_median(grey)
    )
    return np.asarray(np.clip(sampled, 0, 1), np.float32)
