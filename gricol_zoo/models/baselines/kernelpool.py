"""Kernel pooling, Cui et al., CVPR 2017, 3049-3058; [22] in the paper: (B, C, h, w) -> (B, F + (order - 1) * sketch, 1, 1).

For the features of two positions, of length 1, the Gaussian kernel is a sum of powers of their inner product (its Taylor
series). The power p is itself an inner product, of vectors of all products of p channels. A tensor sketch reduces such a
vector to ``sketch`` numbers: the circular convolution of p count sketches of the features, which is a product after a Fourier
transform. So the pooled features contain interactions of up to ``order`` channels; those of a bilinear network, of two.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.vector import as_map, power_normalised
from gricol_zoo.models.contracts import Backbone

SEED = 2017  # of the sketches, which are not weights: they are drawn again, with the same result, whenever a network is built


def taylor(gamma: float, order: int) -> list[float]:
    """Return the coefficients of <x, y> ** p, p = 1..order, in exp(-gamma |x - y|^2) of vectors of length 1.

    >>> [round(value, 4) for value in taylor(0.5, 3)]
    [0.3679, 0.1839, 0.0613]
    """
    return [math.exp(-2 * gamma) * (2 * gamma) ** power / math.factorial(power) for power in range(1, order + 1)]


@BACKBONES.register("kernelpool")
class KernelPool(Backbone):
    """23.8 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        trunk: the registered backbone inside.
        order: the highest power, at least 2.
        sketch: length of the sketch of each power above the first, at least 2.
        gamma: of the Gaussian kernel; its Taylor series gives the initial weights of the powers, which are then trained.

    Raises:
        GricolZooError: an order or a sketch below 2.
    """

    first_conv = "trunk.conv1"
    gives_map = False

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        trunk: str = "r50",
        order: int = 4,
        sketch: int = 4096,
        gamma: float = 0.5,
    ) -> None:
        super().__init__()
        if order < 2 or sketch < 2:
            raise GricolZooError(f"Expected `order` and `sketch` of at least 2, but got {order} and {sketch}.")
        self.trunk = build_backbone(trunk, in_chans, input_size)
        features = int(self.trunk.num_features)
        self.order, self.sketch = order, sketch
        self.num_features = features + (order - 1) * sketch
        # A kernel's coefficient is the square of the weight that its features get.
        self.weights = nn.Parameter(torch.tensor(taylor(gamma, order)).sqrt())
        self.places: Tensor
        self.signs: Tensor
        draw = np.random.RandomState(SEED)  # its numbers stay the same from one version of numpy to the next
        self.register_buffer("places", torch.tensor(draw.randint(sketch, size=(order, features))), persistent=False)
        self.register_buffer("signs", torch.tensor(draw.randint(2, size=(order, features)) * 2.0 - 1).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F + (order - 1) * sketch, 1, 1)."""
        return as_map(power_normalised(self.pool(self.trunk(x))))

    def pool(self, maps: Tensor) -> Tensor:
        """(B, F, h, w) -> (B, F + (order - 1) * sketch) float32: the weighted powers, averaged over the positions."""
        positions = F.normalize(maps.float(), dim=1).flatten(2).transpose(1, 2)  # (B, n, F)
        powers = [positions.mean(1) * self.weights[0]]
        product = self._transformed(positions, 0)
        for index in range(1, self.order):
            product = product * self._transformed(positions, index)
            # Averaging is linear, so it may come before the inverse transform.
            powers.append(torch.fft.irfft(product.mean(1), self.sketch) * self.weights[index])
        return torch.cat(powers, dim=1)

    def _transformed(self, positions: Tensor, index: int) -> Tensor:
        """Return the Fourier transform of one count sketch: (B, n, F) -> (B, n, sketch // 2 + 1) complex."""
        empty = positions.new_zeros([positions.shape[0], positions.shape[1], self.sketch])
        return torch.fft.rfft(empty.index_add(2, self.places[index], positions * self.signs[index]))
