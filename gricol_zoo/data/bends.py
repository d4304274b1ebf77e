"""Bend the axis of a chromosome, up to the shape of a U or a V, and turn it upright again as preparation would.

A bend changes where each pixel of the canvas is sampled, so that an image is resampled only once, together with tilt, scale and
shift.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.grids import FOREGROUND, extent_of

ARC, KINK = math.radians(200), math.radians(150)  # largest turn of an axis
MIN_TURN = 0.2  # of the largest turn: the smallest turn of a strong bend
BEND_NUMBERS = 5  # random numbers that describe a strong bend
POINTS, COLUMNS = 64, 15  # points along the axis; points across the chromosome, to measure its pose
COARSE, ROWS = 3, 64  # grid on which nearest points are searched for: at least this spacing in pixels, at most this many rows


class Axis(NamedTuple):
    """The bent axes of n chromosomes, in pixels: P points each, from the upper end to the lower.

    The middle of an axis is at (0, 0), where the axis runs straight down.

    Attributes:
        along: (n, P) position of each point on the straight axis, from its middle.
        point, tangent, normal: (n, P, 2) x, y; the tangent points to the lower end; where it points down, the normal points
            right.
        curvature: (n, P) radians per pixel, positive where the axis turns towards the normal.
    """

    along: Tensor
    point: Tensor
    tangent: Tensor
    normal: Tensor
    curvature: Tensor


def bent_axis(length: Tensor, half: Tensor, numbers: Tensor) -> Axis:
    """Return axes bent along an arc or at a kink.

    The thickness of a chromosome limits how tightly it bends, so short thick ones turn by less.

    Args:
        length: (n,) pixels along the chromosome.
        half: (n,) pixels, half its mean width.
        numbers: (n, 5) uniform in 0..1: arc or kink; amount of the turn; side; position of the kink; its sharpness.
    """
    kind, much, side, where, spread = numbers.unbind(1)
    kinked = (kind < 0.5)[:, None]
    limit = torch.where(kinked[:, 0], KINK, ARC).minimum(length / (2.5 * half))
    turn = (limit * (MIN_TURN + (1 - MIN_TURN) * much) * (side < 0.5).float().mul(2).sub(1))[:, None]
    along = length[:, None] * torch.linspace(-0.5, 0.5, POINTS, device=length.device)
    # The heading changes as a ramp along an arc, and as a smooth step of a certain width at a kink.
    wide = (half[:, None] * turn.abs() * (1 + 2 * spread[:, None])).clamp_min(1)
    place = length[:, None] * (where[:, None] - 0.5) / 2

    def heading(along: Tensor) -> Tensor:
        step = ((along - place) / wide).clamp(-0.5, 0.5)
        return turn * torch.where(kinked, step + torch.sin(2 * math.pi * step) / (2 * math.pi), along / length[:, None])

    step = ((along - place) / wide).clamp(-0.5, 0.5)
    curvature = turn * torch.where(kinked, (1 + torch.cos(2 * math.pi * step)) / wide, 1 / length[:, None])
    curvature[:, 0] = curvature[:, -1] = 0  # beyond its ends the axis continues straight
    angle = heading(along) - heading(torch.zeros_like(place))
    tangent = torch.stack([torch.sin(angle), torch.cos(angle)], 2)
    normal = torch.stack([torch.cos(angle), -torch.sin(angle)], 2)
    steps = (tangent[:, 1:] + tangent[:, :-1]) / 2 * (length / (POINTS - 1))[:, None, None]
    point = F.pad(steps.cumsum(1), (0, 0, 1, 0))
    point = point - point[:, POINTS // 2 - 1 : POINTS // 2 + 1].mean(1, keepdim=True)
    return Axis(along, point, tangent, normal, curvature)


class StrongBend(NamedTuple):
    """The bends of n chromosomes of a batch, and their poses afterwards.

    Attributes:
        which: (n,) int64, their indices in the batch.
        start: (n, 2) x, y of the middle of the straight chromosome, pixels from the middle of the canvas.
        axis: the bent axes.
        down: (n, 2) x, y of the unit vector that points down the canvas once the bent chromosome is upright.
        middle: (n, 2) x, y of the middle of its extent along and across ``down``.
        length, width: (n,) pixels, its extent along and across ``down``.
        thick: (n,) pixels, half the width of the straight chromosome plus 1.
    """

    which: Tensor
    start: Tensor
    axis: Axis
    down: Tensor
    middle: Tensor
    length: Tensor
    width: Tensor
    thick: Tensor

    def sample(self, grid: Tensor) -> Tensor:
        """Change the sampling grid, (B, H, W, 2) in -1..1 as for ``grid_sample``, of the chosen images; return it."""
        if not len(self.which):
            return grid
        height, width = grid.shape[1:3]
        spacing = max(COARSE, height / ROWS)
        size = (math.ceil(height / spacing), math.ceil(width / spacing))
        half = torch.tensor([width / 2, height / 2], device=grid.device)
        coarse = F.interpolate(grid[self.which].permute(0, 3, 1, 2), size, mode="bilinear", align_corners=True)
        place = coarse.flatten(2).transpose(1, 2) * half
        across, along = (part.unflatten(1, size) for part in self._unbend(place))
        across = _part(across, along, self.thick, -self.axis.along[:, 0] / 2)
        field = torch.stack([across + self.start[:, 0, None, None], along + self.start[:, 1, None, None]], 1)
        fine = F.interpolate(field / half[:, None, None], (height, width), mode="bilinear", align_corners=True)
        grid[self.which] = fine.permute(0, 2, 3, 1).contiguous()
        return grid

    def _unbend(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """Map points after bending, (n, m, 2) x, y, to (n, m) pixels across and along the straight axes."""
        aside = torch.stack([self.down[:, 1], -self.down[:, 0]], 1)
        place = self.middle[:, None] + place[..., :1] * aside[:, None] + place[..., 1:] * self.down[:, None]
        point = self.axis.point
        # The nearest point has the smallest |place - point|^2 / 2, and |place|^2 is the same for all of them.
        near = torch.baddbmm((point**2).sum(2)[:, None], place, point.transpose(1, 2), beta=-0.5).argmax(2)
        table = torch.cat([point, self.axis.tangent, self.axis.along[..., None], self.axis.curvature[..., None]], 2)
        x, y, sin, cos, along, curvature = table.gather(1, near[..., None].expand(-1, -1, 6)).unbind(2)
        x, y = place[..., 0] - x, place[..., 1] - y
        across = x * cos - y * sin
        return across, along + (x * sin + y * cos) / (1 - curvature * across).clamp_min(0.3)


def _part(across: Tensor, along: Tensor, thick: Tensor, far: Tensor) -> Tensor:
    """Separate two arms that meet inside a bend: move the points at their border out of the chromosome.

    Without this, interpolation between two neighbouring points of the coarse grid that belong to different arms would run
    through everything between them on the axis.

    Args:
        across: (n, h, w) pixels from the straight axis.
        along: (n, h, w) pixels from its middle.
        thick: (n,) pixels, half the width of the straight chromosome.
        far: (n,) pixels along the axis: neighbouring points that are farther apart belong to different arms.
    """
    far = far[:, None, None]
    down = F.pad(along.diff(dim=1).abs() > far, (0, 0, 1, 1))
    right = F.pad(along.diff(dim=2).abs() > far, (1, 1))
    border = down[:, 1:] | down[:, :-1] | right[..., 1:] | right[..., :-1]
    return torch.where(border, across.abs().maximum(thick[:, None, None]).copysign(across), across)


def bend_strongly(images: Tensor, which: Tensor, numbers: Tensor) -> StrongBend:
    """Bend some of the upright chromosomes of a batch strongly, and measure their poses afterwards.

    The principal axis is then turned to the vertical, with the end that was the upper one above the other again.

    Args:
        images: (B, H, W), background 0.
        which: (n,) int64, indices of those to bend.
        numbers: (B, 5) uniform in 0..1, see ``bent_axis``.
    """
    images, numbers = images[which], numbers[which]
    box, (height, width) = extent_of(images), images.shape[1:]
    mask = (images > FOREGROUND).float()
    area = mask.sum((1, 2))
    axis = bent_axis(box.length, (area / box.length / 2).clamp_min(1), numbers)
    # A lattice along and across the straight chromosome, and the positions of its points after bending.
    across = box.width[:, None] * torch.linspace(-0.5, 0.5, COLUMNS, device=images.device)
    lattice = torch.stack(torch.broadcast_tensors(across[:, None], axis.along[..., None]), 3) + box.middle[:, None, None]
    lattice = lattice / torch.tensor([width / 2, height / 2], device=images.device)
    inside = F.grid_sample(mask[:, None], lattice, align_corners=False)[:, 0]
    inside = (inside * (1 - axis.curvature[..., None] * across[:, None]).clamp_min(0)).flatten(1)  # denser on the inner side
    place = (axis.point[:, :, None] + axis.normal[:, :, None] * across[:, None, :, None]).flatten(1, 2)
    down = _principal_axis(place, inside)
    forwards = ((axis.point[:, -1] - axis.point[:, 0]) * down).sum(1, keepdim=True)
    down = torch.where(forwards < 0, -down, down)
    aside = torch.stack([down[:, 1], -down[:, 0]], 1)
    low, high = _range((place * down[:, None]).sum(2), inside)
    left, right = _range((place * aside[:, None]).sum(2), inside)
    middle = ((low + high)[:, None] * down + (left + right)[:, None] * aside) / 2
    return StrongBend(which, box.middle, axis, down, middle, high - low, right - left, box.width / 2 + 1)


def _principal_axis(place: Tensor, weight: Tensor) -> Tensor:
    """Return the unit vectors, (n, 2), of largest variance of weighted points, (n, m, 2) and (n, m); their y is at least 0."""
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
    apart = place - (weight[..., None] * place).sum(1, keepdim=True)
    x, y = apart.unbind(2)
    angle = torch.atan2(2 * (weight * x * y).sum(1), (weight * (y * y - x * x)).sum(1)) / 2
    return torch.stack([torch.sin(angle), torch.cos(angle)], 1)


def _range(value: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest of the values (n, m) whose weight is above 0.1, (n,) each."""
    there = weight > 0.1
    there |= ~there.any(1, keepdim=True)
    return torch.where(there, value, math.inf).amin(1), torch.where(there, value, -math.inf).amax(1)
