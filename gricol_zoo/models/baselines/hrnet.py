"""A high-resolution network that also finds bends, Zhang et al., IEEE JBHI 2021, 25(8):3240-3251; [16] in the paper.

(B, C, h, w) -> (B, 2048, h/32, w/32). Its authors train one network for the class and for the manually marked joints of the
chromosome. Here the joints are five points of the medial axis of ``gricol_zoo.classical``: both tips, the centromere, and
where either half bends most. The layer that finds them is used only in training; at inference only the class is predicted.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.contracts import Backbone, Classify, Criterion, Measure, MultiLevel

JOINTS = 5
LEVEL = 1  # the branch of the highest resolution, a quarter of the image's, after fusion with the others


def heat_maps(joints: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Draw each joint as a Gaussian of height 1.

    Args:
        joints: (B, J, 2) as (y, x), as fractions of the image's sides.
        size: (h, w) of the maps.
        sigma: standard deviation, in pixels of the maps.

    Returns:
        (B, J, h, w).
    """
    rows, columns = (torch.arange(side, device=joints.device) + 0.5 for side in size)
    y, x = joints[..., 0, None] * size[0], joints[..., 1, None] * size[1]
    down, across = (-((rows - y) ** 2) / (2 * sigma**2)).exp(), (-((columns - x) ** 2) / (2 * sigma**2)).exp()
    return down[..., :, None] * across[..., None, :]


def padded(x: Tensor) -> Tensor:
    """Pad (B, C, h, w) images at the bottom and the right to multiples of 32 pixels, by repeating the edge pixels."""
    return F.pad(x, [0, -x.shape[3] % 32, 0, -x.shape[2] % 32], mode="replicate")


@BACKBONES.register("hrnet")
class HRNet(Backbone):
    """19.3 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        trunk: the registered backbone inside, with several levels.
        sigma: standard deviation of a joint's heat map, in pixels of the map.
        gamma: weight of the joints' loss.

    Raises:
        GricolZooError: a trunk with a single level.
    """

    first_conv = "trunk.net.conv1"
    looks_at_shape = True

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        trunk: str = "timm/hrnet_w18",
        sigma: float = 2.0,
        gamma: float = 10.0,
    ) -> None:
        super().__init__()
        height, width = (side + -side % 32 for side in input_size)
        net = build_backbone(trunk, in_chans, (height, width))
        if not isinstance(net, MultiLevel):
            raise GricolZooError(f"Expected a trunk that gives the maps of several levels, but {trunk!r} gives one.")
        self.trunk = net
        self.num_features = int(net.num_features)
        self.sigma, self.gamma = sigma, gamma
        self.auxiliary = nn.Conv2d(net.feature_info[LEVEL]["num_chs"], JOINTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 2048, h/32, w/32)."""
        return self.trunk(padded(x))

    def training_loss(
        self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion, measure: Measure
    ) -> Tensor:
        """Return the loss of the classes, plus ``gamma`` times the squared error of the joints' heat maps, where measured."""
        images = padded(images)
        maps, (sharp,) = cast(MultiLevel, self.trunk).forward_intermediates(images, [LEVEL], stop_early=False)
        said, shapes = self.auxiliary(sharp).float(), measure(images)
        truth = heat_maps(shapes.joints, (said.shape[2], said.shape[3]), self.sigma)
        joints = shapes.mean((said - truth).square().mean((1, 2, 3)))
        return criterion(classify(maps), labels) + self.gamma * joints
