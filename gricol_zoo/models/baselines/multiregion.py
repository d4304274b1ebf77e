"""Several regions through one ResNet, Wang & Wang, Adv Appl Math 2019, 8(11):1753-1765; [35] in the paper.

(B, C, h, w) -> (B, 6 * F, 1, 1): quadrants, centre and whole image, whose pooled features are concatenated and classified. It
is the splitter ``regions`` and a registered backbone. The paper has one sentence on it; shared weights are our interpretation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.vector import as_map
from gricol_zoo.models.contracts import Backbone
from gricol_zoo.models.splitters.regions import RegionsSplitter


@BACKBONES.register("multiregion")
class MultiRegion(Backbone):
    """23.8 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        trunk: the registered backbone inside.
        shared: one trunk for all regions; else one trunk per region (141 M parameters).
    """

    first_conv = "trunks.0.conv1"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int], trunk: str = "r50", shared: bool = True) -> None:
        super().__init__()
        self.regions = RegionsSplitter(input_size)
        count = 1 if shared else self.regions.num_cells
        trunks = [build_backbone(trunk, in_chans, self.regions.cell_size) for _ in range(count)]
        self.trunks = nn.ModuleList(trunks)
        self.num_features = int(trunks[0].num_features) * self.regions.num_cells

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 6 * F, 1, 1)."""
        regions = self.regions(x)
        if len(self.trunks) == 1:
            features = self.trunks[0](regions.flatten(0, 1)).mean((-2, -1))
            return as_map(features.reshape(-1, self.num_features))
        return as_map(torch.cat([trunk(regions[:, k]).mean((-2, -1)) for k, trunk in enumerate(self.trunks)], dim=1))
