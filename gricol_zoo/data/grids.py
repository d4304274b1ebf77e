"""Sampling grids, (B, H, W, 2) as for ``grid_sample``, and the extent of the chromosome on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.draws import replace

FOREGROUND = 0.15  # of full scale: brighter pixels of a canvas count as chromosome


class Extent(NamedTuple):
    """The box around each chromosome of a batch, (B,) each, in pixels from the middle of the canvas."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor

    @property
    def length(self) -> Tensor:
        """Pixels from top to bottom, at least 1."""
        return self.bottom - self.top

    @property
    def width(self) -> Tensor:
        """Pixels from left to right, at least 1."""
        return self.right - self.left

    @property
    def middle(self) -> Tensor:
        """The middle of the box, (B, 2) as x, y, in pixels from the middle of the canvas."""
        return torch.stack([self.left + self.right, self.top + self.bottom], 1) / 2


def extent_of(images: Tensor) -> Extent:
    """Return the boxes around the pixels brighter than ``FOREGROUND`` in (B, H, W) images, background 0."""
    return Extent(*_ends(images.amax(2) > FOREGROUND), *_ends(images.amax(1) > FOREGROUND))


def _ends(there: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the first True of each row of (B, n) begins and where the last one ends, from the row's middle."""
    count = there.shape[1]
    place = torch.arange(count, device=there.device)
    first = torch.where(there, place, count - 1).amin(1)
    last = torch.maximum(torch.where(there, place, 0).amax(1), first) + 1
    return first - count / 2, last - count / 2


def affine_grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Return the same grid as torch's function of this name for a size (height, width), up to rounding: (B, H, W, 2)."""
    rows, columns = (torch.arange(1 - side, side, 2, device=theta.device) / side for side in size)
    grid = torch.empty(len(theta), *size, 2, device=theta.device)
    for axis in (0, 1):
        by_column, by_row = theta[:, axis, :1] * columns, theta[:, axis, 1:2] * rows + theta[:, axis, 2:]
        grid[..., axis] = by_row[:, :, None] + by_column[:, None]
    return grid


def turn_and_turn_back(images: Tensor, which: Tensor, angle: Tensor) -> Tensor:
    """Rotate some of the images (B, H, W) by an angle each, (n,) radians, and back, in place: they are resampled twice."""
    if not len(which):
        return images
    size = images.shape[1:]
    wide = (max(size) + 8,) * 2  # so large that no chromosome is cut off at any angle
    aside = F.grid_sample(images[which].unsqueeze(1), turning(angle, wide, size), align_corners=False)
    return replace(images, which, F.grid_sample(aside, turning(-angle, size, wide), align_corners=False)[:, 0])


def turning(angle: Tensor, to: Sequence[int], of: Sequence[int], about: Tensor | None = None) -> Tensor:
    """Return the grid, (n, *to, 2), that rotates images by an angle each, (n,) radians.

    Args:
        angle: (n,) radians.
        to: (height, width) of the result.
        of: (height, width) of the images.
        about: (n, 2) x, y pixels from the middle of the result where the middle of each image is placed; None for the middle.
    """
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    shift = torch.zeros_like(turn[:, :, :1]) if about is None else -turn @ about[:, :, None]
    theta = torch.cat([turn * torch.tensor([to[1] / 2, to[0] / 2], device=angle.device), shift], 2)
    return affine_grid(theta / torch.tensor([[of[1] / 2], [of[0] / 2]], device=angle.device), to)


def centring(images: Tensor, which: Tensor, but: Tensor | None) -> Tensor:
    """Return the shifts, (B, 2) x, y as in ``affine_grid``, that centre the foreground of some of the images.

    Args:
        images: (B, H, W), background 0.
        which: (n,) int64, indices of the images to centre.
        but: indices of images not to centre, even if they are in ``which``.
    """
    shift = torch.zeros(len(images), 2, device=images.device)
    half = torch.tensor([images.shape[2] / 2, images.shape[1] / 2], device=images.device)
    shift[which] = extent_of(images[which]).middle / half
    if but is not None:
        shift[but] = 0
    return shift


def bend_along_arc(grid: Tensor, turn: Tensor, images: Tensor) -> Tensor:
    """Change the sampling grid so that the upright chromosome lies along a circular arc, centred again.

    Args:
        grid: (B, H, W, 2) sampling points in -1..1, x first, as for ``grid_sample``.
        turn: (B,) radians by which the axis turns from end to end, less than pi.
        images: (B, H, W), background 0, to measure the length of each chromosome.
    """
    height, width = images.shape[1:]
    length = (images > FOREGROUND).any(2).sum(1).clamp_min(1)
    curvature = (turn / length).view(-1, 1, 1)
    curvature = torch.where(curvature.abs() < 1e-5, torch.full_like(curvature, 1e-5), curvature)
    depth = (1 - torch.cos(turn / 2)).view(-1, 1, 1) / curvature  # sideways distance of the ends from the middle
    x, y = grid[..., 0] * width / 2 + depth / 2, grid[..., 1] * height / 2
    # The point of the straight chromosome that is now at (x, y): its distance from the circle, and its position along it.
    across = (1 - torch.hypot(1 - curvature * x, curvature * y)) / curvature
    along = torch.atan2(curvature * y, 1 - curvature * x) / curvature
    return torch.stack([across * 2 / width, along * 2 / height], dim=-1)
