"""Select the pieces of a foreground that are the chromosome: the main piece, and pieces that belong to it."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

CRUMB = 0.015  # of the main piece's weight: lighter pieces are dirt
FAR = 0.25  # of the main piece's length: the largest distance beyond its end at which a piece belongs to it,
GAP = 0.6  # or this fraction of its width, if that is more
ASIDE = 0.5  # of its width: the largest distance from its axis at which a piece belongs to it
EIGHT = np.ones((3, 3))  # 8-connectivity
SECOND = 0.3  # of the main piece's weight: another piece of at least this weight could be a second chromosome


def main_piece(value: np.ndarray, mask: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the foreground and the dilated foreground of the chromosome alone, and the number of other large pieces.

    Args:
        value: (H, W) float32, the background at 0.
        mask: (H, W) bool, the foreground.
        near: (H, W) bool, the dilated foreground.
    """
    labels, count = ndimage.label(near, EIGHT)
    if count <= 1:
        return mask, near, 0
    weights = np.bincount(labels[mask], weights=value[mask], minlength=count + 1)
    main = int(weights[1:].argmax()) + 1
    boxes = ndimage.find_objects(labels)  # a crop of noise has thousands of pieces, so each is handled in its own box

    def pixels(piece: int) -> tuple[np.ndarray, np.ndarray]:
        box = boxes[piece - 1]
        ys, xs = np.nonzero(mask[box] & (labels[box] == piece))
        return ys + box[0].start, xs + box[1].start

    keep, others, body = [main], 0, Body(*pixels(main), mask.shape)
    for piece in range(1, count + 1):
        if piece != main and weights[piece] >= CRUMB * weights[main]:
            if body.owns(*pixels(piece)):
                keep.append(piece)
            elif weights[piece] >= SECOND * weights[main]:
                others += 1
    kept = np.isin(labels, keep) if len(keep) > 1 else labels == main
    return mask & kept, kept, others


class Body:
    """The main piece of a chromosome: its pose, and a test of which other pieces belong to it.

    Args:
        ys, xs: (n,) rows and columns of its pixels.
        shape: (height, width) of the crop.
    """

    def __init__(self, ys: np.ndarray, xs: np.ndarray, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.edges = self._edges(ys, xs)
        self.x, self.y = xs.mean(), ys.mean()
        dx, dy = xs - self.x, ys - self.y
        angle = 0.5 * math.atan2(2 * (dx @ dy), dy @ dy - dx @ dx)
        self.sin, self.cos = math.sin(angle), math.cos(angle)
        along, across = self._turn(ys, xs)
        self.low, self.high, self.left, self.right = along.min(), along.max(), across.min(), across.max()

    def owns(self, ys: np.ndarray, xs: np.ndarray) -> bool:
        """Return whether a piece with these pixels is part of the chromosome.

        It must be in line with the main piece and near its end. A piece that touches an edge of the crop belongs to a
        neighbour, unless the crop was cut closely around the chromosome and the piece together. In that case the main piece
        touches an edge too, but a different one.
        """
        here = self._edges(ys, xs)
        if here.any() and ((here & self.edges).any() or not self.edges.any()):
            return False
        along, across = self._turn(ys, xs)
        length, width = self.high - self.low + 1, self.right - self.left + 1
        beyond = max(self.low - along.max(), along.min() - self.high, 0.0)
        inside = self.low < along.mean() < self.high
        aside = abs(across.mean() - (self.left + self.right) / 2)
        return bool(not inside and beyond <= max(FAR * length, GAP * width) and aside <= ASIDE * width)

    def _turn(self, ys: np.ndarray, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of pixels along and across the axis, from its middle, (n,) each."""
        dx, dy = xs - self.x, ys - self.y
        return self.sin * dx + self.cos * dy, self.cos * dx - self.sin * dy

    def _edges(self, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        """Return whether pixels touch the top, the bottom, the left and the right edge, (4,) bool."""
        height, width = self.shape
        return np.array([(ys == 0).any(), (ys == height - 1).any(), (xs == 0).any(), (xs == width - 1).any()])
