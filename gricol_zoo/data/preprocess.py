"""From a grey image to the network's canvas: (H, W) float in 0..1 -> (height, width) uint8.

Two ways (``Preprocess`` says which): the paper's (section 2.1: pad to 224x224 with the background, then bilinear to
448x456) and the light family's (upright, centred, background 0, brightest bands 255).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from gricol_zoo.data.images import border_median, percentile
from gricol_zoo.spec import Preprocess

FOREGROUND = 0.15  # of the 99.5th percentile above background: what counts as chromosome


class Pose(NamedTuple):
    """Where a chromosome lies in its crop, in pixels and radians.

    Attributes:
        angle: of the principal axis from the vertical, in (-pi/2, pi/2], counter-clockwise positive.
        center: (x, y) of the middle of its extent along and across the axis.
        length, width: its extent along and across the axis.
    """

    angle: float
    center: tuple[float, float]
    length: float
    width: float


def to_canvas(grey: np.ndarray, how: Preprocess, size: tuple[int, int]) -> np.ndarray:
    """Bring a grey image to a canvas of ``size`` (height, width) as ``how`` says; returns uint8.

    Args:
        grey: (H, W) float in 0..1.
        how: the preprocessing that belongs to the weights.
        size: (height, width).
    """
    if how.contrast == "p99":
        grey = stretch(grey)
    if how.orientation != "as-is":
        canvas = upright(grey, how.scale, size, turn=how.orientation == "upright")
    else:
        if how.pad_to is not None:
            grey = pad(grey, how.pad_to)
        canvas = resize(grey, size)
    levels = canvas * 255 + 0.5
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


def stretch(grey: np.ndarray) -> np.ndarray:
    """Return grey with background 0 and the brightest percent at 1 or above; a light background is inverted."""
    background = border_median(grey)
    value = background - grey if background > 0.5 else grey - background
    value = np.maximum(value, 0)
    inside = value[foreground(value)]
    top = percentile(inside, 99) if inside.size else 0.0
    return value / top if top > 0 else value


def foreground(value: np.ndarray) -> np.ndarray:
    """Return the mask of the chromosome in an image whose background is 0, (H, W) bool."""
    return value > FOREGROUND * percentile(value, 99.5)


def measure_pose(value: np.ndarray, turn: bool = True) -> Pose | None:
    """Measure how the chromosome lies, from the second moments of its mask; None where there is nothing.

    Args:
        value: (H, W) float with background 0.
        turn: find the axis; else take the vertical for it.
    """
    ys, xs = np.nonzero(foreground(value))
    if len(ys) < 3:
        return None
    x, y = xs.sum() / len(xs), ys.sum() / len(ys)
    dx, dy = xs - x, ys - y
    # The direction (sin, cos) of largest variance, of the two the one that points down the image.
    angle = 0.5 * math.atan2(2 * (dx @ dy), dy @ dy - dx @ dx) if turn else 0.0
    sin, cos = math.sin(angle), math.cos(angle)
    along, across = sin * dx + cos * dy, cos * dx - sin * dy
    low, high, left, right = along.min(), along.max(), across.min(), across.max()
    half, side = (low + high) / 2, (left + right) / 2
    middle = (float(x + sin * half + cos * side), float(y + cos * half - sin * side))
    return Pose(angle, middle, float(high - low) + 1, float(right - left) + 1)


def upright(value: np.ndarray, scale: float, size: tuple[int, int], turn: bool = True) -> np.ndarray:
    """Return a canvas (height, width) with the chromosome's principal axis vertical and its extent centred.

    It is turned by at most 90 degrees, so a short arm that was up stays up. A chromosome that would not fit at
    ``scale`` is shrunk to fit. Without ``turn`` it is scaled and centred as it lies.
    """
    height, width = size
    background = 0.0 if value.min() == 0 else border_median(value)
    pose = measure_pose(np.abs(value - background) if background else value, turn)
    if pose is None:
        return pad(value, size)[:height, :width]
    scale = min(scale, (height - 2) / pose.length, (width - 2) / pose.width)
    cos, sin = math.cos(pose.angle) / scale, math.sin(pose.angle) / scale
    # PIL maps a canvas pixel's centre to a source point: (x, y) -> (a x + b y + c, d x + e y + f).
    a, b, d, e = cos, sin, -sin, cos
    c = pose.center[0] + 0.5 - a * width / 2 - b * height / 2
    f = pose.center[1] + 0.5 - d * width / 2 - e * height / 2
    image = Image.fromarray(value.astype(np.float32, copy=False))
    turned = image.transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=background
    )
    return np.asarray(turned)


def pad(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pad to (height, width) with the border median, centred; a larger image is first shrunk, its proportions kept."""
    height, width = size
    shrink = min(1.0, height / grey.shape[0], width / grey.shape[1])
    if shrink < 1:
        grey = resize(grey, (max(1, int(grey.shape[0] * shrink)), max(1, int(grey.shape[1] * shrink))))
    canvas = np.full(size, border_median(grey), np.float32)
    top, left = (height - grey.shape[0]) // 2, (width - grey.shape[1]) // 2
    canvas[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return canvas


def resize(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize bilinearly (with antialiasing where it shrinks) to (height, width)."""
    if grey.shape == tuple(size):
        return grey
    image = Image.fromarray(grey.astype(np.float32, copy=False))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
