"""Add objects beside a chromosome in its crop, which also appear on the canvas: specks and pieces of neighbours.

Both change the images in place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.draws import Draws, replace
from gricol_zoo.data.grids import FOREGROUND, turning

SPECKS = 6  # most specks per image
SPECK_GREY = 0.5  # of full scale: brightest speck
SPECK_AWAY = 5.0  # pixels: standard deviation of a speck's distance from the rim
NEAREST, FURTHEST = -6.0, 1.5  # pixels between a chromosome and the tip of its neighbour; below 0 they overlap
NEAR_TIP = 6.0  # pixels to either side of the tip within which the chromosome's edge is searched for
MIN_VISIBLE, MAX_VISIBLE = 0.15, 0.33  # fraction of a neighbour that is visible
MARGIN = 8.0  # pixels of the crop on either side of the chromosome


def add_specks(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Add 1 to 6 specks of 1 to 4 pixels on or beside some of the chromosomes of (B, H, W), most of them near the rim."""
    which = draws.chosen(probability)
    count = draws.rand()[which]
    row, side, size, grey = draws.rand(SPECKS, rows=4)[:, which].to(images.device)
    away = draws.randn(SPECKS)[which].to(images.device) * SPECK_AWAY
    if not len(which):
        return images
    own, (height, width) = images[which], images.shape[1:]
    mask = own > FOREGROUND
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    # The rows of each chromosome, of which each speck takes one, and the columns where the chromosome begins and ends there.
    filled = mask.any(2)
    order = torch.where(filled, rows, height).sort(1).values
    y = order.gather(1, (row * filled.sum(1, keepdim=True)).long()).clamp_max(height - 1)
    there = mask.gather(1, y[..., None].expand(-1, -1, width))
    first, last = torch.where(there, columns, width).amin(2), torch.where(there, columns, -1).amax(2)
    x = torch.where(side < 0.5, first, last) + away
    deviation = (1 + 3 * size) / 2.355  # the size is the full width at half maximum
    grey = SPECK_GREY * (0.3 + 0.7 * grey) * (torch.arange(SPECKS) < (1 + count[:, None] * SPECKS).floor()).to(grey)
    tall = torch.exp(-(((rows - y[..., None]) / deviation[..., None]) ** 2) / 2)
    wide = torch.exp(-(((columns - x[..., None]) / deviation[..., None]) ** 2) / 2)
    light = (tall * grey[..., None]).transpose(1, 2) @ wide
    return replace(images, which, torch.where(light > 0.02, torch.maximum(own, light), own))


def add_neighbours(images: Tensor, draws: Draws, probability: float) -> tuple[Tensor, Tensor]:
    """Put a piece of the next image of the batch beside some of the chromosomes, so that they touch or nearly touch.

    The piece is at a side or, less often, at an end, rotated by any angle. Up to a third of it is visible, like a neighbour
    that the edge of the crop cuts off. Where the two overlap, the brighter pixel is kept.

    Returns:
        The images, (B, H, W), and the indices, (n,) int64, of those that now have a neighbour.
    """
    which = draws.chosen(probability)
    end, jitter, turn, aside, gap, seen = draws.rand(6)[which].to(images.device).unbind(1)
    if not len(which):
        return images, which
    own, other = images[which], images.roll(1, 0)[which]
    turn = turn * 2 * math.pi
    # The direction of the neighbour: right, lower end, left, upper end, plus or minus 20 degrees.
    quarter = torch.where(end < 0.7, (end / 0.35).floor() * 2, ((end - 0.7) / 0.15).floor() * 2 + 1)
    towards = quarter * math.pi / 2 + (jitter - 0.5) * math.radians(40)
    forth, across = _along_and_across(images, towards)
    # Its tip is placed at a position across that direction, in front of the chromosome's edge there.
    there = own > FOREGROUND
    left, right = _range(across, there)
    contact = left + (0.1 + 0.8 * aside) * (right - left)
    _, high = _range(forth, there & ((across - contact[:, None, None]).abs() < NEAR_TIP))
    near = high + NEAREST + (FURTHEST - NEAREST) * gap
    there = other > FOREGROUND
    along, aside = _along_and_across(images, towards - turn)
    first, last = _range(along, there)
    tip = aside.flatten(1).gather(1, torch.where(there, along, math.inf).flatten(1).argmin(1, keepdim=True))[:, 0]
    u, v = near - first, contact - tip
    middle = torch.stack([u * torch.cos(towards) - v * torch.sin(towards), u * torch.sin(towards) + v * torch.cos(towards)], 1)
    grid = turning(turn, images.shape[1:], images.shape[1:], middle)
    piece = F.grid_sample(other[:, None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]
    # The edges of the crop lie outside the chromosome on three sides.
    cut = near + (MIN_VISIBLE + (MAX_VISIBLE - MIN_VISIBLE) * seen) * (last - first)
    in_crop = across.clamp((left - MARGIN)[:, None, None], (right + MARGIN)[:, None, None]) == across
    piece = torch.where(in_crop & (forth < cut[:, None, None]), piece, 0)
    # The edge pixels of a canvas are repeated when it is moved, so the piece must not reach them.
    piece[:, 0] = piece[:, -1] = piece[:, :, 0] = piece[:, :, -1] = 0
    return replace(images, which, torch.maximum(own, piece)), which


def _along_and_across(images: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """Return the position of each pixel along and across a direction, (n, H, W) pixels from the middle of images (B, H, W).

    The directions, (n,), are angles in radians from x to y.
    """
    height, width = images.shape[1:]
    rows = (torch.arange(height, device=images.device) + 0.5 - height / 2).view(1, -1, 1)
    columns = (torch.arange(width, device=images.device) + 0.5 - width / 2).view(1, 1, -1)
    cos, sin = torch.cos(towards)[:, None, None], torch.sin(towards)[:, None, None]
    return columns * cos + rows * sin, rows * cos - columns * sin


def _range(place: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest position, (n, H, W), of the pixels in a mask, (n,) each; 0 if the mask is empty."""
    low = torch.where(there, place, math.inf).amin((1, 2))
    high = torch.where(there, place, -math.inf).amax((1, 2))
    return torch.where(low.isinf(), 0, low), torch.where(high.isinf(), 0, high)
