"""Draw canvases in a graph: upright sampling, blurring, resizing, padding. ``data/preprocess.py`` does the same with Pillow."""

from __future__ import annotations

import torch
from torch import Tensor

from gricol_zoo.export.measure import Box, Pose, axes, percentile, ratio

Span = int | Tensor
"""Number of rows or columns of the window in the middle of a canvas that is computed: all (int), or (B, 1, 1) float64."""


def place(
    value: Tensor,
    pose: Pose,
    scale: Tensor,
    size: tuple[int, int],
    background: Tensor,
    box: Box,
    window: tuple[Span, Span] | None = None,
) -> Tensor:
    """Return canvases, (B, *size) float32, with each chromosome upright in the middle.

    Args:
        value: (B, H, W) float32.
        pose: of the chromosomes, in the box.
        scale: (B, 1, 1) float64, canvas pixels per pixel of ``value``.
        size: (height, width) of the canvas.
        background: (B, 1, 1) float32, the value outside the box.
        box: the part of ``value`` that is used.
        window: rows and columns of the window from whose first pixel positions are counted, so that they round as in Python;
            None for the whole canvas.
    """
    height, width = size if window is None else window
    sin, cos = pose.sin / scale, pose.cos / scale
    down = torch.arange(size[0], dtype=torch.float64).reshape(1, -1, 1) - (size[0] - height) / 2 + 0.5
    across = torch.arange(size[1], dtype=torch.float64).reshape(1, 1, -1) - (size[1] - width) / 2 + 0.5
    x = cos * across + sin * down + (pose.x + 0.5 - cos * width / 2 - sin * height / 2)
    y = cos * down - sin * across + (pose.y + 0.5 + sin * width / 2 - cos * height / 2)
    return sample(value, x, y, background, box)


def sample(value: Tensor, x: Tensor, y: Tensor, fill: Tensor, box: Box) -> Tensor:
    """Sample images bilinearly at positions in their boxes (0.5 is the first pixel's centre), as Pillow does; ``fill`` outside.

    Args:
        value: (B, H, W) float32.
        x: (B, h, w) float64, across, in pixels.
        y: the same, down.
        fill: (B, 1, 1) float32.
        box: the part of ``value`` that is used.
    """
    outside = (x < 0) | (x >= box.width) | (y < 0) | (y >= box.height)
    left, top = (x - 0.5).floor(), (y - 0.5).floor()
    right_part, lower_part = (x - 0.5 - left).float(), (y - 0.5 - top).float()
    column, row = left.long() + box.left, top.long() + box.top
    columns = [each.clamp(box.left, box.right) for each in (column, column + 1)]
    rows = [each.clamp(box.top, box.bottom) * value.shape[2] for each in (row, row + 1)]
    flat = value.flatten(1)

    def between(row: Tensor) -> Tensor:
        first, second = (flat.gather(1, (row + column).flatten(1)).reshape(x.shape) for column in columns)
        return first + (second - first) * right_part

    upper, lower = between(rows[0]), between(rows[1])
    return torch.where(outside, fill, upper + (lower - upper) * lower_part)


