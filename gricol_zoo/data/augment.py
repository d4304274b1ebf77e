"""Augmentation made for chromosomes, on whole batches: (B, H, W) float 0..1 -> the same shape.

What lies beside a chromosome comes first (``gricol_zoo.data.soil``). Tilt, scale, shift, flips and all bends are one resampling
(``gricol_zoo.data.bends``, ``gricol_zoo.data.grids``). Light, lens, camera and file follow (``gricol_zoo.data.light``). All
randomness comes from the generator that is given, so a step can be repeated exactly, and by any number of processes.
``docs/reference/augment.md`` shows every field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data import light, soil
from gricol_zoo.data.bends import BEND_NUMBERS, StrongBend, bend_strongly
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.grids import affine_grid, bend_along_arc, centring, extent_of, turn_and_turn_back

ANGLE_ERROR = math.radians(2)  # standard deviation of the angle by which preparation misses the vertical


@dataclass(frozen=True)
class Augment:
    """How strongly to change images; every range is symmetric and uniform, 0 switches it off.

    The fields after ``erase`` are for canvases that show a chromosome upright on a background of 0: what photographs, crops and
    preparation (``gricol_zoo.data.preprocess``) make of it.

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
        strong_bend: probability that the axis is bent along an arc, by up to 200 degrees from end to end, or at a kink, by up
            to 150 degrees, and the chromosome laid upright, centred and made to fit again.
        fit: 1 keeps ``scale`` and ``stretch`` from making a chromosome larger than the canvas, as preparation does; 0 lets it
            be cut off.
        rotation: probability that the image was turned by any angle before preparation turned it back: resampled twice more,
            and upright but for a standard deviation of 2 degrees.
        specks: probability of 1 to 6 small bright specks on or beside the chromosome.
        neighbour: probability of a piece of the next image of the batch (within each process) that comes up to the chromosome
            from a side or an end; the two together are centred.
        blur_sd: standard deviation in pixels at most of a Gaussian blur of half of the images.
        grain: standard deviation at most of noise on the chromosome, of full scale, its pixels as large as a crop's.
        jpeg: probability of a JPEG file's quantisation, at a quality of 20 to 90.
        background: probability that the chromosome is brighter or darker by a smooth field of up to 0.1 of full scale, as after
            an uneven background was taken off.
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
    strong_bend: float = 0.0
    fit: float = 0.0
    rotation: float = 0.0
    specks: float = 0.0
    neighbour: float = 0.0
    blur_sd: float = 0.0
    grain: float = 0.0
    jpeg: float = 0.0
    background: float = 0.0

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
        images = self._photograph(self._move(images, draws), draws)
        return self._relight(images, draws).clamp(0, 1)

    def _move(self, images: Tensor, draws: Draws) -> Tensor:
        batch, height, width = images.shape
        device = images.device
        joined, turned, bent = None, None, None
        if self.neighbour:
            images, joined = soil.add_neighbours(images, draws, self.neighbour)
        if self.rotation:
            turned = draws.chosen(self.rotation)
            images = turn_and_turn_back(images, turned, draws.rand()[turned].to(device) * 2 * math.pi)
        if self.strong_bend:
            bent = bend_strongly(images, draws.chosen(self.strong_bend), draws.rand(BEND_NUMBERS).to(device))

        def uniform(bound: float, *shape: int) -> Tensor:
            return (draws.rand(*shape).mul(2).sub(1) * bound).to(device)

        def coin(probability: float) -> Tensor:
            return (draws.rand() < probability).to(device).float().mul(-2).add(1)

        angle = uniform(math.radians(self.tilt))
        if turned is not None:
            angle[turned] += draws.randn()[turned].to(device) * ANGLE_ERROR
        zoom = 1 + uniform(self.scale)
        tall = 1 + uniform(self.stretch)
        if self.fit or bent is not None:
            zoom = zoom.minimum(self._largest(images, bent, tall))
        aspect = height / width
        cos, sin = torch.cos(angle), torch.sin(angle)
        theta = torch.zeros(batch, 2, 3, device=device)
        theta[:, 0, 0] = cos / zoom * coin(self.flip)
        theta[:, 0, 1] = sin / zoom * aspect
        theta[:, 1, 0] = -sin / zoom / aspect
        theta[:, 1, 1] = cos / (zoom * tall) * coin(self.flip_arms)
        theta[:, :, 2] = uniform(2 * self.shift, 2)
        if joined is not None:
            theta[:, :, 2] += centring(images, joined, None if bent is None else bent.which)
        if self.fit or bent is not None:
            grid = affine_grid(theta, (height, width))
        else:  # the same in ten times the time, as recipes without these fields have it to the last bit
            grid = F.affine_grid(theta, [batch, 1, height, width], align_corners=False)
        if self.bend:
            # Four control points down the axis give bows and S-curves; the rows only slide, so bands stay level.
            curve = F.interpolate(uniform(2 * self.bend, 1, 4), height, mode="linear", align_corners=True)
            curve = F.avg_pool1d(F.pad(curve, (8, 8), mode="replicate"), 17, 1)
            grid[..., 0] += curve.transpose(1, 2)
        if bent is not None:
            grid = bent.sample(grid)
        if self.arc:
            turn = uniform(1)
            grid = bend_along_arc(grid, math.radians(self.arc) * turn * turn.abs(), images)
        if self.elastic:
            coarse = uniform(2 * self.elastic, 2, 5, 4)
            field = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
            field[:, 1] /= aspect
            grid += field.permute(0, 2, 3, 1)
        return F.grid_sample(images.unsqueeze(1), grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]

    def _largest(self, images: Tensor, bent: StrongBend | None, tall: Tensor) -> Tensor:
        """Return by how much each chromosome can be enlarged, (B,), until the canvas has a pixel left on each side."""
        height, width = images.shape[1:]
        largest = torch.full_like(tall, math.inf)
        if self.fit:
            box = extent_of(images)
            largest = ((height - 2) / (box.length * tall)).minimum((width - 2) / box.width)
        if bent is not None:
            largest[bent.which] = ((height - 2) / (bent.length * tall[bent.which])).minimum((width - 2) / bent.width)
        return largest

    def _photograph(self, images: Tensor, draws: Draws) -> Tensor:
        if self.specks:
            images = soil.add_specks(images, draws, self.specks)
        if self.background:
            images = light.add_veil(images, draws, self.background)
        if self.blur_sd:
            images = light.blur_some(images, draws, self.blur_sd)
        if self.grain:
            images = light.add_grain(images, draws, self.grain)
        if self.jpeg:
            images = light.compress_some(images, draws, self.jpeg)
        return images

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
            images = light.soften(images, draws, self.blur)
        if self.noise:
            grain = draws.randn(height, width).to(device)
            images = images + grain * uniform(self.noise, low=0.0)
        if self.overlap:
            images = light.cross(images, draws, self.overlap)
        if self.erase:
            images = light.erase(images, draws, self.erase)
        return images


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
