"""Cells without overlap (the paper's Table 1): (B, C, H, W) -> (B, N*N, C, h, w).

The image is cut into N x N equal tiles, each resized (bilinear) to the cell size, so that the same backbone sees the
same size and only the overlap differs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Splitter
from gricol_zoo.models.splitters.registry import SPLITTERS
from gricol_zoo.models.splitters.spiral import cells_in_order


@SPLITTERS.register("tiles")
class TilesSplitter(Splitter):
    """Partition the image; every pixel is in exactly one tile.

    Args:
        grid: N.
        image_size: (height, width) in pixels.
        cell_size: (height, width) that each tile is resized to.
        order: order of the tiles, "spiral" or "raster".

    Raises:
        GricolZooError: the image has fewer rows or columns than the grid, or an unknown order.
    """

    def __init__(self, grid: int, image_size: tuple[int, int], cell_size: tuple[int, int], order: str = "spiral") -> None:
        super().__init__()
        if grid > min(image_size):
            raise GricolZooError(f"Expected `grid` to be at most the image's {min(image_size)} pixels, but got {grid}.")
        self.image_size = image_size
        self.cell_size = cell_size
        self.num_cells = grid * grid
        rows = [index * image_size[0] // grid for index in range(grid + 1)]
        columns = [index * image_size[1] // grid for index in range(grid + 1)]
        self.spans = [(rows[r], rows[r + 1], columns[c], columns[c + 1]) for r, c in cells_in_order(grid, order)]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, C, h, w)."""
        tiles = [
            F.interpolate(images[..., top:bottom, left:right], self.cell_size, mode="bilinear", align_corners=False)
            for top, bottom, left, right in self.spans
        ]
        return torch.stack(tiles, dim=1)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each tile, in pixels of the image, before it is resized."""
        return [(top, left, bottom - top, right - left) for top, bottom, left, right in self.spans]
