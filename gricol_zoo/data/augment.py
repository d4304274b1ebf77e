"""Augmentation for chromosomes, on whole batches: (B, H, W) float 0..1 -> the same shape.

Specks and neighbours beside the chromosome come first (``gricol_zoo.data.clutter``). Tilt, scale, shift, flips and all
bends are done in one resampling (``gricol_zoo.data.bends``, ``gricol_zoo.data.grids``). The effects of light, lens, camera
and file format follow (``gricol_zoo.data.light``). All random numbers come from the given generator, so a step can be
repeated exactly, with any number of processes. ``docs/reference/augment.md`` shows every field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data import clutter, light
from gricol_zoo.data.bends import BEND_NUMBERS, StrongBend, bend_strongly
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.grids import affine_grid, bend_along_arc, centring, extent_of, turn_and_turn_back

ANGLE_ERROR = math.radians(2)  # standard deviation of the error that preparation makes in turning a chromosome upright


@dataclass(frozen=True)
class Augment:
    """Strength of each augmentation; ranges are symmetric and uniform, and 0 switches an augmentation off.

    The fields after ``erase`` are for canvases that show an upright chromosome on a background of 0, as preparation makes them
    (``gricol_zoo.data.preprocess``). They imitate the effects of camera, cropping and preparation.

    Attributes:
        tilt: rotation, degrees.
        scale: relative change of both axes together; stretch: relative change of the height only.
        shift: fraction of the image.
        bend: shift of each row against the straight axis, as a fraction of the width: a smooth random curve.
        arc: degrees by which the axis turns from end to end; small turns are more frequent (the square of a uniform number).
        elastic: random smooth displacement of the pixels, as a fraction of the width.
        flip: probability of a left-right mirror; flip_arms: probability of an up-down mirror (short arm down).
        contrast: relative gain; gamma: range of the exponent in log2; brightness: offset, as a fraction of full scale.
        blur: probability of a 3x3 blur; noise: maximum standard deviation, as a fraction of full scale.
        overlap: probability of a bright stripe across the image, as if another chromosome lay on this one; the rest becomes
            darker, as after a contrast stretch.
        erase: probability of blanking a random box of up to a fifth of each side.
        strong_bend: probability of bending the axis along an arc, by up to 200 degrees from end to end, or at a kink, by up
            to 150 degrees; the chromosome is then turned upright, centred and fitted to the canvas again.
        fit: 1 prevents ``scale`` and ``stretch`` from making a chromosome larger than the canvas, as preparation does; with 0
            it can be cut off.
        rotation: probability of imitating a crop that was rotated by any angle before preparation turned it upright: it is
            resampled twice more, and is upright with an error of 2 degrees (standard deviation).
        specks: probability of 1 to 6 small bright specks on or beside the chromosome.
        neighbour: probability of a piece of the next image of the batch (within each process) next to the chromosome, at a side
            or an end; the two together are centred.
        blur_sd: maximum standard deviation, in pixels, of a Gaussian blur of half of the images.
        grain: maximum standard deviation of noise on the chromosome, as a fraction of full scale; its grains are as large as
            the pixels of a crop.
        jpeg: probability of JPEG quantisation, at a quality of 20 to 90.
        background: probability of making the chromosome brighter or darker by a smooth field of up to 0.1 of full scale, as
            after the removal of an uneven background.
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
        """Augment a batch of images, each with its own random numbers; return a batch of the same shape.

        Args:
            images: (B, H, W) float in 0..1.
            generator: random generator on the CPU.
            first: the index of the first of these images in the whole batch, if several processes share it.
            step: the number of processes that share the batch (see ``Draws``).
        """
        if self == Augment():
            return images
        draws = Draws(generator, len(images), first, step)
        images = self._photograph(self._move(images, draws), draws)
        return self._relight(images, draws).clamp_(0, 1)

    def _move(self, images: Tensor, draws: Draws) -> Tensor:
        batch, height, width = images.shape
        device = images.device
        joined, turned, bent = None, None, None
        if self.neighbour or self.rotation:
            images = images.clone()  # both change images in place, as everything after the resampling does
        if self.neighbour:
            images, joined = clutter.add_neighbours(images, draws, self.neighbour)
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
        """Return the factor, (B,), by which each chromosome can grow until one pixel is left on each side of the canvas."""
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
            images = clutter.add_specks(images, draws, self.specks)
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
            images = images.clamp_min_(0).pow_(2 ** uniform(self.gamma))
        images = images.mul_(1 + uniform(self.contrast)).add_(uniform(self.brightness))
        if self.blur:
            images = light.soften(images, draws, self.blur)
        if self.noise:
            grain = draws.randn(height, width).to(device)
            images = images.add_(grain.mul_(uniform(self.noise, low=0.0)))
        if self.overlap:
            images = light.cross(images, draws, self.overlap)
        if self.erase:
            images = light.erase(images, draws, self.erase)
        return images


def mix(images: Tensor, labels: Tensor, num_classes: int, strength: float, seed: int) -> tuple[Tensor, Tensor]:
    """Blend each image with the next of its batch (mixup), all in the same random proportion.

    Args:
        images: (B, H, W) float.
        labels: (B,) int64.
        num_classes: number of classes.
        strength: parameter a of Beta(a, a), from which the proportion is drawn.
        seed: of the draw.

    Returns:
        The blended images, (B, H, W), and their target probabilities, (B, num_classes).
    """
    keep = float(np.random.default_rng(seed).beta(strength, strength))
    target = F.one_hot(labels, num_classes).float()
    return keep * images + (1 - keep) * images.roll(1, 0), keep * target + (1 - keep) * target.roll(1, 0)
