"""Images that do not show a single chromosome, made from crops that do: inputs on which a classifier should be uncertain.

Each is a grey image, (H, W) float32 in 0..1, as ``read_grey`` returns it, with the background of the crops it is made from.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gricol_zoo.data.images import border_median
from gricol_zoo.data.preprocess import foreground, measure_pose, stretch

Crop = np.ndarray


def blank(crop: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """Return only background, with camera noise."""
    grain = rng.normal(border_median(crop), 0.01, crop.shape)
    return np.clip(grain, 0, 1).astype(np.float32)


def noise(crop: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """Return the crop's pixels in random order: its grey values without its shape."""
    return rng.permuted(crop.ravel()).reshape(crop.shape)


def half(crop: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """Return one half of a chromosome, cut across its axis at the middle."""
    value = stretch(crop)
    pose = measure_pose(value)
    if pose is None:
        return crop
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]]
    along = (x - pose.center[0]) * np.sin(pose.angle) + (y - pose.center[1]) * np.cos(pose.angle)
    lost = along > 0 if rng.random() < 0.5 else along < 0
    return np.where(lost, border_median(crop), crop).astype(np.float32)


def two(crop: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """Return two touching chromosomes side by side, as a bad segmentation leaves them; the second is a little lower."""
    first, second = _cut(crop), _cut(other)
    drop = int(rng.integers(0, max(first.shape[0], second.shape[0]) // 3 + 1))
    height = max(first.shape[0], second.shape[0] + drop) + 4
    background = border_median(crop)
    canvas = np.full((height, first.shape[1] + second.shape[1] + 2), background, np.float32)
    canvas[2 : 2 + first.shape[0], 2 : 2 + first.shape[1]] = first
    part = canvas[2 + drop : 2 + drop + second.shape[0], first.shape[1] : first.shape[1] + second.shape[1]]
    # Where they overlap, the pixel farther from the background is kept.
    np.copyto(part, second, where=np.abs(second - background) > np.abs(part - background))
    return canvas


def _cut(crop: Crop) -> Crop:
    """Return the bounding box of the chromosome."""
    mask = foreground(stretch(crop))
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    if not len(rows):
        return crop
    return crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


OUTLIERS: dict[str, Callable[[Crop, Crop, np.random.Generator], Crop]] = {
    "blank": blank,
    "noise": noise,
    "half a chromosome": half,
    "two chromosomes": two,
}
"""Name -> (a crop, another of the same cell or set, generator) -> an image."""
