"""Where the pixels of a canvas are sampled, and where its chromosome is: grids (B, H, W, 2) as ``grid_sample`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.draws import replace

FOREGROUND = 0.15  # of full scale: what counts as chromosome on a canvas


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
        """(B, 2): x, y."""
        return torch.stack([self.left + self.right, self.top + self.bottom], 1) / 2


def extent_of(images: Tensor) -> Extent:
    """Return the boxes around what is brighter than ``FOREGROUND`` in (B, H, W), background 0."""
    return Extent(*_ends(images.amax(2) > FOREGROUND), *_ends(images.amax(1) > FOREGROUND))


def _ends(there: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the first True of each row of (B, n) begins and the last one ends, from the row's middle."""
    count = there.shape[1]
    place = torch.arange(count, device=there.device)
    first = torch.where(there, place, count - 1).amin(1)
    last = torch.maximum(torch.where(there, place, 0).amax(1), first) + 1
    return first - count / 2, last - count / 2


def affine_grid(theta: Tensor, size: Sequence[int]) -> Tensor:
    """Return what torch's function of this name does for a size (height, width), (B, H, W, 2), up to rounding."""
    rows, columns = (torch.arange(1 - side, side, 2, device=theta.device) / side for side in size)
    grid = torch.empty(len(theta), *size, 2, device=theta.device)
    for axis in (0, 1):
        by_column, by_row = theta[:, axis, :1] * columns, theta[:, axis, 1:2] * rows + theta[:, axis, 2:]
        grid[..., axis] = by_row[:, :, None] + by_column[:, None]
    return grid


def turn_and_turn_back(images: Tensor, which: Tensor, angle: Tensor) -> Tensor:
    """Turn some of the images (B, H, W) by an angle each, (n,) radians, and back: resampled twice, and nothing else."""
    if not len(which):
        return images
    size = images.shape[1:]
    wide = (max(size) + 8,) * 2  # nothing of a chromosome is cut off, however it is turned
    aside = F.grid_sample(images[which].unsqueeze(1), turning(angle, wide, size), align_corners=False)
    return replace(images, which, F.grid_sample(aside, turning(-angle, size, wide), align_corners=False)[:, 0])


def turning(angle: Tensor, to: Sequence[int], of: Sequence[int], about: Tensor | None = None) -> Tensor:
    """Return where images of a size (height, width) are sampled to be turned by an angle each, (n,) radians, on a size ``to``.

    Their middle comes to lie in the middle, or at ``about``, (n, 2) x, y pixels from it.
    """
    cos, sin = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    shift = torch.zeros_like(turn[:, :, :1]) if about is None else -turn @ about[:, :, None]
    theta = torch.cat([turn * torch.tensor([to[1] / 2, to[0] / 2], device=angle.device), shift], 2)
    return affine_grid(theta / torch.tensor([[of[1] / 2], [of[0] / 2]], device=angle.device), to)


def centring(images: Tensor, which: Tensor, but: Tensor | None) -> Tensor:
    """Return the shifts, (B, 2) x, y as in ``affine_grid``, that centre what is seen in some of the images.

    Args:
        images: (B, H, W), background 0.
        which: (n,) int64, the ones to centre.
        but: of those, the ones not to.
    """
    shift = torch.zeros(len(images), 2, device=images.device)
    half = torch.tensor([images.shape[2] / 2, images.shape[1] / 2], device=images.device)
    shift[which] = extent_of(images[which]).middle / half
    if but is not None:
        shift[but] = 0
    return shift


def bend_along_arc(grid: Tensor, turn: Tensor, images: Tensor) -> Tensor:
    """Change where each pixel is sampled so that the upright chromosome lies along an arc of a circle, centred again.

    Args:
        grid: (B, H, W, 2) sampling points in -1..1, x first, as for ``grid_sample``.
        turn: (B,) radians by which the axis turns from end to end, less than pi.
        images: (B, H, W), background 0, to see how long each chromosome is.
    """
    height, width = images.shape[1:]
    length = (images > FOREGROUND).any(2).sum(1).clamp_min(1)
    curvature = (turn / length).view(-1, 1, 1)
    curvature = torch.where(curvature.abs() < 1e-5, torch.full_like(curvature, 1e-5), curvature)
    depth = (1 - torch.cos(turn / 2)).view(-1, 1, 1) / curvature  # how far the ends lie aside of the middle
    x, y = grid[..., 0] * width / 2 + depth / 2, grid[..., 1] * height / 2
    # The point of the straight chromosome that came to lie at (x, y): its distance from the circle, and its place along it.
    across = (1 - torch.hypot(1 - curvature * x, curvature * y)) / curvature
    along = torch.atan2(curvature * y, 1 - curvature * x) / curvature
    return torch.stack([across * 2 / width, along * 2 / height], dim=-1)
