"""Which pieces of a foreground belong to the chromosome, in a graph: ``main_piece`` of ``data/pieces.py`` once more.

All pieces are looked at together. A piece goes by its first pixel, row by row. What is said of a piece as a whole is gathered
there by a scatter, and is brought back to its pixels by a gather.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gricol_zoo.data.pieces import ASIDE, CRUMB, FAR, GAP
from gricol_zoo.export.measure import Box, axes, principal_axis, total

HOOKS = 12
"""Rounds in which pieces are labelled. A chromosome takes up to three. Each round joins every part of a piece to one beside it
at least, so that few do for any piece: the longest spirals, mazes and combs of 60x60 pixels take 6, of 600x600 pixels 10, of
1500x1500 pixels 11."""


def label(near: Tensor) -> Tensor:
    """Return for each pixel of a mask which pixel is the first of its piece; neighbours at the corners count.

    Each pixel names one before it in its piece, at first itself. In each round it takes the earliest name around it, the pixel
    that it had named hears of that name too, and it takes the name of the one that it names, twice.

    Args:
        near: (B, H, W) bool.

    Returns:
        (B, H W) int64, a place in an image row by row; where the mask is not, its own.
    """
    height, width = near.shape[1], near.shape[2]
    own = torch.arange(height * width)[None].expand(near.shape[0], -1)
    flat, name = near.flatten(1), own
    for _ in range(HOOKS):
        late = torch.where(flat, name, height * width).to(torch.float32)  # exact up to 4096 x 4096
        around = -functional.max_pool2d(-late.reshape(-1, 1, height, width), 3, 1, 1).flatten(1)
        around = torch.where(flat, around.long(), own)
        name = around.scatter_reduce(1, name, around, "amin")
        name = name.gather(1, name)
        name = name.gather(1, name)
    return name


def main_piece(value: Tensor, mask: Tensor, near: Tensor, box: Box) -> Tensor:
    """Return the surroundings of the foreground without what does not belong to the chromosome, (B, H, W) bool.

    Args:
        value: (B, H, W) float32.
        mask: (B, H, W) bool, the foreground.
        near: (B, H, W) bool, it dilated.
        box: of each crop; what touches its edges may be a neighbour's.
    """
    pieces, flat = Pieces(label(near), mask), near.flatten(1)
    place = torch.arange(flat.shape[1])[None]
    first = flat & (pieces.labels == place)
    weights = torch.where(first, pieces.sums(value.flatten(1).double()), -torch.inf)
    main = weights.argmax(1, keepdim=True)
    kept = first & (weights >= CRUMB * weights.gather(1, main)) & pieces.owned_by(main, box)
    kept = kept | (place == main)
    return near & kept.gather(1, pieces.labels).reshape(near.shape)


class Pieces:
    """The pieces of a foreground. What is said of one stands at its first pixel; elsewhere it has no meaning.

    Args:
        labels: (B, n) int64, the first pixel of the piece of each pixel.
        mask: (B, H, W) bool, the foreground; n is H W.
    """

    def __init__(self, labels: Tensor, mask: Tensor) -> None:
        self.labels, self.mask, self.flat = labels, mask, mask.flatten(1)

    def sums(self, values: Tensor) -> Tensor:
        """Return sums over the foreground of each piece, (B, n) -> (B, n)."""
        return torch.zeros_like(values).scatter_add(1, self.labels, torch.where(self.flat, values, 0.0))

    def ends(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the largest of each piece, (B, n) -> (B, n) both."""
        far = torch.full_like(values, torch.inf)
        least = far.scatter_reduce(1, self.labels, torch.where(self.flat, values, torch.inf), "amin")
        return least, (-far).scatter_reduce(1, self.labels, torch.where(self.flat, values, -torch.inf), "amax")

    def owned_by(self, main: Tensor, box: Box) -> Tensor:
        """Say whether pieces are part of the chromosome, as ``Body.owns`` of ``data/pieces.py`` does, (B, n) bool.

        Args:
            main: (B, 1) int64, the first pixel of the main piece.
            box: of each crop.
        """
        body = self.mask & (self.labels == main).reshape(self.mask.shape)
        along, across = self._turned(body)
        least, most = self.ends(along)
        low, high, left, right = (end.gather(1, main) for end in (least, most, *self.ends(across)))
        count = self.sums(torch.ones_like(along)).clamp_min(1)
        beyond = torch.maximum(low - most, least - high)
        middle = self.sums(along) / count
        aside = (self.sums(across) / count - (left + right) / 2).abs()
        length, width = high - low + 1, right - left + 1
        in_line = (beyond <= torch.maximum(FAR * length, GAP * width)) & (aside <= ASIDE * width)
        return in_line & ~((low < middle) & (middle < high)) & ~self._from_outside(body, box)

    def _turned(self, body: Tensor) -> tuple[Tensor, Tensor]:
        """Return where pixels lie along the axis of a mask (B, H, W) bool and across it, from its middle, (B, n) float64."""
        inside = body.double()
        some, (ys, xs) = total(inside).clamp_min(1), axes(body)
        dx, dy = (axis - total(inside * axis) / some for axis in (xs, ys))
        sin, cos = principal_axis(dx, dy, inside)
        return (sin * dx + cos * dy).flatten(1), (cos * dx - sin * dy).flatten(1)

    def _from_outside(self, body: Tensor, box: Box) -> Tensor:
        """Say whether pieces touch an edge of the crop that the body touches too, or any where it touches none, (B, n) bool."""
        rows, columns = axes(body, torch.int64)
        edges = [rows == box.top, rows == box.bottom, columns == box.left, columns == box.right]
        touched = [(body & edge).any(2, keepdim=True).any(1, keepdim=True) for edge in edges]
        inner = ~(touched[0] | touched[1] | touched[2] | touched[3])
        alike = [edge & (too | inner) for edge, too in zip(edges, touched, strict=True)]
        return self.sums((alike[0] | alike[1] | alike[2] | alike[3]).flatten(1).double()) > 0
