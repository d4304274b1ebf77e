"""Preprocessing as part of a graph: ``data/preprocess.py`` once more, for whole batches, in operators that ONNX has.

That file is the truth and decides image by image; here nothing may depend on the data but values, so both ways of a decision
are computed and one is taken. A test holds the two together. Sums and positions are in float64, so that they round as there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.data.preprocess import FOREGROUND
from gricol_zoo.spec import Preprocess


class CanvasInGraph(nn.Module):
    """(B, H, W) float32 crops in 0..1 -> (B, height, width) float32 canvases of whole grey levels, 0..255.

    Args:
        preprocess: how.
        image_size: (height, width) of the canvas.
    """

    def __init__(self, preprocess: Preprocess, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.image_size = image_size

    def forward(self, crops: Tensor) -> Tensor:
        """(B, H, W) -> (B, height, width)."""
        how, value = self.preprocess, crops
        if how.contrast == "p99":
            value = stretch(value)
        if how.orientation != "as-is":
            canvas = upright(value, how.scale, self.image_size, how.orientation == "upright")
        else:
            if how.pad_to is not None:
                value = pad(value, how.pad_to)
            canvas = resample(value, (value.shape[1], value.shape[2]), self.image_size)
        return torch.floor(canvas * 255 + 0.5).clamp(0, 255)


def percentile(values: Tensor, inside: Tensor, q: float) -> Tensor:
    """Return the ``q`` percentile (linear) of what is inside, (B, n) and (B, n) bool -> (B,); 0 where nothing is."""
    ordered = torch.sort(torch.where(inside, values, torch.full_like(values, torch.inf)), dim=1).values
    count = inside.sum(1, keepdim=True)
    place = q / 100 * (count - 1).clamp_min(0).double()
    low = place.floor().long()
    high = torch.minimum(low + 1, (count - 1).clamp_min(0))
    first, second = ordered.gather(1, low), ordered.gather(1, high)
    found = first + (second - first) * (place - low).float()
    return torch.where(count > 0, found, torch.zeros_like(found))[:, 0]


def border_median(value: Tensor) -> Tensor:
    """Return the median of the outermost pixels, (B, H, W) -> (B,)."""
    border = torch.cat([value[:, 0], value[:, -1], value[:, :, 0], value[:, :, -1]], dim=1)
    return percentile(border, torch.ones_like(border, dtype=torch.bool), 50)


def foreground(value: Tensor) -> Tensor:
    """Return the mask of the chromosome in images whose background is 0, (B, H, W) bool."""
    flat = value.flatten(1)
    bright = percentile(flat, torch.ones_like(flat, dtype=torch.bool), 99.5).double()
    return value > (FOREGROUND * bright).float()[:, None, None]


def stretch(grey: Tensor) -> Tensor:
    """Bring the background to 0 and the 99th percentile of the chromosome to 1; a light background is inverted."""
    background = border_median(grey)[:, None, None]
    value = torch.where(background > 0.5, background - grey, grey - background).clamp_min(0)
    top = percentile(value.flatten(1), foreground(value).flatten(1), 99)[:, None, None]
    return torch.where(top > 0, value / torch.where(top > 0, top, torch.ones_like(top)), value)


def upright(value: Tensor, scale: float, size: tuple[int, int], turn: bool) -> Tensor:
    """Return canvases with each chromosome's principal axis vertical and its extent centred, (B, H, W) -> (B, *size)."""
    height, width = size
    median = border_median(value)
    background = torch.where(value.flatten(1).amin(1) == 0, torch.zeros_like(median), median)
    mask = foreground((value - background[:, None, None]).abs())
    inside = mask.double()
    count = inside.sum((1, 2))
    some = count.clamp_min(1)[:, None, None]
    ys = torch.arange(value.shape[1], dtype=torch.float64)[None, :, None]
    xs = torch.arange(value.shape[2], dtype=torch.float64)[None, None, :]
    x, y = ((inside * axis).sum((1, 2), keepdim=True) / some for axis in (xs, ys))
    dx, dy = xs - x, ys - y
    sin, cos = principal_axis(dx, dy, inside) if turn else (torch.zeros_like(x), torch.ones_like(x))
    low, high = extent(sin * dx + cos * dy, mask)
    left, right = extent(cos * dx - sin * dy, mask)
    half, side = (low + high) / 2, (left + right) / 2
    fit = torch.minimum(ratio(height - 2, high - low + 1), ratio(width - 2, right - left + 1)).clamp_max(scale)
    x, y = x + sin * half + cos * side + 0.5, y + cos * half - sin * side + 0.5
    sin, cos = sin / fit, cos / fit
    down = torch.arange(height, dtype=torch.float64)[None, :, None] + 0.5
    across = torch.arange(width, dtype=torch.float64)[None, None, :] + 0.5
    x = cos * across + sin * down + (x - cos * width / 2 - sin * height / 2)
    y = cos * down - sin * across + (y + sin * width / 2 - cos * height / 2)
    turned = sample(value, x, y, background)
    return torch.where((count < 3)[:, None, None], pad(value, size), turned)


