"""No grid at all: (B, C, H, W) -> (B, 0, C, h, w); the controls ``r50half``, ``r18half_128`` and ``resnet50``."""

from __future__ import annotations

from torch import Tensor

from gricol_zoo.models.contracts import Splitter
from gricol_zoo.models.splitters.registry import SPLITTERS


@SPLITTERS.register("none")
class NoSplitter(Splitter):
    """Give no cells."""

    def __init__(self, cell_size: tuple[int, int]) -> None:
        super().__init__()
        self.cell_size = cell_size
        self.num_cells = 0

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 0, C, h, w)."""
        return images.new_empty(images.shape[0], 0, images.shape[1], *self.cell_size)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return no boxes."""
        return []
