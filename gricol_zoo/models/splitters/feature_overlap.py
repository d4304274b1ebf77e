"""Overlapping cells cut from the feature map of the whole image: (B, C, H/r, W/r) -> (B, N*N, C, h/r, w/r).

The cells of ``overlap`` share pixels, so a backbone computes its first stages several times for most of them. If cells are
cut after a stage, the stages before it are computed once, and shared with the lower branch if that sees the same image. A cell
then sees a little beyond its border, by the receptive field of the stages before the cut. Not in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.splitters.overlap import OverlapSplitter
from gricol_zoo.models.splitters.registry import SPLITTERS


@SPLITTERS.register("feature_overlap")
class FeatureOverlapSplitter(OverlapSplitter):
    """Cut the cells of ``overlap`` out of a map, in proportion; a map of the image's own size gives the same cells.

    Args:
        grid: N.
        image_size, cell_size: (height, width) in pixels of the image.
        stage: stage of the backbone after which to cut; 0 is the stem.

    Raises:
        GricolZooError: a negative stage, or a cell larger than the image.
    """

    def __init__(self, grid: int, image_size: tuple[int, int], cell_size: tuple[int, int], stage: int = 2) -> None:
        super().__init__(grid, image_size, cell_size)
        if isinstance(stage, bool) or not isinstance(stage, int) or stage < 0:
            raise GricolZooError(f"Expected `stage` to be an integer of at least 0 (the stem), but got {stage!r}.")
        self.stage = stage

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H/r, W/r) -> (B, K, C, h/r, w/r), for any r, rounded."""
        size = (images.shape[-2], images.shape[-1])
        height, width = (_scaled(self.cell_size[i], size[i], self.image_size[i]) for i in (0, 1))
        cells = []
        for top, left in self.corners:
            # In proportion to the positions that a cell can have, so that the first is at 0 and the last flush with the end.
            y = _scaled(top, size[0] - height, self.image_size[0] - self.cell_size[0])
            x = _scaled(left, size[1] - width, self.image_size[1] - self.cell_size[1])
            cells.append(images[..., y : y + height, x : x + width])
        return torch.stack(cells, dim=1)


def _scaled(value: int, to: int, of: int) -> int:
    """Return ``value * to / of``, rounded, by operations that can be traced; 0 if ``of`` is 0."""
    return (2 * value * to + of) // (2 * of) if of else 0
