"""Measure each image of a batch in a graph: percentiles, boxes, and the pose of a chromosome.

A value per image has the shape (B, 1, 1), to broadcast with images (B, H, W). Sums and positions are in float64 where they are
in numpy, so that they round in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Box(NamedTuple):
    """A box in each image: its first and last rows and columns, inclusive, (B, 1, 1) int64 each."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor

    @property
    def height(self) -> Tensor:
        """The number of rows, (B, 1, 1) int64."""
        return self.bottom - self.top + 1

    @property
    def width(self) -> Tensor:
        """The number of columns, (B, 1, 1) int64."""
        return self.right - self.left + 1

    def inside(self, values: Tensor) -> Tensor:
        """Return which pixels of images (B, H, W) are in the box, (B, H, W) bool."""
        rows, columns = axes(values, torch.int64)
        return (rows >= self.top) & (rows <= self.bottom) & (columns >= self.left) & (columns <= self.right)


class Pose(NamedTuple):
    """Pose of the chromosome of each image in its box, (B, 1, 1) float64 each; see ``gricol_zoo.data.preprocess.Pose``.

    Attributes:
        area: number of pixels of its mask; if it is 0, the rest has no meaning.
        sin, cos: of the angle of its axis from the vertical.
        x, y: the middle of its extent.
        length, width: its extent along and across the axis.
    """

    area: Tensor
    sin: Tensor
    cos: Tensor
    x: Tensor
    y: Tensor
    length: Tensor
    width: Tensor


