"""Preprocessing as part of a graph: ``data/preprocess.py`` reimplemented for whole batches, with operators that ONNX has.

``data/preprocess.py`` is the reference. It decides image by image; in a graph only values may depend on the data, so both
branches of a decision are computed and one is selected. A test checks that the two agree. Sums and positions are in float64, so
that they round in the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.data.preprocess import FOREGROUND
from gricol_zoo.errors import GricolZooError
from gricol_zoo.export.draw import pad, place, resample, smooth, window_of
from gricol_zoo.export.find import find_chromosome
from gricol_zoo.export.measure import fitting, percentile, pose_of, ratio, whole
from gricol_zoo.spec import Preprocess

MIN_PIXELS = 3  # least area of a chromosome


class CanvasInGraph(nn.Module):
    """Module: (B, H, W) float32 crops in 0..1 -> (B, height, width) float32 canvases of whole grey levels, 0..255.

    Args:
        preprocess: the preprocessing of the weights.
        image_size: (height, width) of the canvas.
    """

    def __init__(self, preprocess: Preprocess, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.image_size = image_size

    @property
    def scales(self) -> bool:
        """Whether crops may have a scale: not if they are neither rotated nor centred: a size would depend on it."""
        return self.preprocess.orientation != "as-is"

    def forward(self, crops: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return the canvases of crops, (B, H, W) -> (B, height, width).

        Args:
            crops: (B, H, W) float32 in 0..1.
            scale: (B,) float32, the factor that brings each crop to the scale of the training images; None for 1.

        Raises:
            GricolZooError: a scale is given, but the preprocessing does not support one.
        """
        how = self.preprocess
        if scale is None:
            scale = torch.ones_like(crops[:, 0, 0])
        elif not self.scales:
            raise GricolZooError("A graph whose crops are neither turned nor centred takes no scale. Leave `scale` out.")
        drawn = how.scale * scale.double().reshape(-1, 1, 1)
        turn = how.orientation == "upright"
        if how.orientation == "as-is":
            canvas = as_it_lies(crops, how, self.image_size)
        elif how.version == 1:
            value = stretch(crops, how.ground) if how.contrast == "p99" else crops
            canvas = upright(value, drawn, self.image_size, turn)
        else:
            canvas = alone(crops, how, drawn, self.image_size, turn)
        return torch.floor(canvas * 255 + 0.5).clamp(0, 255)


def alone(grey: Tensor, how: Preprocess, scale: Tensor, size: tuple[int, int], turn: bool) -> Tensor:
    """Return canvases of the chromosomes alone (preparation 2); arguments as for ``upright``."""
    found = find_chromosome(grey, how.ground)
    value = found.value if how.contrast == "p99" else found.value * found.top
    pose = pose_of(found.mask, turn, found.box)
    fit = fitting(pose, scale, size)
    value = smooth(value, ratio(1, fit), found.box)
    window = window_of(pose, fit, size, found.rim)
    canvas = place(value, pose, fit, size, torch.zeros_like(found.top), found.box, window)
    return torch.where(pose.area < MIN_PIXELS, 0.0, canvas)


def as_it_lies(grey: Tensor, how: Preprocess, size: tuple[int, int]) -> Tensor:
    """Return canvases of crops that are neither rotated nor centred, as in the paper, (B, H, W) -> (B, *size)."""
    value = stretch(grey, how.ground) if how.contrast == "p99" else grey
    if how.pad_to is not None:
        value = pad(value, how.pad_to)
    return resample(value, (value.shape[1], value.shape[2]), size)


def border_median(value: Tensor) -> Tensor:
    """Return the median of the outermost pixels, (B, H, W) -> (B, 1, 1)."""
    border = torch.cat([value[:, 0], value[:, -1], value[:, :, 0], value[:, :, -1]], dim=1)
    return percentile(border, torch.ones_like(border, dtype=torch.bool), 50)


def foreground(value: Tensor) -> Tensor:
    """Return the mask of the chromosome in images whose background is 0, (B, H, W) bool."""
    flat = value.flatten(1)
    bright = percentile(flat, torch.ones_like(flat, dtype=torch.bool), 99.5).double()
    return value > (FOREGROUND * bright).float()


def stretch(grey: Tensor, ground: str = "auto") -> Tensor:
    """Scale (B, H, W) so that the background is 0 and the 99th percentile of the chromosome is 1; invert a light background."""
    background = border_median(grey)
    light = background > 0.5 if ground == "auto" else torch.full_like(background, ground == "light", dtype=torch.bool)
    value = torch.where(light, background - grey, grey - background).clamp_min(0)
    top = percentile(value.flatten(1), foreground(value).flatten(1), 99)
    return torch.where(top > 0, value / torch.where(top > 0, top, 1.0), value)


def upright(value: Tensor, scale: Tensor, size: tuple[int, int], turn: bool) -> Tensor:
    """Return canvases with each chromosome's principal axis vertical and its extent centred, (B, H, W) -> (B, *size).

    Args:
        value: (B, H, W) float32.
        scale: (B, 1, 1) float64, canvas pixels per pixel of ``value``.
        size: (height, width) of the canvas.
        turn: whether to find the principal axis; else the vertical is used.
    """
    median = border_median(value)
    background = torch.where(value.amin((1, 2), keepdim=True) == 0, 0.0, median)
    box = whole(value)
    pose = pose_of(foreground((value - background).abs()), turn, box)
    turned = place(value, pose, fitting(pose, scale, size), size, background, box)
    return torch.where(pose.area < MIN_PIXELS, pad(value, size), turned)
