"""Augmentation made for chromosomes, on whole batches: (B, H, W) float 0..1 -> the same shape.

Tilt, scale, shift, flips and an elastic bend are one resampling; contrast, brightness, blur and noise follow. All
randomness comes from the generator that is given, so a step can be repeated exactly, and by any number of processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Draws:
    """Random numbers for each image of a batch, or for every n-th image of one that n processes share.

    Numbers are drawn for the whole batch, and this process's kept: so they are the same however many share it.

    Args:
        generator: on the CPU.
        batch: images that this process has.
        first: its images are number ``first``, ``first + step``, ... of the whole batch.
        step: how many processes share it.
    """

    def __init__(self, generator: torch.Generator, batch: int, first: int = 0, step: int = 1) -> None:
        self.generator = generator
        self.total = batch * step
        self.mine = slice(first, None, step)

    def rand(self, *shape: int, rows: int = 0) -> Tensor:
        """Return uniform numbers in 0..1, (batch, *shape), or ``rows`` of that, (rows, batch, *shape)."""
        if rows:
            return torch.rand(rows, self.total, *shape, generator=self.generator)[:, self.mine]
        return torch.rand(self.total, *shape, generator=self.generator)[self.mine]

    def randn(self, *shape: int) -> Tensor:
        """Return normal numbers, (batch, *shape)."""
        return torch.randn(self.total, *shape, generator=self.generator)[self.mine]


@dataclass(frozen=True)
class Augment:
    """How strongly to change images; every range is symmetric and uniform, 0 switches it off.

    Attributes:
        tilt: degrees.
        scale: relative, of both axes together; stretch: relative, of the height alone.
        shift: fraction of the image.
        bend: shift of each row against the straight axis, as a fraction of the width: a smooth random curve.
        arc: degrees by which the axis turns from end to end, most often little (the square of a uniform number).
        elastic: random displacement of the whole plane, as a fraction of the width.
        flip: probability of a left-right mirror; flip_arms: of an upside-down turn (short arm down).
        contrast: relative gain; gamma: exponent range in log2; brightness: offset, of full scale.
        blur: probability of a 3x3 blur; noise: standard deviation at most, of full scale.
        overlap: probability of a bright stripe across the image, as where another chromosome lay on this one; the rest is the
            darker for it, as after a contrast stretch.
        erase: probability of blanking a random box of up to a fifth of each side.
    """

    tilt: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    bend: float = 0.0
    arc: float = 0.0
    elastic: float = 0.0
    flip: float = 0.0
    flip_arms: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    overlap: float = 0.0
    erase: float = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator, first: int = 0, step: int = 1) -> Tensor:
        """Change a batch of images, (B, H, W) float in 0..1, each in its own way.

        Args:
            images: to change.
            generator: on the CPU.
            first: where several processes share a batch, which of its images is the first of these.
            step: how many share it (see ``Draws``).
        """
        if self == Augment():
            return images
        draws = Draws(generator, len(images), first, step)
        moved = self._move(images, draws)
        return self._relight(moved, draws).clamp(0, 1)

    def _move(self, images: Tensor, draws: Draws) -> Tensor:
        batch, height, width = images.shape
        device = images.device

        def uniform(bound: float, *shape: int) -> Tensor:
            return (draws.rand(*shape).mul(2).sub(1) * bound).to(device)

        def coin(probability: float) -> Tensor:
            return (draws.rand() < probability).to(device).float().mul(-2).add(1)

        angle = uniform(math.radians(self.tilt))
        zoom = 1 + uniform(self.scale)
        tall = 1 + uniform(self.stretch)
        aspect = height / width
        cos, sin = torch.cos(angle), torch.sin(angle)
        theta = torch.zeros(batch, 2, 3, device=device)
        theta[:, 0, 0] = cos / zoom * coin(self.flip)
        theta[:, 0, 1] = sin / zoom * aspect
        theta[:, 1, 0] = -sin / zoom / aspect
        theta[:, 1, 1] = cos / (zoom * tall) * coin(self.flip_arms)
        theta[:, :, 2] = uniform(2 * self.shift, 2)
        grid = F.affine_grid(theta, [batch, 1, height, width], align_corners=False)
        if self.bend:
            # Four control points down the axis give bows and S-curves; the rows only slide, so bands stay level.
            curve = F.interpolate(uniform(2 * self.bend, 1, 4), height, mode="linear", align_corners=True)
            curve = F.avg_pool1d(F.pad(curve, (8, 8), mode="replicate"), 17, 1)
            grid[..., 0] += curve.transpose(1, 2)
        if self.arc:
            turn = uniform(1)
            grid = bend_along_arc(grid, math.radians(self.arc) * turn * turn.abs(), images)
        if self.elastic:
            coarse = uniform(2 * self.elastic, 2, 5, 4)
            field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
            field[:, 1] /= aspect
            grid += field.permute(0, 2, 3, 1)
        return F.grid_sample(images.unsqueeze(1), grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]

    def _relight(self, images: Tensor, draws: Draws) -> Tensor:
        height, width = images.shape[1:]
        device = images.device

        def uniform(bound: float, low: float = -1.0) -> Tensor:
            values = draws.rand(1, 1)
            return (values * (1 - low) + low).mul(bound).to(device)

        if self.gamma:
            images = images.clamp_min(0).pow(2 ** uniform(self.gamma))
        images = images * (1 + uniform(self.contrast)) + uniform(self.brightness)
        if self.blur:
            chosen = (draws.rand(1, 1) < self.blur).to(device)
            soft = F.avg_pool2d(F.pad(images.unsqueeze(1), (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
            images = torch.where(chosen, soft, images)
        if self.noise:
            grain = draws.randn(height, width).to(device)
            images = images + grain * uniform(self.noise, low=0.0)
        if self.overlap:
            crossed = images * self._stripes(height, width, draws).to(device)
            images = crossed * (images.amax((1, 2), keepdim=True) / crossed.amax((1, 2), keepdim=True).clamp_min(1e-6))
        if self.erase:
            images = images * self._holes(height, width, draws).to(device)
        return images

    def _stripes(self, height: int, width: int, draws: Draws) -> Tensor:
        chosen, angle, place, thick, gain = draws.rand(1, 1, rows=5)
        angle = (angle - 0.5) * math.pi
        rows = torch.arange(height).view(1, -1, 1) - height * (0.2 + 0.6 * place)
        columns = torch.arange(width).view(1, 1, -1) - width / 2
        distance = (rows * torch.cos(angle) + columns * torch.sin(angle)).abs()
        inside = (distance < height * (0.04 + 0.08 * thick)) & (chosen < self.overlap)
        return 1 + inside.float() * (0.3 + 0.7 * gain)

    def _holes(self, height: int, width: int, draws: Draws) -> Tensor:
        chosen, top, left, tall, wide = draws.rand(1, 1, rows=5)
        rows = torch.arange(height).view(1, -1, 1) / height
        columns = torch.arange(width).view(1, 1, -1) / width
        inside = (rows >= top) & (rows < top + tall / 5) & (columns >= left) & (columns < left + wide / 5)
        return (~(inside & (chosen < self.erase))).float()


def bend_along_arc(grid: Tensor, turn: Tensor, images: Tensor) -> Tensor:
    """Change where each pixel is sampled so that the upright chromosome lies along an arc of a circle, centred again.

    Args:
        grid: (B, H, W, 2) sampling points in -1..1, x first, as for ``grid_sample``.
        turn: (B,) radians by which the axis turns from end to end, less than pi.
        images: (B, H, W), background 0, to see how long each chromosome is.
    """
    height, width = images.shape[1:]
    length = (images > 0.15).any(2).sum(1).clamp_min(1)
    curvature = (turn / length).view(-1, 1, 1)
    curvature = torch.where(curvature.abs() < 1e-5, torch.full_like(curvature, 1e-5), curvature)
    depth = (1 - torch.cos(turn / 2)).view(-1, 1, 1) / curvature  # how far the ends lie aside of the middle
    x, y = grid[..., 0] * width / 2 + depth / 2, grid[..., 1] * height / 2
    # The point of the straight chromosome that came to lie at (x, y): its distance from the circle, and its place along it.
    across = (1 - torch.hypot(1 - curvature * x, curvature * y)) / curvature
    along = torch.atan2(curvature * y, 1 - curvature * x) / curvature
    return torch.stack([across * 2 / width, along * 2 / height], dim=-1)


def mix(images: Tensor, labels: Tensor, num_classes: int, strength: float, seed: int) -> tuple[Tensor, Tensor]:
    """Blend each image with the next of its batch, in one random proportion; return images and (B, classes) probabilities.

    Args:
        images: (B, H, W) float.
        labels: (B,) int64.
        num_classes: classes.
        strength: parameter a of Beta(a, a), from which the proportion is drawn.
        seed: of the draw.
    """
    keep = float(np.random.default_rng(seed).beta(strength, strength))
    target = F.one_hot(labels, num_classes).float()
    return keep * images + (1 - keep) * images.roll(1, 0), keep * target + (1 - keep) * target.roll(1, 0)