def axes(values: Tensor, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return the row numbers, (1, H, 1), and the column numbers, (1, 1, W), of images (B, H, W)."""
    rows, columns = (torch.arange(side, dtype=dtype) for side in values.shape[1:])
    return rows.reshape(1, -1, 1), columns.reshape(1, 1, -1)


def percentile(values: Tensor, inside: Tensor, q: float) -> Tensor:
    """Return the ``q``-th percentile (linear) of the values inside a mask, (B, n) and (B, n) bool -> (B, 1, 1); 0 if empty."""
    ordered = torch.sort(torch.where(inside, values, torch.inf), dim=1).values
    count = inside.sum(1, keepdim=True)
    last = (count - 1).clamp_min(0)
    place = q / 100 * last.double()
    low = place.floor().long()
    first, second = ordered.gather(1, low), ordered.gather(1, torch.minimum(low + 1, last))
    found = first + (second - first) * (place - low).float()
    return torch.where(count > 0, found, 0.0).reshape(-1, 1, 1)


def percentile_99(values: Tensor, inside: Tensor) -> Tensor:
    """Return the same as ``percentile`` with q = 99, but faster: only the largest hundredth of the values is sorted."""
    maximum = (values.shape[1] + 98) // 100 + 1
    ordered = torch.topk(torch.where(inside, values, -torch.inf), maximum, dim=1).values
    count = inside.sum(1, keepdim=True)
    last = (count - 1).clamp_min(0)
    place = 99 / 100 * last.double()
    low = place.floor().long()
    rank = last - low
    first, second = ordered.gather(1, rank.clamp_max(maximum - 1)), ordered.gather(1, (rank - 1).clamp_min(0))
    found = first + (second - first) * (place - low).float()
    return torch.where(count > 0, found, 0.0).reshape(-1, 1, 1)


def extremes(values: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 0.5th and the 99.5th percentile inside a mask, not interpolated: (B, n), (B, n) bool -> (B, 1, 1) each."""
    rank = torch.round(0.005 * (inside.sum(1, keepdim=True) - 1).double()).long()
    maximum = (values.shape[1] + 99) // 200 + 1

    def largest(one: Tensor) -> Tensor:
        ordered = torch.topk(torch.where(inside, one, -torch.inf), maximum, dim=1).values
        return ordered.gather(1, rank).reshape(-1, 1, 1)

    return -largest(-values), largest(values)


def whole(values: Tensor) -> Box:
    """Return the box of all pixels of images (B, H, W)."""
    first = torch.zeros_like(values[:, :1, :1], dtype=torch.int64)
    return Box(first, first + (values.shape[1] - 1), first, first + (values.shape[2] - 1))


def box_of(mask: Tensor) -> Box:
    """Return the bounding boxes of masks, (B, H, W) bool; for an empty mask, the box of an arbitrary pixel."""
    found = []
    for dim, place in zip((1, 2), axes(mask, torch.int64), strict=True):
        there = mask.any(3 - dim, keepdim=True)
        last = torch.where(there, place, 0).amax(dim, keepdim=True)
        found += [torch.minimum(torch.where(there, place, mask.shape[dim]).amin(dim, keepdim=True), last), last]
    return Box(*found)


def ring_of(box: Box, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return flat indices into images (B, H, W), and which of them are the outermost pixels of the box, with corners twice.

    Returns:
        The indices, (B, 2 H + 2 W) int64, and a mask of the same shape, bool.
    """
    width = values.shape[2]
    top, bottom, left, right = (side.flatten(1) for side in box)
    rows, columns = (axis.flatten(1) for axis in axes(values, torch.int64))
    down, across = (rows >= top) & (rows <= bottom), (columns >= left) & (columns <= right)
    places = [top * width + columns, bottom * width + columns, rows * width + left, rows * width + right]
    return torch.cat(places, 1), torch.cat([across, across, down, down], 1)


def pose_of(mask: Tensor, turn: bool, box: Box) -> Pose:
    """Measure the pose of masks in their boxes.

    Args:
        mask: (B, H, W) bool.
        turn: whether to find the principal axis; else the vertical is used.
        box: the box whose first pixel is the origin.
    """
    inside = mask.double()
    area = total(inside)
    ys, xs = axes(mask)
    ys, xs = ys - box.top, xs - box.left
    x, y = (total(inside * axis) / area.clamp_min(1) for axis in (xs, ys))
    dx, dy = xs - x, ys - y
    sin, cos = principal_axis(dx, dy, inside) if turn else (torch.zeros_like(x), torch.ones_like(x))
    low, high = extent(sin * dx + cos * dy, mask)
    left, right = extent(cos * dx - sin * dy, mask)
    half, side = (low + high) / 2, (left + right) / 2
    return Pose(area, sin, cos, x + sin * half + cos * side, y + cos * half - sin * side, high - low + 1, right - left + 1)


def principal_axis(dx: Tensor, dy: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return sine and cosine of ``atan2(2 dx.dy, dy.dy - dx.dx) / 2``, (B, 1, 1) each, by half-angle formulas.

    The larger of the two is computed as a square root, and the smaller from their product, which avoids cancellation.
    """
    skew, tall = 2 * total(inside * dx * dy), total(inside * (dy * dy - dx * dx))
    length = torch.sqrt(tall * tall + skew * skew)
    tall, length = (torch.where(length > 0, one, 1.0) for one in (tall, length))  # without a long axis: upright
    larger = torch.sqrt((1 + tall.abs() / length).clamp(0, 2) / 2)
    smaller = skew.abs() / (2 * length * larger)
    upwards = tall >= 0
    sin = torch.where(upwards, smaller, larger)
    return torch.where(skew < 0, -sin, sin), torch.where(upwards, larger, smaller)


def total(values: Tensor) -> Tensor:
    """Return sums over images, (B, H, W) -> (B, 1, 1)."""
    return values.sum((1, 2), keepdim=True)


def ratio(one: int, other: Tensor) -> Tensor:
    """Return ``one / other`` rounded as in Python; torch would multiply by the reciprocal."""
    return torch.full_like(other, one) / other


def extent(place: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest position inside the mask, (B, 1, 1) each; 0 and 0 if it is empty."""
    low, high = (
        torch.where(mask, place, 1e9).amin((1, 2), keepdim=True),
        torch.where(mask, place, -1e9).amax((1, 2), keepdim=True),
    )
    return torch.where(low > high, 0.0, low), torch.where(low > high, 0.0, high)


def fitting(pose: Pose, scale: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the scales, (B, 1, 1) float64, or smaller ones at which the chromosomes fit ``size`` with one pixel to spare."""
    return torch.minimum(torch.minimum(ratio(size[0] - 2, pose.length), ratio(size[1] - 2, pose.width)), scale)
