"""The chromosome CNN of Sharma et al., CVPR Workshops 2017, 786-793; [13] in the paper: (B, C, h, w) -> (B, 512, 1, 1).

Eight convolutions in four blocks of decreasing width, and three fully connected layers, of which the third is the model's
classifier. Kernel size (here 3x3 without padding) and dropout rate are not in the paper; see docs/reference/method.md.
Its authors straighten the chromosomes first (``gricol_zoo.classical.straighten``), which is not part of the network.
"""

from __future__ import annotations

from torch import Tensor, nn

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.baselines.vector import Flat, as_map, map_size
from gricol_zoo.models.contracts import Backbone


def _block(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3), nn.ReLU(), nn.Conv2d(out, out, 3), nn.ReLU(), nn.Dropout(0.25), nn.MaxPool2d(2)
    )


@BACKBONES.register("sharma2017")
class Sharma2017(Backbone):
    """0.686 M parameters with 24 classes at 120x120, where the flattened map has 72 numbers."""

    first_conv = "blocks.0.0"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(in_chans, 64), _block(64, 32), _block(32, 16), _block(16, 8))
        channels, rows, columns = map_size(self.blocks, in_chans, input_size)
        self.num_features = 512
        self.flat = Flat(rows, columns)
        self.fc = nn.Sequential(
            nn.Linear(channels * rows * columns, 1024), nn.Sigmoid(), nn.Linear(1024, self.num_features), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 512, 1, 1)."""
        return as_map(self.fc(self.flat(self.blocks(x))))
