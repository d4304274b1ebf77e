"""Quadrants, centre and the whole image: (B, C, H, W) -> (B, 6, C, H/2, W/2).

The regions of Wang & Wang (Adv Appl Math 2019), [35] in the paper; see ``gricol_zoo.models.baselines.multiregion``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Splitter
from gricol_zoo.models.splitters.registry import SPLITTERS


@SPLITTERS.register("regions")
class RegionsSplitter(Splitter):
    """Crop the quadrants (clockwise from the top left) and the centre, and resize the whole (bilinear) to their size.

    Raises:
        GricolZooError: the image has fewer than two rows or columns.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        super().__init__()
        if min(image_size) < 2:
            raise GricolZooError(
                f"Expected an image of at least 2x2 pixels to split in half, but got `image_size`={image_size}."
            )
        self.image_size = image_size
        self.cell_size = (image_size[0] // 2, image_size[1] // 2)
        self.num_cells = 6

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 6, C, H/2, W/2), for images of any size."""
        height, width = images.shape[-2] // 2, images.shape[-1] // 2
        top, left = images.shape[-2] - height, images.shape[-1] - width
        return torch.stack(
            [
                images[..., :height, :width],
                images[..., :height, left:],
                images[..., top:, left:],
                images[..., top:, :width],
                images[..., top // 2 : top // 2 + height, left // 2 : left // 2 + width],
                F.interpolate(images, (height, width), mode="bilinear", align_corners=False),
            ],
            dim=1,
        )

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each region, in pixels of the image; the last is the whole, before resizing."""
        (height, width), (rows, columns) = self.cell_size, self.image_size
        top, left = rows - height, columns - width
        corners = [(0, 0), (0, left), (top, left), (top, 0), (top // 2, left // 2)]
        return [*((y, x, height, width) for y, x in corners), (0, 0, rows, columns)]
