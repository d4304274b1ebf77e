"""Bilinear CNN, Lin et al., ICCV 2015, 1449-1457; [23] in the paper: (B, C, h, w) -> (B, 512 * 512, 1, 1).

VGG-16 without its last pooling; the products of every two channels, averaged over the positions, are the features. Here both
streams are the same network (its authors' "D, D" with shared weights), so the products are symmetric.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.baselines.vector import as_map, power_normalised
from gricol_zoo.models.contracts import Backbone

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(in_chans: int) -> nn.Sequential:
    """Return VGG-16's 13 convolutions, pooling between the blocks but not at the end; tensor names as in timm."""
    layers: list[nn.Module] = []
    channels = in_chans
    for widths in BLOCKS:
        if layers:
            layers.append(nn.MaxPool2d(2))
        for width in widths:
            conv = nn.Conv2d(channels, width, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers += [conv, nn.ReLU(inplace=True)]
            channels = width
    return nn.Sequential(*layers)


def bilinear(x: Tensor) -> Tensor:
    """(B, F, h, w) -> (B, F * F): mean outer product over the positions, signed square root, length 1; float32."""
    x = x.flatten(2)
    products = torch.bmm(x, x.transpose(1, 2)).flatten(1)
    # bfloat16 has 8 bits: enough for the products, which are summed in float32, but too few for their norm.
    return power_normalised(products.float() / x.shape[2])


@BACKBONES.register("bcnn")
class BCNN(Backbone):
    """21.0 M parameters with 24 classes, 6.3 M of them the classifier's.

    Args:
        in_chans: of the images.
        pretrained: start from timm's ImageNet weights, as its authors did (needs the network or timm's cache).
    """

    first_conv = "features.0"
    gives_map = False

    def __init__(self, in_chans: int, pretrained: bool = False) -> None:
        super().__init__()
        self.features = vgg16(in_chans)
        self.num_features = BLOCKS[-1][-1] ** 2
        if pretrained:
            import timm

            theirs = timm.create_model("vgg16", pretrained=True, in_chans=in_chans, num_classes=0)
            self.features.load_state_dict(theirs.features.state_dict())  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 512 * 512, 1, 1)."""
        return as_map(bilinear(self.features(x)))
