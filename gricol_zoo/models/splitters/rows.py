"""Overlapping rows as wide as the canvas: (B, C, H, W) -> (B, N, C, h, W), from the top down. Not in the paper.

On an upright canvas a chromosome lies along the height, so its bands follow one another from row to row, and a cut across
the width would go through each of them. Row cells keep every band whole, and cost N cells instead of N x N.
"""

from __future__ import annotations

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.splitters.overlap import OverlapSplitter, axis_starts
from gricol_zoo.models.splitters.registry import SPLITTERS


@SPLITTERS.register("rows")
class RowsSplitter(OverlapSplitter):
    """Crop N rows, evenly spaced, the first at the top and the last at the bottom; neighbours share pixels where necessary.

    Args:
        grid: N.
        image_size, cell_size: (height, width) in pixels; a cell is always as wide as the image, and its own width is ignored.

    Raises:
        GricolZooError: a row is higher than the image.
    """

    def __init__(self, grid: int, image_size: tuple[int, int], cell_size: tuple[int, int]) -> None:
        if cell_size[0] > image_size[0]:
            raise GricolZooError(f"Expected rows no higher than the image {image_size}, but got `cell_size`={cell_size}.")
        super().__init__(1, image_size, (cell_size[0], image_size[1]))
        self.num_cells = grid
        self.corners = [(top, 0) for top in axis_starts(image_size[0], cell_size[0], grid)]