def principal_axis(dx: Tensor, dy: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return sine and cosine of ``atan2(2 dx.dy, dy.dy - dx.dx) / 2``, (B, 1, 1) each, by half-angle formulas.

    Of sine and cosine the larger is a root, and the smaller follows from their product, which loses no digits.
    """
    skew = 2 * (inside * dx * dy).sum((1, 2), keepdim=True)
    tall = (inside * (dy * dy - dx * dx)).sum((1, 2), keepdim=True)
    length = torch.sqrt(tall * tall + skew * skew)
    length = torch.where(length > 0, length, torch.ones_like(length))
    larger = torch.sqrt((1 + tall.abs() / length).clamp(0, 2) / 2)
    smaller = skew.abs() / (2 * length * larger)
    upwards = tall >= 0
    sin = torch.where(upwards, smaller, larger)
    return torch.where(skew < 0, -sin, sin), torch.where(upwards, larger, smaller)


def ratio(one: int, other: Tensor) -> Tensor:
    """Return ``one / other`` as Python rounds it; torch would multiply by the reciprocal."""
    return torch.full_like(other, one) / other


def extent(place: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest place inside the mask, (B, 1, 1) each; 0 and 0 where nothing is."""
    far = torch.full_like(place, 1e9)
    low = torch.where(mask, place, far).flatten(1).amin(1)[:, None, None]
    high = torch.where(mask, place, -far).flatten(1).amax(1)[:, None, None]
    return torch.where(low > high, torch.zeros_like(low), low), torch.where(low > high, torch.zeros_like(low), high)


def sample(value: Tensor, x: Tensor, y: Tensor, fill: Tensor) -> Tensor:
    """Sample images bilinearly at positions in pixels (0.5 is the first one's centre), as Pillow does; ``fill`` outside.

    Args:
        value: (B, H, W).
        x: (B, h, w) float64, across.
        y: the same, down.
        fill: (B,).
    """
    height, width = value.shape[1], value.shape[2]
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    left, top = (x - 0.5).floor(), (y - 0.5).floor()
    right_part, lower_part = (x - 0.5 - left).float(), (y - 0.5 - top).float()
    flat = value.flatten(1)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        index = rows.long().clamp(0, height - 1) * width + columns.long().clamp(0, width - 1)
        return flat.gather(1, index.flatten(1)).reshape(index.shape)

    upper = at(top, left) + (at(top, left + 1) - at(top, left)) * right_part
    lower = at(top + 1, left) + (at(top + 1, left + 1) - at(top + 1, left)) * right_part
    return torch.where(outside, fill[:, None, None], upper + (lower - upper) * lower_part)


def weights(length: Tensor, places: Tensor, size: int) -> Tensor:
    """Return the matrix of a bilinear resize that antialiases where it shrinks: Pillow's triangle filter, (size, in).

    Args:
        length: to how many pixels; from there on rows are 0.
        places: (in,) 0, 1, ...: the pixels there are.
        size: rows.
    """
    out = torch.arange(size, dtype=torch.float64)[:, None]
    step = (places[-1] + 1) / length
    far = (places[None] + 0.5 - (out + 0.5) * step).abs() / step.clamp_min(1)
    triangle = torch.where(out < length, (1 - far).clamp_min(0), torch.zeros_like(far))
    return triangle / triangle.sum(1, keepdim=True).clamp_min(1e-12)


def resample(value: Tensor, shape: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize images bilinearly to ``size``, (B, H, W) -> (B, *size); ``shape`` is (H, W)."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in shape)
    down = weights(torch.full_like(rows[0], size[0]), rows, size[0]).float()
    across = weights(torch.full_like(columns[0], size[1]), columns, size[1]).float()
    return down @ (value @ across.T)


def pad(grey: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad to ``size`` with the border median, centred, (B, H, W) -> (B, *size); larger images are first shrunk."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in (grey.shape[1], grey.shape[2]))
    height, width = rows[-1] + 1, columns[-1] + 1
    shrink = torch.minimum(ratio(size[0], height), ratio(size[1], width)).clamp_max(1)
    height, width = (torch.where(shrink < 1, (side * shrink).floor().clamp_min(1), side) for side in (height, width))
    down, across = weights(height, rows, size[0]).float(), weights(width, columns, size[1]).float()
    small = down @ (grey @ across.T)  # in the top left corner
    y, x = torch.arange(size[0]), torch.arange(size[1])
    bottom, right = height.long() - 1, width.long() - 1
    edges = [
        small[:, 0],
        small.index_select(1, bottom.reshape(1))[:, 0],
        small[:, :, 0],
        small.index_select(2, right.reshape(1))[:, :, 0],
    ]
    inside = [x <= right, x <= right, y <= bottom, y <= bottom]
    border, there = torch.cat(edges, dim=1), torch.cat(inside)[None]
    background = percentile(border, there.expand_as(border), 50)[:, None, None]
    top, left = (size[0] - height.long()) // 2, (size[1] - width.long()) // 2
    moved = small.index_select(1, (y - top).clamp(0, size[0] - 1)).index_select(2, (x - left).clamp(0, size[1] - 1))
    shown = ((y >= top) & (y <= top + bottom))[:, None] & ((x >= left) & (x <= left + right))[None]
    return torch.where(shown[None], moved, background)
