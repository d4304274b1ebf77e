"""Which pieces of a foreground are the chromosome: the main piece, and what belongs to it."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

CRUMB = 0.015  # of the chromosome's weight: what is less is dirt
FAR = 0.25  # of the chromosome's length: further beyond its end nothing belongs to it
GAP = 0.6  # of its width: so far beyond its end something does, however short it is
ASIDE = 0.5  # of its width: further from its axis neither
EIGHT = np.ones((3, 3))  # neighbours at the corners count
SECOND = 0.3  # of the chromosome's weight: a piece like that is another chromosome


def main_piece(value: np.ndarray, mask: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return foreground and its surroundings without what does not belong to the chromosome, and how many others there are.

    Args:
        value: (H, W) float32.
        mask: (H, W) bool, the foreground.
        near: (H, W) bool, it dilated.
    """
    labels, count = ndimage.label(near, EIGHT)
    if count <= 1:
        return mask, near, 0
    weights = np.bincount(labels[mask], weights=value[mask], minlength=count + 1)
    main = int(weights[1:].argmax()) + 1
    boxes = ndimage.find_objects(labels)  # a crop of noise has thousands of pieces: each is looked at in its own box

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
    """The main piece of a chromosome: where it lies, and what belongs to it.

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
        """Say whether a piece of these pixels is part of the chromosome.

        It must lie in line with it and near its end. What touches an edge of the crop is a neighbour's, unless the crop was cut
        along the chromosome and the piece together: then the main piece touches an edge as well, and another one.
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
        """Return where pixels lie along the axis and across it, from the middle."""
        dx, dy = xs - self.x, ys - self.y
        return self.sin * dx + self.cos * dy, self.cos * dx - self.sin * dy

    def _edges(self, ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        """Return whether pixels touch the top, the bottom, the left and the right edge, (4,) bool."""
        height, width = self.shape
        return np.array([(ys == 0).any(), (ys == height - 1).any(), (xs == 0).any(), (xs == width - 1).any()])