def window_of(pose: Pose, scale: Tensor, size: tuple[int, int], rim: Tensor) -> tuple[Span, Span]:
    """Return the number of rows and columns in the middle of canvases that ``place_alone`` of ``data/preprocess.py`` computes.

    Args:
        pose: of the chromosomes.
        scale: (B, 1, 1) float64, canvas pixels per pixel of the crop.
        size: (height, width) of the canvas.
        rim: (B, 1, 1) float64, distance from a chromosome's mask up to which its value may not be 0, in crop pixels.
    """
    if size[0] % 2 or size[1] % 2:
        return size
    far = (pose.sin.abs() + pose.cos) * (rim + 1 + torch.where(scale < 1, ratio(1, scale), 0))
    rows, columns = (
        torch.ceil((extent / 2 + far) * scale).clamp_max(side // 2)
        for extent, side in zip((pose.length, pose.width), size, strict=True)
    )
    return 2 * rows, 2 * columns


def smooth(value: Tensor, step: Tensor, box: Box) -> Tensor:
    """Blur each image with a triangle of half width ``step``, for taking every ``step``-th pixel.

    Args:
        value: (B, H, W) float32.
        step: (B, 1, 1) float64; a step of up to 1 changes nothing.
        box: the part of ``value`` that is used; the rest becomes 0.
    """
    rows, columns = axes(value)
    down = triangle(rows, step, (rows >= box.top) & (rows <= box.bottom))
    across = triangle(columns.transpose(1, 2), step, ((columns >= box.left) & (columns <= box.right)).transpose(1, 2))
    return down @ value @ across.transpose(1, 2)


def triangle(place: Tensor, half_width: Tensor, there: Tensor) -> Tensor:
    """Return the matrices that blur a row of n pixels with a triangle, (B, n, n) float32; each of their rows sums to 1.

    Args:
        place: (1, n, 1) float64, 0, 1, ...
        half_width: (B, 1, 1) float64; up to 1 the matrix is the identity.
        there: (B, n, 1) bool, the pixels that exist; other rows and columns of the matrix are 0.
    """
    far = (place - place.transpose(1, 2)).abs() / half_width.clamp_min(1)
    weight = torch.where(there & there.transpose(1, 2), (1 - far).clamp_min(0), 0.0)
    return (weight / weight.sum(2, keepdim=True).clamp_min(1)).float()  # the weight of a pixel for itself is 1


def weights(length: Tensor, places: Tensor, size: int) -> Tensor:
    """Return the matrix, (size, in), of a bilinear resize with antialiasing when shrinking (Pillow's triangle filter).

    Args:
        length: number of pixels after resizing; further rows of the matrix are 0.
        places: (in,) 0, 1, ..., the pixels before resizing.
        size: number of rows of the matrix.
    """
    out = torch.arange(size, dtype=torch.float64)[:, None]
    step = (places[-1] + 1) / length
    far = (places[None] + 0.5 - (out + 0.5) * step).abs() / step.clamp_min(1)
    triangle = torch.where(out < length, (1 - far).clamp_min(0), torch.zeros_like(far))
    return triangle / triangle.sum(1, keepdim=True).clamp_min(1e-12)


def resample(value: Tensor, shape: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize images bilinearly to ``size``, (B, H, W) -> (B, *size); ``shape`` is (H, W)."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in shape)
    down = weights(torch.full_like(rows[0], size[0]), rows, size[0]).float()
    across = weights(torch.full_like(columns[0], size[1]), columns, size[1]).float()
    return down @ (value @ across.T)


def pad(grey: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad to ``size`` with the border median, centred, (B, H, W) -> (B, *size); larger images are first shrunk."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in (grey.shape[1], grey.shape[2]))
    height, width = rows[-1] + 1, columns[-1] + 1
    shrink = torch.minimum(ratio(size[0], height), ratio(size[1], width)).clamp_max(1)
    height, width = (torch.where(shrink < 1, (side * shrink).floor().clamp_min(1), side) for side in (height, width))
    down, across = weights(height, rows, size[0]).float(), weights(width, columns, size[1]).float()
    small = down @ (grey @ across.T)  # in the top left corner
    y, x = torch.arange(size[0]), torch.arange(size[1])
    bottom, right = height.long() - 1, width.long() - 1
    edges = [
        small[:, 0],
        small.index_select(1, bottom.reshape(1))[:, 0],
        small[:, :, 0],
        small.index_select(2, right.reshape(1))[:, :, 0],
    ]
    inside = [x <= right, x <= right, y <= bottom, y <= bottom]
    border, there = torch.cat(edges, dim=1), torch.cat(inside)[None]
    background = percentile(border, there.expand_as(border), 50)
    top, left = (size[0] - height.long()) // 2, (size[1] - width.long()) // 2
    moved = small.index_select(1, (y - top).clamp(0, size[0] - 1)).index_select(2, (x - left).clamp(0, size[1] - 1))
    shown = ((y >= top) & (y <= top + bottom))[:, None] & ((x >= left) & (x <= left + right))[None]
    return torch.where(shown[None], moved, background)
