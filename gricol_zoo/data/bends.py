"""Bends of the chromosome's axis as far as a U or a V, laid upright again as preparation would lay them.

They change where each pixel of a canvas is sampled, so with tilt, scale and shift an image is sampled only once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.grids import FOREGROUND, extent_of

ARC, KINK = math.radians(200), math.radians(150)  # by which an axis turns at most
LEAST = 0.2  # of that: no less is a strong bend
BEND_NUMBERS = 5  # that describe a strong bend
POINTS, COLUMNS = 64, 15  # along the axis; across the chromosome, to measure how it lies
COARSE, ROWS = 3, 64  # spacing of the grid on which nearest points are sought: pixels at least, and rows at most


class Axis(NamedTuple):
    """The bent axes of n chromosomes, P points each from the upper end to the lower, in pixels.

    The middle of an axis is at (0, 0), and runs straight down there.

    Attributes:
        along: (n, P) place of each point on the straight axis, from its middle.
        point, tangent, normal: (n, P, 2) x, y; the tangent points to the lower end, and the normal right where it points down.
        curvature: (n, P) radians a pixel, positive where the axis turns to the right-hand normal.
    """

    along: Tensor
    point: Tensor
    tangent: Tensor
    normal: Tensor
    curvature: Tensor


def bent_axis(length: Tensor, half: Tensor, numbers: Tensor) -> Axis:
    """Return axes bent along an arc or at a kink.

    A chromosome bends no tighter than its thickness lets it, so short thick ones turn by less.

    Args:
        length: (n,) pixels along the chromosome.
        half: (n,) pixels, half its mean width.
        numbers: (n, 5) uniform in 0..1: arc or kink; how far it turns; to which side; where the kink is; how sharp.
    """
    kind, much, side, where, spread = numbers.unbind(1)
    kinked = (kind < 0.5)[:, None]
    limit = torch.where(kinked[:, 0], KINK, ARC).minimum(length / (2.5 * half))
    turn = (limit * (LEAST + (1 - LEAST) * much) * (side < 0.5).float().mul(2).sub(1))[:, None]
    along = length[:, None] * torch.linspace(-0.5, 0.5, POINTS, device=length.device)
    # The turn has come about as a ramp along an arc, and as a smooth step of a certain width at a kink.
    wide = (half[:, None] * turn.abs() * (1 + 2 * spread[:, None])).clamp_min(1)
    place = length[:, None] * (where[:, None] - 0.5) / 2

    def heading(along: Tensor) -> Tensor:
        step = ((along - place) / wide).clamp(-0.5, 0.5)
        return turn * torch.where(kinked, step + torch.sin(2 * math.pi * step) / (2 * math.pi), along / length[:, None])

    step = ((along - place) / wide).clamp(-0.5, 0.5)
    curvature = turn * torch.where(kinked, (1 + torch.cos(2 * math.pi * step)) / wide, 1 / length[:, None])
    curvature[:, 0] = curvature[:, -1] = 0  # what lies beyond the ends goes on straight
    angle = heading(along) - heading(torch.zeros_like(place))
    tangent = torch.stack([torch.sin(angle), torch.cos(angle)], 2)
    normal = torch.stack([torch.cos(angle), -torch.sin(angle)], 2)
    steps = (tangent[:, 1:] + tangent[:, :-1]) / 2 * (length / (POINTS - 1))[:, None, None]
    point = F.pad(steps.cumsum(1), (0, 0, 1, 0))
    point = point - point[:, POINTS // 2 - 1 : POINTS // 2 + 1].mean(1, keepdim=True)
    return Axis(along, point, tangent, normal, curvature)


class StrongBend(NamedTuple):
    """How n chromosomes of a batch are bent, and laid upright again.

    Attributes:
        which: (n,) int64, their places in the batch.
        start: (n, 2) x, y of the middle of the straight chromosome, pixels from the middle of the canvas.
        axis: the bent axes.
        down: (n, 2) x, y of the unit vector that points down the canvas once the bent chromosome is upright.
        middle: (n, 2) x, y of the middle of its extent along and across that.
        length, width: (n,) pixels, its extent.
        thick: (n,) pixels, half the width of the straight chromosome and a bit.
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
        """Change where the pixels of the chosen images are sampled, (B, H, W, 2) in -1..1 as for ``grid_sample``."""
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
        """Return how far across and along the straight axes lies what is at (n, m, 2) x, y now: (n, m) each, in pixels."""
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
    """Move the border between two arms that meet inside a bend out of the chromosome.

    Between two points of the coarse grid that belong to different arms, the field would run through all that lies between
    them on the axis.

    Args:
        across: (n, h, w) pixels from the straight axis.
        along: (n, h, w) pixels from its middle.
        thick: (n,) pixels, half the width of the straight chromosome.
        far: (n,) pixels along the axis, between points of different arms.
    """
    far = far[:, None, None]
    down = F.pad(along.diff(dim=1).abs() > far, (0, 0, 1, 1))
    right = F.pad(along.diff(dim=2).abs() > far, (1, 1))
    border = down[:, 1:] | down[:, :-1] | right[..., 1:] | right[..., :-1]
    return torch.where(border, across.abs().maximum(thick[:, None, None]).copysign(across), across)


def bend_strongly(images: Tensor, which: Tensor, numbers: Tensor) -> StrongBend:
    """Bend some of the upright chromosomes of a batch strongly, and find how each lies then.

    The principal axis is turned to the vertical so that the end that was the upper one lies above the other again.

    Args:
        images: (B, H, W) background 0.
        which: (n,) int64, the ones to bend.
        numbers: (B, 5) uniform in 0..1, see ``bent_axis``.
    """
    images, numbers = images[which], numbers[which]
    box, (height, width) = extent_of(images), images.shape[1:]
    mask = (images > FOREGROUND).float()
    area = mask.sum((1, 2))
    axis = bent_axis(box.length, (area / box.length / 2).clamp_min(1), numbers)
    # A lattice along and across the straight chromosome, and where its points come to lie.
    across = box.width[:, None] * torch.linspace(-0.5, 0.5, COLUMNS, device=images.device)
    lattice = torch.stack(torch.broadcast_tensors(across[:, None], axis.along[..., None]), 3) + box.middle[:, None, None]
    lattice = lattice / torch.tensor([width / 2, height / 2], device=images.device)
    inside = F.grid_sample(mask[:, None], lattice, align_corners=False)[:, 0]
    inside = (inside * (1 - axis.curvature[..., None] * across[:, None]).clamp_min(0)).flatten(1)  # the inner side is crowded
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
    """Return the unit vectors, (n, 2), of largest variance of points (n, m, 2) of a weight (n, m); y is at least 0."""
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
    apart = place - (weight[..., None] * place).sum(1, keepdim=True)
    x, y = apart.unbind(2)
    angle = torch.atan2(2 * (weight * x * y).sum(1), (weight * (y * y - x * x)).sum(1)) / 2
    return torch.stack([torch.sin(angle), torch.cos(angle)], 1)


def _range(value: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest of values (n, m) where their weight is not next to nothing, (n,) each."""
    there = weight > 0.1
    there |= ~there.any(1, keepdim=True)
    return torch.where(there, value, math.inf).amin(1), torch.where(there, value, -math.inf).amax(1)
