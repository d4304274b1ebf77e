"""Profiles along the axis: how bright and how wide a chromosome is from one end to the other.

Density and width profiles along the medial axis are the classical description (Poletti et al. 2012; Wang et al. 2009). Here
they are sampled at right angles to the axis, inside the mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gricol_zoo.classical.axis import cross_sections, directions, find_axis, length_of
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.images import border_median

SAMPLES = 64  # per profile
ACROSS = 0.5  # pixels between samples across the axis
ENDS = 0.15  # of the length, at each end: the centromere is not searched for there
WAIST = 0.1  # of the width beside it: a shallower waist is not a centromere (chosen, like TIP, on the Q-band val part)
TIP = 0.4  # of the length, at each end: their widths are compared if there is no waist
SMOOTHING = 0.025  # of the length: standard deviation of the Gaussian that smooths the width before the waist is searched for


class Profiles(NamedTuple):
    """Measurements of one chromosome.

    Attributes:
        density: (SAMPLES,) mean brightness across the axis, background 0, brightest bands about 1.
        width: (SAMPLES,) extent across the axis, in pixels.
        length: of the axis, in pixels.
        area: of the mask, in pixels.
        perimeter: of the mask, in pixels.
        brightness: mean difference of the mask's pixels from the background, before contrast stretching, 0..1.
        axis: (SAMPLES, 2) as (x, y), in pixels.
    """

    density: np.ndarray
    width: np.ndarray
    length: float
    area: float
    perimeter: float
    brightness: float
    axis: np.ndarray


def measure(grey: np.ndarray) -> Profiles:
    """Measure a crop, (H, W) float in 0..1; the first sample is at the end that is up in the image.

    Raises:
        ImageError: there is no chromosome that can be measured (``find_mask``).
    """
    value, mask = find_mask(grey)
    axis = find_axis(mask, SAMPLES)
    density, width = sample(value, mask, axis)
    brightness = float(np.abs(grey[mask] - border_median(grey)).mean())
    return Profiles(density, width, length_of(axis), float(mask.sum()), _perimeter(mask), brightness, axis)


def sample(value: np.ndarray, mask: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean brightness and the width across the axis at each of its points.

    Args:
        value: (H, W) float, background 0.
        mask: (H, W) bool.
        axis: (n, 2) as (x, y).

    Returns:
        Density, (n,), and width in pixels, (n,).
    """
    from scipy import ndimage

    along = directions(axis)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    left, right = cross_sections(axis, normal, mask)
    reach = np.arange(-np.ceil(left.max()), np.ceil(right.max()) + ACROSS, ACROSS)
    places = axis[:, None] + normal[:, None] * reach[:, None]
    values = ndimage.map_coordinates(value, [places[..., 1], places[..., 0]], order=1, mode="constant")
    inside = (reach >= -left[:, None] - 1e-9) & (reach <= right[:, None] + 1e-9)
    return (values * inside).sum(1) / np.maximum(inside.sum(1), 1), left + right


def flipped(profiles: Profiles) -> Profiles:
    """Return the same profiles with the other end first."""
    return profiles._replace(density=profiles.density[::-1], width=profiles.width[::-1], axis=profiles.axis[::-1])


def centromere(width: np.ndarray) -> float:
    """Return the position of the centromere along a width profile (n,), 0..1 from its first end.

    The centromere is the deepest waist away from the ends: narrow compared with the widest places on both sides of it. If no
    waist is ``WAIST`` deep, the chromosome is taken to be acrocentric, with a narrow tip as its short arm, and the position is
    ``ENDS`` from the narrower end.
    """
    from scipy import ndimage

    n = len(width)
    smooth = ndimage.gaussian_filter1d(width.astype(float), max(SMOOTHING * n, 0.5), mode="nearest")
    before, after = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    depth = 1 - smooth / np.maximum(np.minimum(before, after), 1e-9)
    margin = max(1, round(ENDS * n))
    inner = depth[margin : n - margin]
    if inner.max() >= WAIST:
        return float((margin + inner.argmax()) / (n - 1))
    tip = max(1, round(TIP * n))
    return ENDS if smooth[:tip].sum() <= smooth[n - tip :].sum() else 1 - ENDS


def polarity(profiles: Profiles) -> int:
    """Return 1 if the short arm is at the first end, -1 if it is at the last: the end that is nearer to the centromere."""
    return 1 if centromere(profiles.width) <= 0.5 else -1


def short_arm_first(profiles: Profiles) -> Profiles:
    """Return the profiles with the short arm first, according to ``polarity``."""
    return profiles if polarity(profiles) > 0 else flipped(profiles)


def _perimeter(mask: np.ndarray) -> float:
    """Return the length of the outline in pixels: its pixel edges times pi/4, which is correct on average over directions."""
    padded = np.pad(mask, 1)
    edges = sum(int(np.count_nonzero(np.diff(padded.astype(np.int8), axis=axis))) for axis in (0, 1))
    return edges * np.pi / 4
