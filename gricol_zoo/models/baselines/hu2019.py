"""The chromosome CNN of Hu et al., J Comput Biol 2019, 26(5):473-484; [29] in the paper: (B, C, h, w) -> (B, 256, 1, 1).

Six convolutions, three poolings, four dropouts and two fully connected layers, of which the second is the model's classifier.
The abstract gives those numbers; kernels and widths are those of the only public re-implementation, see
docs/reference/method.md.
"""

from __future__ import annotations

from torch import Tensor, nn

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.baselines.vector import Flat, as_map, map_size
from gricol_zoo.models.contracts import Backbone


def _block(channels: int, middle: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, middle, 3), nn.ReLU(), nn.Conv2d(middle, out, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout2d(0.25)
    )


@BACKBONES.register("hu2019")
class Hu2019(Backbone):
    """8.0 M parameters with 24 classes at 224x224, where the flattened map has 30,976 numbers."""

    first_conv = "blocks.0.0"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(_block(in_chans, 8, 16), _block(16, 16, 32), _block(32, 32, 64))
        channels, rows, columns = map_size(self.blocks, in_chans, input_size)
        self.num_features = 256
        self.flat = Flat(rows, columns)
        self.fc = nn.Sequential(nn.Linear(channels * rows * columns, self.num_features), nn.ReLU(), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 256, 1, 1)."""
        return as_map(self.fc(self.flat(self.blocks(x))))
