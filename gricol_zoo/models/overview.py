"""How the lower branch sees the whole image: (B, C, H, W) -> (B, C, h, w).

"conv" is the paper's R_I (step 1 of section 1.4: the whole image brought to a cell's size by convolution); "resize" is
bilinear; "none" leaves the image as it is. All three work at other image sizes too, in proportion.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError


class ConvOverview(nn.Module):
    """Depthwise 3x3 convolution of stride 2, initialised as a binomial blur, then a centre crop to the cell.

    If the cell is not about half the image (larger than half, or smaller by more than a sixteenth of the cell), a bilinear
    resize replaces the crop.
    """

    def __init__(self, in_chans: int, image_size: tuple[int, int], cell_size: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_chans, in_chans, 3, 2, 1, groups=in_chans)
        self.halved = ((image_size[0] + 1) // 2, (image_size[1] + 1) // 2)
        self.cell_size = cell_size
        spare = (self.halved[0] - cell_size[0], self.halved[1] - cell_size[1])
        self.crops = all(0 <= extra <= size // 16 for extra, size in zip(spare, cell_size, strict=True))
        # Negative padding crops by a fixed number of pixels on each side, whatever the size of the input.
        self.margins = [-(spare[1] // 2), -(spare[1] - spare[1] // 2), -(spare[0] // 2), -(spare[0] - spare[0] // 2)]
        self.init_weights()

    @torch.jit.ignore
    def init_weights(self) -> None:
        """Start as the 3x3 binomial low-pass, so that the first epochs see the image."""
        kernel = torch.tensor([1.0, 2.0, 1.0])
        blur = torch.outer(kernel, kernel) / 16
        with torch.no_grad():
            self.conv.weight.copy_(blur.expand_as(self.conv.weight))
            self.conv.bias.zero_()  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, h, w)."""
        x = self.conv(images)
        if self.crops:
            return F.pad(x, self.margins)
        height = x.shape[-2] * self.cell_size[0] // self.halved[0]
        width = x.shape[-1] * self.cell_size[1] // self.halved[1]
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)


class ResizeOverview(nn.Module):
    """Bilinear resize, with antialiasing, to the cell's size."""

    def __init__(self, image_size: tuple[int, int], cell_size: tuple[int, int]) -> None:
        super().__init__()
        self.image_size = image_size
        self.cell_size = cell_size

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, h, w)."""
        height = images.shape[-2] * self.cell_size[0] // self.image_size[0]
        width = images.shape[-1] * self.cell_size[1] // self.image_size[1]
        return F.interpolate(images, (height, width), mode="bilinear", align_corners=False, antialias=True)


OVERVIEWS = ("conv", "resize", "none")


def build_overview(
    name: str, in_chans: int, image_size: tuple[int, int], cell_size: tuple[int, int]
) -> tuple[nn.Module, tuple[int, int]]:
    """Return the module and the (height, width) of its output at the model's own image size.

    Raises:
        GricolZooError: an unknown name.
    """
    if name == "conv":
        return ConvOverview(in_chans, image_size, cell_size), cell_size
    if name == "resize":
        return ResizeOverview(image_size, cell_size), cell_size
    if name == "none":
        return nn.Identity(), image_size
    raise GricolZooError(f"Expected `overview` to be one of {', '.join(OVERVIEWS)}, but got {name!r}.")
