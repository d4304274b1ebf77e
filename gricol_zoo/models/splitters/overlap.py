"""The paper's splitter: N x N overlapping cells of a fixed size, (B, C, H, W) -> (B, N*N, C, h, w); section 2.3."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Splitter
from gricol_zoo.models.splitters.registry import SPLITTERS
from gricol_zoo.models.splitters.spiral import cells_in_order

# The paper prints 0, 120, 232 for the columns of its 448x456 image, where even spacing would give 116.
PRINTED_STARTS = {(456, 224, 3): (0, 120, 232)}


def axis_starts(length: int, cell: int, grid: int) -> tuple[int, ...]:
    """Return where the cells start along one axis, in pixels: evenly spaced, first 0, last flush with the end."""
    if (length, cell, grid) in PRINTED_STARTS:
        return PRINTED_STARTS[length, cell, grid]
    if grid == 1:
        return ((length - cell) // 2,)
    return tuple(round(index * (length - cell) / (grid - 1)) for index in range(grid))


def _given_starts(name: str, starts: Sequence[int], last: int, grid: int) -> tuple[int, ...]:
    """Return the given starts, if any, after checking that there are N and that each cell fits."""
    fits = all(isinstance(start, int) and not isinstance(start, bool) and 0 <= start <= last for start in starts)
    if starts and not (fits and len(starts) == grid):
        raise GricolZooError(f"Expected `{name}` to be {grid} integers in 0..{last}, but got {list(starts)}.")
    return tuple(starts)


@SPLITTERS.register("overlap")
class OverlapSplitter(Splitter):
    """Crop the cells; neighbours share pixels wherever N cells together are longer than the image.

    Args:
        grid: N.
        image_size, cell_size: (height, width) in pixels.
        row_starts, column_starts: the N first rows or columns of the cells, in pixels; by default those of ``axis_starts``.
        order: order of the cells, "spiral" or "raster".

    Raises:
        GricolZooError: a cell is larger than the image or starts where it does not fit, or an unknown order.
    """

    def __init__(
        self,
        grid: int,
        image_size: tuple[int, int],
        cell_size: tuple[int, int],
        row_starts: Sequence[int] = (),
        column_starts: Sequence[int] = (),
        order: str = "spiral",
    ) -> None:
        super().__init__()
        if cell_size[0] > image_size[0] or cell_size[1] > image_size[1]:
            raise GricolZooError(f"Expected cells no larger than the image {image_size}, but got `cell_size`={cell_size}.")
        self.image_size = image_size
        self.cell_size = cell_size
        self.num_cells = grid * grid
        rows = _given_starts("row_starts", row_starts, image_size[0] - cell_size[0], grid)
        columns = _given_starts("column_starts", column_starts, image_size[1] - cell_size[1], grid)
        rows = rows or axis_starts(image_size[0], cell_size[0], grid)
        columns = columns or axis_starts(image_size[1], cell_size[1], grid)
        self.corners = [(rows[row], columns[column]) for row, column in cells_in_order(grid, order)]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, C, h, w)."""
        height, width = self.cell_size
        cells = [images[..., top : top + height, left : left + width] for top, left in self.corners]
        return torch.stack(cells, dim=1)

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each cell, in pixels of the image."""
        return [(top, left, *self.cell_size) for top, left in self.corners]
