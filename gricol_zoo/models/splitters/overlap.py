"""The paper's splitter: N x N overlapping cells of a fixed size, (B, C, H, W) -> (B, N*N, C, h, w); section 2.3."""

from __future__ import annotations

import torch
from torch import Tensor

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Splitter
from gricol_zoo.models.splitters.registry import SPLITTERS
from gricol_zoo.models.splitters.spiral import spiral_order

# The paper prints 0, 120, 232 for the columns of its 448x456 image, where even spacing would give 116.
PRINTED_STARTS = {(456, 224, 3): (0, 120, 232)}


def axis_starts(length: int, cell: int, grid: int) -> tuple[int, ...]:
    """Return where the cells start along one axis, in pixels: evenly spaced, first 0, last flush with the end."""
    if (length, cell, grid) in PRINTED_STARTS:
        return PRINTED_STARTS[length, cell, grid]
    if grid == 1:
        return ((length - cell) // 2,)
    return tuple(round(index * (length - cell) / (grid - 1)) for index in range(grid))


@SPLITTERS.register("overlap")
class OverlapSplitter(Splitter):
    """Crop the cells; neighbours share pixels wherever N cells are longer than the image.

    Raises:
        GricolZooError: a cell is larger than the image; in ``forward``, an image of another size.
    """

    def __init__(self, grid: int, image_size: tuple[int, int], cell_size: tuple[int, int]) -> None:
        super().__init__()
        if cell_size[0] > image_size[0] or cell_size[1] > image_size[1]:
            raise GricolZooError(f"Expected cells no larger than the image {image_size}, but got `cell_size`={cell_size}.")
        self.image_size = image_size
        self.cell_size = cell_size
        self.num_cells = grid * grid
        rows = axis_starts(image_size[0], cell_size[0], grid)
        columns = axis_starts(image_size[1], cell_size[1], grid)
        self.corners = [(rows[row], columns[column]) for row, column in spiral_order(grid)]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, C, h, w)."""
        height, width = self.cell_size
        cells = [images[..., top : top + height, left : left + width] for top, left in self.corners]
        return torch.stack(cells, dim=1)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each cell, in pixels of the image."""
        return [(top, left, *self.cell_size) for top, left in self.corners]
