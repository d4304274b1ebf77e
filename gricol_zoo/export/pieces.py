"""Select the pieces of a foreground that belong to the chromosome, in a graph: ``main_piece`` of ``data/pieces.py``.

All pieces are processed together. A piece is identified by its first pixel in row-major order. Values of a whole piece are
collected at that pixel by a scatter, and are returned to its pixels by a gather.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gricol_zoo.data.pieces import ASIDE, CRUMB, FAR, GAP
from gricol_zoo.export.measure import Box, axes, principal_axis, total

HOOKS = 12
"""Number of rounds in which pieces are labelled. A chromosome takes up to three. Each round joins every part of a piece with at
least one adjacent part, so few rounds are enough for any piece: the longest spirals, mazes and combs take 6 rounds at 60x60
pixels, 10 at 600x600 pixels, and 11 at 1500x1500 pixels."""


def label(near: Tensor) -> Tensor:
    """Return the first pixel of its piece (8-connectivity) for each pixel of a mask.

    Each pixel stores the index of an earlier pixel of its piece, at first its own. In each round it takes the smallest index
    stored around it, passes that index on to the pixel whose index it had stored, and then twice replaces its index by the
    index stored at that pixel.

    Args:
        near: (B, H, W) bool.

    Returns:
        (B, H W) int64, indices of pixels in row-major order; a pixel outside the mask has its own index.
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
    """Return the dilated foreground of the chromosome alone, (B, H, W) bool.

    Args:
        value: (B, H, W) float32, the background at 0.
        mask: (B, H, W) bool, the foreground.
        near: (B, H, W) bool, the dilated foreground.
        box: of each crop; a piece that touches its edges may belong to a neighbour.
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
    """The pieces of a foreground. The value of a piece is stored at its first pixel; values at other pixels have no meaning.

    Args:
        labels: (B, n) int64, the first pixel of the piece of each pixel.
        mask: (B, H, W) bool, the foreground; n is H W.
    """

    def __init__(self, labels: Tensor, mask: Tensor) -> None:
        self.labels, self.mask, self.flat = labels, mask, mask.flatten(1)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum of the values over the foreground of each piece, (B, n) -> (B, n)."""
        return torch.zeros_like(values).scatter_add(1, self.labels, torch.where(self.flat, values, 0.0))

    def ends(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest value in each piece, (B, n) -> (B, n) each."""
        far = torch.full_like(values, torch.inf)
        minimum = far.scatter_reduce(1, self.labels, torch.where(self.flat, values, torch.inf), "amin")
        return minimum, (-far).scatter_reduce(1, self.labels, torch.where(self.flat, values, -torch.inf), "amax")

    def owned_by(self, main: Tensor, box: Box) -> Tensor:
        """Return whether pieces are part of the chromosome, like ``Body.owns`` of ``data/pieces.py``, (B, n) bool.

        Args:
            main: (B, 1) int64, the first pixel of the main piece.
            box: of each crop.
        """
        body = self.mask & (self.labels == main).reshape(self.mask.shape)
        along, across = self._turned(body)
        minimum, maximum = self.ends(along)
        low, high, left, right = (end.gather(1, main) for end in (minimum, maximum, *self.ends(across)))
        count = self.sums(torch.ones_like(along)).clamp_min(1)
        beyond = torch.maximum(low - maximum, minimum - high)
        middle = self.sums(along) / count
        aside = (self.sums(across) / count - (left + right) / 2).abs()
        length, width = high - low + 1, right - left + 1
        in_line = (beyond <= torch.maximum(FAR * length, GAP * width)) & (aside <= ASIDE * width)
        return in_line & ~((low < middle) & (middle < high)) & ~self._from_outside(body, box)

    def _turned(self, body: Tensor) -> tuple[Tensor, Tensor]:
        """Return positions of pixels along and across the axis of a mask (B, H, W), from its middle: (B, n) float64 each."""
        inside = body.double()
        some, (ys, xs) = total(inside).clamp_min(1), axes(body)
        dx, dy = (axis - total(inside * axis) / some for axis in (xs, ys))
        sin, cos = principal_axis(dx, dy, inside)
        return (sin * dx + cos * dy).flatten(1), (cos * dx - sin * dy).flatten(1)

    def _from_outside(self, body: Tensor, box: Box) -> Tensor:
        """Return whether pieces touch an edge that the body touches too, or any edge if it touches none, (B, n) bool."""
        rows, columns = axes(body, torch.int64)
        edges = [rows == box.top, rows == box.bottom, columns == box.left, columns == box.right]
        touched = [(body & edge).any(2, keepdim=True).any(1, keepdim=True) for edge in edges]
        inner = ~(touched[0] | touched[1] | touched[2] | touched[3])
        alike = [edge & (too | inner) for edge, too in zip(edges, touched, strict=True)]
        return self.sums((alike[0] | alike[1] | alike[2] | alike[3]).flatten(1).double()) > 0
