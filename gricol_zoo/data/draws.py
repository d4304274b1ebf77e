"""Random numbers for augmentation that do not depend on how many processes share a batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Random numbers for each image of a batch, or for every n-th image of a batch that n processes share.

    The numbers are drawn for the whole batch, and each process keeps its own part, so an image gets the same numbers with any
    number of processes.

    Args:
        generator: random generator on the CPU.
        batch: number of images that this process has.
        first: the images of this process are number ``first``, ``first + step``, ... of the whole batch.
        step: number of processes that share the batch.
    """

    def __init__(self, generator: torch.Generator, batch: int, first: int = 0, step: int = 1) -> None:
        self.generator = generator
        self.total = batch * step
        self.mine = slice(first, None, step)

    def rand(self, *shape: int, rows: int = 0) -> Tensor:
        """Return uniform numbers in 0..1, (batch, *shape); with ``rows``, (rows, batch, *shape)."""
        if rows:
            return torch.rand(rows, self.total, *shape, generator=self.generator)[:, self.mine]
        return torch.rand(self.total, *shape, generator=self.generator)[self.mine]

    def randn(self, *shape: int) -> Tensor:
        """Return standard normal numbers, (batch, *shape)."""
        return torch.randn(self.total, *shape, generator=self.generator)[self.mine]

    def chosen(self, probability: float) -> Tensor:
        """Choose each image with a probability; return the indices of the chosen ones in this process's batch, (n,) int64."""
        return (self.rand() < probability).nonzero()[:, 0]


def replace(images: Tensor, which: Tensor, changed: Tensor) -> Tensor:
    """Replace the n entries ``which`` of (B, ...) by ``changed``, (n, ...), in place; return the images."""
    images[which] = changed
    return images
