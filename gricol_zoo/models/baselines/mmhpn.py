"""Multi-level and multi-scale horizontal pooling, Zhang et al., Multimed Tools Appl 2020; [34] in the paper.

(B, C, h, w) -> (B, 15 * 256, 1, 1). Made for the re-identification of people, and adapted to chromosomes by the paper: the last
stage of a ResNet keeps the resolution of the one before; its blocks' outputs are pooled in horizontal stripes (block 1 in 8
and in 4, block 2 in 2, block 3 whole); each of the 15 parts has its own reduction layer, and all are classified together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.backbones.resnet import build_resnet
from gricol_zoo.models.contracts import Backbone

STRIPES = 1 + 2 + 4 + 8


@BACKBONES.register("mmhpn")
class MMHPN(Backbone):
    """31.5 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        trunk: the registered ResNet inside.
        width: features that each part is reduced to.
    """

    first_conv = "trunk.conv1"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int], trunk: str = "r50", width: int = 256) -> None:
        super().__init__()
        self.trunk = build_resnet(trunk, in_chans, input_size)
        self.trunk.keep_resolution()
        features = int(self.trunk.num_features)
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(features, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(STRIPES)
        )
        self.num_features = width * len(self.reduce)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 15 * width, 1, 1)."""
        x = self.trunk.before_last_stage(x)
        outputs: list[Tensor] = []
        for block in self.trunk.layer4:
            x = block(x)
            outputs.append(x)
        # In a shorter stage, the first block takes the place of an earlier one.
        second, third = outputs[max(0, len(outputs) - 2)], outputs[max(0, len(outputs) - 3)]
        stripes = torch.cat(
            [
                F.adaptive_avg_pool2d(x, (1, 1)),
                F.adaptive_avg_pool2d(second, (2, 1)),
                F.adaptive_avg_pool2d(third, (4, 1)),
                F.adaptive_avg_pool2d(third, (8, 1)),
            ],
            dim=2,
        )
        parts: list[Tensor] = []
        for index, reduce in enumerate(self.reduce):
            parts.append(reduce(stripes[:, :, index : index + 1]))
        return torch.cat(parts, dim=1)
