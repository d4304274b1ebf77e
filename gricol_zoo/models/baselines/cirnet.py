"""CIR-Net, Lin et al., IEEE/ACM TCBB 2022, 19(3):1285-1293; [28] in the paper: (B, C, h, w) -> (B, F * h' * w', 1, 1).

Inception-ResNet-v2 whose last map is flattened for the classifier (5x5x1536 at 224x224); the preset ``cirnet_pooled`` pools
it, which gives (B, F, 1, 1).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.vector import Flat, as_map, map_size
from gricol_zoo.models.contracts import Backbone, Layered


@BACKBONES.register("cirnet")
class CIRNet(Backbone):
    """55.3 M parameters with 24 classes at 224x224.

    Args:
        in_chans, input_size: of the images.
        flat: classify the whole map; otherwise its mean.
        pretrained: start from timm's ImageNet weights, as its authors did (needs the network or timm's cache).
    """

    first_conv = "trunk.net.conv2d_1a.conv"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int], flat: bool = True, pretrained: bool = False) -> None:
        super().__init__()
        self.trunk = build_backbone("timm/inception_resnet_v2", in_chans, input_size, options={"pretrained": pretrained})
        channels, rows, columns = map_size(self.trunk, in_chans, input_size)
        rows, columns = (rows, columns) if flat else (1, 1)
        self.flat = Flat(rows, columns)
        self.num_features = channels * rows * columns

    @torch.jit.ignore
    def parameter_layers(self, coarse: bool) -> dict[str, int]:
        """Return each parameter's layer: those of its trunk."""
        return {f"trunk.{name}": layer for name, layer in cast(Layered, self.trunk).parameter_layers(coarse).items()}

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Return the parameters that its trunk lists."""
        return {f"trunk.{name}" for name in cast(Layered, self.trunk).no_weight_decay()}

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F * h' * w', 1, 1)."""
        return as_map(self.flat(self.trunk(x)))
