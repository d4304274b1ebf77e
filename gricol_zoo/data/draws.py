"""Random numbers for augmentation, the same however many processes share a batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Random numbers for each image of a batch, or for every n-th image of one that n processes share.

    Numbers are drawn for the whole batch, and this process's kept: so they are the same however many share it.

    Args:
        generator: on the CPU.
        batch: images that this process has.
        first: its images are number ``first``, ``first + step``, ... of the whole batch.
        step: how many processes share it.
    """

    def __init__(self, generator: torch.Generator, batch: int, first: int = 0, step: int = 1) -> None:
        self.generator = generator
        self.total = batch * step
        self.mine = slice(first, None, step)

    def rand(self, *shape: int, rows: int = 0) -> Tensor:
        """Return uniform numbers in 0..1, (batch, *shape), or ``rows`` of that, (rows, batch, *shape)."""
        if rows:
            return torch.rand(rows, self.total, *shape, generator=self.generator)[:, self.mine]
        return torch.rand(self.total, *shape, generator=self.generator)[self.mine]

    def randn(self, *shape: int) -> Tensor:
        """Return normal numbers, (batch, *shape)."""
        return torch.randn(self.total, *shape, generator=self.generator)[self.mine]

    def chosen(self, probability: float) -> Tensor:
        """Return the places in this process's batch, (n,) int64, of the images chosen with a probability each."""
        return (self.rand() < probability).nonzero()[:, 0]


def replace(images: Tensor, which: Tensor, changed: Tensor) -> Tensor:
    """Return (B, ...) with the n entries ``which`` replaced by ``changed``, (n, ...)."""
    out = images.clone()
    out[which] = changed
    return out
