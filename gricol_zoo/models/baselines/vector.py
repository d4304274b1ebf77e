"""Helpers of networks with fully connected layers: a flattened map, and a vector in the shape of a map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError


def as_map(vector: Tensor) -> Tensor:
    """(B, F) -> (B, F, 1, 1), which a model's pooling leaves as it is."""
    return vector[:, :, None, None]


def map_size(net: nn.Module, in_chans: int, input_size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (F, h', w') of a network's map for images of (h, w) pixels, without touching its state.

    Raises:
        GricolZooError: the images are too small for it.
    """
    training = net.training
    try:
        with torch.no_grad():
            features = net.eval()(torch.zeros(1, in_chans, *input_size))
    except RuntimeError as error:
        height, width = input_size
        raise GricolZooError(
            f"An image of {height}x{width} pixels is too small: no features remain after pooling. Enlarge it."
        ) from error
    net.train(training)
    return features.shape[1], features.shape[2], features.shape[3]


def power_normalised(x: Tensor) -> Tensor:
    """(B, F) -> (B, F): signed square root, then length 1. 1e-5 is added, because the root's slope at 0 is unbounded."""
    return F.normalize(x.sign() * (x.abs() + 1e-5).sqrt())


class Flat(nn.Module):
    """(B, F, h, w) -> (B, F * rows * columns): average a map to rows x columns positions, and flatten it.

    At the model's own image size the averaging changes nothing; at another, each position is the mean of a part of the map.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.size: Any = (rows, columns)

    def forward(self, x: Tensor) -> Tensor:
        """Flatten it."""
        return F.adaptive_avg_pool2d(x, self.size).flatten(1)
