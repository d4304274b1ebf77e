"""Find the chromosome in a crop, in a graph: the steps of ``data/find.py`` for whole batches.

``data/find.py`` is the reference and explains the steps. Here both branches of a decision are computed, and one is selected.
Nothing is cut out: a mask marks the part of a crop that is used. The same numbers are float32 or float64 in both files.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gricol_zoo.data.find import (
    FOREGROUND,
    FRAME_BAND,
    FRAME_SAME,
    FRAME_STEP,
    GRAIN,
    MAX_GRAIN,
    MAX_REACH,
    MIN_GROUND,
    REACH,
    ROUNDS,
    UNEVEN,
)
from gricol_zoo.export.measure import Box, axes, box_of, extremes, percentile, percentile_99, ring_of, total, whole
from gricol_zoo.export.pieces import main_piece


class Found(NamedTuple):
    """Chromosomes on a background of 0.

    Attributes:
        value: (B, H, W) float32, the brightest percent of each chromosome at 1 or above, 0 outside.
        top: (B, 1, 1) float32, difference of that percent from the background, in the units of the crop.
        mask: (B, H, W) bool, the pixels of the chromosome.
        box: the part of the crop that the chromosome occupies, with a few pixels around it.
        rim: (B, 1, 1) float64, the number of these pixels.
    """

    value: Tensor
    top: Tensor
    mask: Tensor
    box: Box
    rim: Tensor


def find_chromosome(grey: Tensor, ground: str = "auto") -> Found:
    """Find the chromosomes in grey crops.

    Args:
        grey: (B, H, W) float32, any range.
        ground: the background, "light", "dark" or "auto".
    """
    crop = Crop(grey)
    value, bright = crop.stand_out(grey, ground)
    mask, near, rim = crop.foreground(value, bright)
    for _ in range(ROUNDS):
        value = value - crop.fit_plane(value, near, bright)  # 0 if the background is even: then nothing changes
        bright = crop.extremes(value)[1]
        mask, near, rim = crop.foreground(value, bright)
    near = main_piece(value, mask, near, crop.box)
    mask = mask & near
    top = percentile_99(value.flatten(1), mask.flatten(1))
    value = torch.where(near, value, 0.0).clamp_min(0)
    return Found(value / torch.where(top == 0, 1.0, top), top, mask, box_of(near), rim)


def inner_box(grey: Tensor) -> Box:
    """Return the box inside a flat frame whose grey differs from the background; without a frame, the whole (B, H, W)."""
    flat = grey[:, :1, :1]
    box, everything = box_of(grey != flat), whole(grey)
    places, there = ring_of(box, grey)
    edge, size = grey.flatten(1).gather(1, places), there.sum(1).double()
    inside = box.inside(grey)
    span = grey.amax((1, 2), keepdim=True).double() - grey.amin((1, 2), keepdim=True).double()
    shown = torch.where(inside, grey, -torch.inf).amax((1, 2), keepdim=True)
    shown = shown - torch.where(inside, grey, torch.inf).amin((1, 2), keepdim=True)
    off = (percentile(edge, there, 50).double() - flat.double()).abs()
    stands_off = (off > FRAME_STEP * span) & (shown.double() > FRAME_STEP * span)
    near = (edge - flat.flatten(1)).abs() <= (FRAME_BAND * span).float().flatten(1)
    same, alike = ((some & there).sum(1).double() > FRAME_SAME * size for some in (edge == flat.flatten(1), near))
    framed = stands_off & ((grey[:, :1] == flat).all(2, keepdim=True) & ~(same | alike).reshape(-1, 1, 1))
    return Box(*(torch.where(framed, one, other) for one, other in zip(box, everything, strict=True)))


class Crop:
    """The part of each crop that is used, without a flat frame.

    Args:
        grey: (B, H, W) float32.
    """

    def __init__(self, grey: Tensor) -> None:
        self.box = inner_box(grey)
        self.inside = self.box.inside(grey)
        self.places, self.there = ring_of(self.box, grey)

    def ring(self, values: Tensor) -> Tensor:
        """Return the outermost pixels, (B, H, W) -> (B, 2 H + 2 W); only those marked by ``there`` are valid."""
        return values.flatten(1).gather(1, self.places)

    def extremes(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the 0.5th and the 99.5th percentile, (B, H, W) -> (B, 1, 1) float32 both."""
        return extremes(value.flatten(1), self.inside.flatten(1))

    def stand_out(self, grey: Tensor, ground: str) -> tuple[Tensor, Tensor]:
        """Shift the background to 0 and the stain above it: (B, H, W) -> (B, H, W), and its 99.5th percentile, (B, 1, 1)."""
        value = grey - percentile(self.ring(grey), self.there, 50)
        low, high = self.extremes(value)
        if ground == "auto":
            light = -low > high
            return torch.where(light, -value, value), torch.where(light, -low, high)
        return (-value, -low) if ground == "light" else (value, high)

    def foreground(self, value: Tensor, bright: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the foreground.

        Args:
            value: (B, H, W) float32, the background at 0.
            bright: (B, 1, 1) float32, its 99.5th percentile.

        Returns:
            The foreground, (B, H, W) bool; the foreground dilated until its pieces are whole, (B, H, W) bool; and the number of
            dilation steps, (B, 1, 1).
        """
        edge = self.ring(value)
        grainy = 2 * ((edge != 0) & self.there).sum(1) > self.there.sum(1)
        grain = GRAIN * 1.4826 * percentile(edge.abs(), self.there, 50).double()
        grain = torch.where(grainy.reshape(-1, 1, 1), grain, 0.0)

        def above(top: Tensor) -> Tensor:
            top = top.double()
            minimum = torch.minimum(torch.maximum(FOREGROUND * top, grain), MAX_GRAIN * top)
            return self.inside & (value > minimum.float())

        mask = above(percentile_99(value.flatten(1), above(bright).flatten(1)))
        steps = reach_of(mask)
        return mask, grow(mask, steps) & self.inside, steps

    def fit_plane(self, value: Tensor, near: Tensor, bright: Tensor) -> Tensor:
        """Return the slope of the background across each crop, (B, H, W) float32; 0 if it is even or too little of it is seen.

        Args:
            value: (B, H, W) float32.
            near: (B, H, W) bool, the dilated foreground.
            bright: (B, 1, 1) float32, the contrast of the crop.
        """
        weight = (self.inside & ~near).double()
        height, width = self.box.height.double(), self.box.width.double()
        y, x = axes(value)
        y, x = y - self.box.top - (height - 1) / 2, x - self.box.left - (width - 1) / 2
        seen = weight * value
        rows, columns = weight.sum(2, keepdim=True), weight.sum(1, keepdim=True)
        n, sx, sy, sxx, syy = total(rows), total(columns * x), total(rows * y), total(columns * x**2), total(rows * y**2)
        sxy = total((weight * x).sum(2, keepdim=True) * y)
        b, bx, by = total(seen), total(seen.sum(1, keepdim=True) * x), total(seen.sum(2, keepdim=True) * y)
        # Cramer's rule, from 2x2 determinants.
        xx_yy, x_yy, x_xy = sxx * syy - sxy * sxy, sx * syy - sxy * sy, sx * sxy - sxx * sy
        bx_yy, bx_xy, x_by = bx * syy - sxy * by, bx * sxy - sxx * by, sx * by - bx * sy
        det = n * xx_yy - sx * x_yy + sy * x_xy
        some = torch.where(det > 0, det, 1.0)
        flat = (b * xx_yy - sx * bx_yy + sy * bx_xy) / some
        slope = (n * bx_yy - b * x_yy + sy * x_by) / some
        rise = (-n * bx_xy - sx * x_by + b * x_xy) / some
        minimum = UNEVEN * bright.double()
        uneven = (n >= MIN_GROUND * (height * width)) & (det > 0) & (slope.abs() * width + rise.abs() * height > minimum)
        uneven = uneven & self._rises(value, near, minimum.float())
        return torch.where(uneven, flat + slope * x + rise * y, 0.0).float()

    def _rises(self, value: Tensor, near: Tensor, minimum: Tensor) -> Tensor:
        """Return whether the outermost pixels that are not ``near`` differ by more than ``minimum``, (B, 1, 1) bool."""
        edge, there = self.ring(value), self.there & ~self.ring(near)
        low, high = torch.where(there, edge, torch.inf).amin(1), torch.where(there, edge, -torch.inf).amax(1)
        return (high - low).reshape(-1, 1, 1) > minimum  # -inf if there are none


def reach_of(mask: Tensor) -> Tensor:
    """Return the number of steps by which masks, (B, H, W) bool, are dilated to find their pieces, (B, 1, 1) float64."""
    return torch.round(REACH * torch.sqrt(total(mask).double())).clamp(1, MAX_REACH)


def grow(mask: Tensor, steps: Tensor) -> Tensor:
    """Dilate each mask, (B, H, W) bool, by a square with a side of ``2 steps + 1`` pixels; ``steps``: (B, 1, 1), at most 6."""
    near = mask.float()
    for done in range(MAX_REACH):
        near = torch.where(steps > done, functional.max_pool2d(near[:, None], 3, 1, 1)[:, 0], near)
    return near > 0
