"""From a grey image to the canvas of the network: (H, W) float in 0..1 -> (height, width) uint8.

There are three ways, chosen by ``Preprocess``. The paper's: pad to 224x224 with the background, then resize bilinearly to
448x456 (section 2.1). Preparation 1, used by the 128-pixel weights: upright, centred, background 0, brightest bands 255.
Preparation 2: the same for the chromosome alone, from any camera (``gricol_zoo.data.find``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.images import border_median, percentile
from gricol_zoo.data.levels import to_levels
from gricol_zoo.spec import Preprocess

FOREGROUND = 0.15  # of the 99.5th percentile above background: brighter pixels count as chromosome


class Pose(NamedTuple):
    """Position and orientation of a chromosome in its crop.

    Attributes:
        angle: of the principal axis from the vertical, radians in (-pi/2, pi/2], counter-clockwise positive.
        center: (x, y) of the middle of its extent along and across the axis, in pixels.
        length, width: its extent along and across the axis, in pixels.
    """

    angle: float
    center: tuple[float, float]
    length: float
    width: float


class Prepared(NamedTuple):
    """A canvas, and the measurements made for it. Only preparation 2 measures; otherwise they have their defaults.

    Attributes:
        canvas: (height, width) uint8.
        length, width: of the chromosome along and across its axis, in crop pixels; 0 if none was found.
        shrunk: factor below 1 by which a chromosome too large for the canvas was shrunk; else 1.
        area: number of pixels of the chromosome in the crop; 0 if none was found.
        others: number of further pieces of the crop that could be chromosomes.
        light: whether the background was lighter than the chromosome.
        top: difference of the brightest percent of the chromosome from the background, in the units of the crop.
    """

    canvas: np.ndarray
    length: float = 0.0
    width: float = 0.0
    shrunk: float = 1.0
    area: int = 0
    others: int = 0
    light: bool = False
    top: float = 0.0


def to_canvas(grey: np.ndarray, how: Preprocess, size: tuple[int, int], scale: float = 1.0) -> np.ndarray:
    """Convert a grey image to a canvas, (height, width) uint8. Arguments as for ``prepare``."""
    return prepare(grey, how, size, scale).canvas


def prepare(grey: np.ndarray, how: Preprocess, size: tuple[int, int], scale: float = 1.0) -> Prepared:
    """Convert a grey image to a canvas, and measure the chromosome.

    Args:
        grey: (H, W) float in 0..1.
        how: the preprocessing that belongs to the weights.
        size: (height, width) of the canvas.
        scale: factor that brings the crop to the scale of the training images.
    """
    if how.orientation == "as-is":
        return Prepared(to_levels(as_it_lies(grey, how, size, scale)))
    turn, drawn = how.orientation == "upright", how.scale * scale
    if how.version == 1:
        value = stretch(grey, how.ground) if how.contrast == "p99" else grey
        return Prepared(to_levels(upright(value, drawn, size, turn)))
    found = find_chromosome(grey, how.ground)
    value = found.value if how.contrast == "p99" else found.value * np.float32(found.top)
    pose = pose_of(found.mask, turn)
    if pose is None:
        return Prepared(np.zeros(size, np.uint8), others=found.others, light=found.light)
    fit = fitting(pose, drawn, size)
    canvas = place_alone(smooth(value, 1 / fit), pose, fit, size, found.rim)
    area = int(np.count_nonzero(found.mask))
    return Prepared(canvas, pose.length, pose.width, fit / drawn, area, found.others, found.light, found.top)


def place_alone(value: np.ndarray, pose: Pose, scale: float, size: tuple[int, int], rim: int) -> np.ndarray:
    """Return the result of ``place`` as uint8 levels, faster: only the part of the canvas with the chromosome is computed.

    Args:
        value: (h, w) float32, 0 except for the chromosome and a few pixels around it.
        pose: pose of the chromosome.
        scale: canvas pixels per pixel of ``value``.
        size: (height, width) of the canvas.
        rim: distance from the chromosome's mask up to which the value may not be 0, in pixels of ``value``.
    """
    # The reach of the corner of a square that is as wide as dilation, sampling and blur together.
    far = (abs(math.sin(pose.angle)) + math.cos(pose.angle)) * (rim + 1 + (1 / scale if scale < 1 else 0))
    rows, columns = (
        min(math.ceil((extent / 2 + far) * scale), side // 2)
        for extent, side in zip((pose.length, pose.width), size, strict=True)
    )
    if size[0] % 2 or size[1] % 2:  # the middle is inside a pixel
        return to_levels(place(value, pose, scale, size))
    canvas = np.zeros(size, np.uint8)
    window = canvas[size[0] // 2 - rows : size[0] // 2 + rows, size[1] // 2 - columns : size[1] // 2 + columns]
    window[:] = to_levels(place(value, pose, scale, (2 * rows, 2 * columns)))
    return canvas


def as_it_lies(grey: np.ndarray, how: Preprocess, size: tuple[int, int], scale: float) -> np.ndarray:
    """Return the canvas of a crop that is neither rotated nor centred, as in the paper."""
    if how.contrast == "p99":
        grey = stretch(grey, how.ground)
    if scale != 1:
        grey = resize(grey, (max(1, round(grey.shape[0] * scale)), max(1, round(grey.shape[1] * scale))))
    if how.pad_to is not None:
        grey = pad(grey, how.pad_to)
    return resize(grey, size)


def stretch(grey: np.ndarray, ground: str = "auto") -> np.ndarray:
    """Return grey values with background 0 and the brightest percent at 1 or above; a light background is inverted.

    With ``ground="auto"`` a background above half of full scale counts as light, as in preparation 1.
    """
    background = border_median(grey)
    light = background > 0.5 if ground == "auto" else ground == "light"
    value = background - grey if light else grey - background
    value = np.maximum(value, 0)
    inside = value[foreground(value)]
    top = percentile(inside, 99) if inside.size else 0.0
    return value / top if top > 0 else value


def foreground(value: np.ndarray) -> np.ndarray:
    """Return the mask of the chromosome in an image whose background is 0, (H, W) bool."""
    return value > FOREGROUND * percentile(value, 99.5)


def measure_pose(value: np.ndarray, turn: bool = True) -> Pose | None:
    """Measure the pose of the chromosome from the second moments of its mask; None if there is none.

    Args:
        value: (H, W) float with background 0.
        turn: whether to find the principal axis; else the vertical is used.
    """
    return pose_of(foreground(value), turn)


def pose_of(mask: np.ndarray, turn: bool = True) -> Pose | None:
    """Measure the pose of a mask, (H, W) bool; None if it has fewer than three pixels. See ``measure_pose``."""
    ys, xs = np.nonzero(mask)
    if len(ys) < 3:
        return None
    x, y = xs.sum() / len(xs), ys.sum() / len(ys)
    dx, dy = xs - x, ys - y
    # The direction (sin, cos) of largest variance; of the two opposite ones, that which points down the image.
    angle = 0.5 * math.atan2(2 * (dx @ dy), dy @ dy - dx @ dx) if turn else 0.0
    sin, cos = math.sin(angle), math.cos(angle)
    along, across = sin * dx + cos * dy, cos * dx - sin * dy
    low, high, left, right = along.min(), along.max(), across.min(), across.max()
    half, side = (low + high) / 2, (left + right) / 2
    middle = (float(x + sin * half + cos * side), float(y + cos * half - sin * side))
    return Pose(angle, middle, float(high - low) + 1, float(right - left) + 1)


def upright(value: np.ndarray, scale: float, size: tuple[int, int], turn: bool = True) -> np.ndarray:
    """Return a canvas (height, width) with the chromosome's principal axis vertical and its extent centred.

    It is rotated by at most 90 degrees, so a short arm that was up stays up. A chromosome that does not fit at ``scale`` is
    shrunk to fit. Without ``turn`` it is scaled and centred, but not rotated.
    """
    height, width = size
    background = 0.0 if value.min() == 0 else border_median(value)
    pose = measure_pose(np.abs(value - background) if background else value, turn)
    if pose is None:
        return pad(value, size)[:height, :width]
    return place(value, pose, fitting(pose, scale, size), size, background)


def fitting(pose: Pose, scale: float, size: tuple[int, int]) -> float:
    """Return the scale, or a smaller one at which the chromosome fits a canvas of ``size`` with one pixel to spare."""
    return min(scale, (size[0] - 2) / pose.length, (size[1] - 2) / pose.width)


def place(value: np.ndarray, pose: Pose, scale: float, size: tuple[int, int], background: float = 0.0) -> np.ndarray:
    """Return a canvas, (height, width) float32, with the chromosome upright in its middle, drawn at ``scale``."""
    height, width = size
    cos, sin = math.cos(pose.angle) / scale, math.sin(pose.angle) / scale
    # PIL maps a canvas pixel's centre to a source point: (x, y) -> (a x + b y + c, d x + e y + f).
    a, b, d, e = cos, sin, -sin, cos
    c = pose.center[0] + 0.5 - a * width / 2 - b * height / 2
    f = pose.center[1] + 0.5 - d * width / 2 - e * height / 2
    value = np.ascontiguousarray(value, np.float32)
    image = Image.frombuffer("F", value.shape[::-1], value, "raw", "F", 0, 1)
    turned = image.transform(
        (width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=background
    )
    return np.asarray(turned)


def smooth(value: np.ndarray, step: float) -> np.ndarray:
    """Blur for taking every ``step``-th pixel: with a triangle of that half width, as an antialiasing resize does.

    With a step of up to 1 nothing is blurred.
    """
    if step <= 1:
        return value
    down, across = (triangle(side, step) for side in value.shape)
    return (down @ value @ across.T).astype(np.float32)


def triangle(side: int, half_width: float) -> np.ndarray:
    """Return the (side, side) float32 matrix that blurs a row of pixels with a triangle; each of its rows sums to 1."""
    place = np.arange(side)
    weights = np.maximum(1 - np.abs(place[:, None] - place) / half_width, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def pad(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pad to (height, width) with the border median, centred; a larger image is first shrunk, keeping its proportions."""
    height, width = size
    shrink = min(1.0, height / grey.shape[0], width / grey.shape[1])
    if shrink < 1:
        grey = resize(grey, (max(1, int(grey.shape[0] * shrink)), max(1, int(grey.shape[1] * shrink))))
    canvas = np.full(size, border_median(grey), np.float32)
    top, left = (height - grey.shape[0]) // 2, (width - grey.shape[1]) // 2
    canvas[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return canvas


def resize(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize bilinearly to (height, width), with antialiasing when shrinking."""
    if grey.shape == tuple(size):
        return grey
    image = Image.fromarray(grey.astype(np.float32, copy=False))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
