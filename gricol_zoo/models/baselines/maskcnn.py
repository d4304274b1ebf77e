"""Mask-CNN, Wei et al., Pattern Recognition 2018, 76:704-714; [26] in the paper: (B, C, h, w) -> (B, 8 * F, 1, 1).

A fully convolutional layer group finds the parts of the object, and the features of the image, of each part and of the object
are pooled inside their masks (mean and maximum), normalised to length 1 and classified together. Its authors' parts are a
bird's head and torso, from manually marked points. Here they are a chromosome's short and long arm, which the network learns
from the mask and the medial axis of ``gricol_zoo.classical``: at inference it finds them by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.backbones.resnet import build_resnet
from gricol_zoo.models.baselines.vector import as_map
from gricol_zoo.models.contracts import Backbone, Classify, Criterion, Measure, Shapes

STREAMS = 4  # the image, the short arm, the long arm, both


def pool_inside(maps: Tensor, mask: Tensor) -> Tensor:
    """Pool features inside a mask: their mean and their maximum, as one vector of length 1.

    Args:
        maps: (B, F, h, w), not negative.
        mask: (B, h, w) in 0..1.

    Returns:
        (B, 2 * F), float32.
    """
    weighed = maps.float() * mask.unsqueeze(1)
    mean = weighed.sum((-2, -1)) / mask.sum((-2, -1)).clamp(min=1e-6).unsqueeze(1)
    return F.normalize(torch.cat([mean, weighed.amax((-2, -1))], dim=1))


@BACKBONES.register("maskcnn")
class MaskCNN(Backbone):
    """24.2 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        trunk: the registered ResNet inside, which all four streams share. Its last stage keeps the resolution of the one
            before, so that masks have 1/16 of the image's size, as in its authors' networks.
        width: channels of the layers that find the arms.
    """

    first_conv = "trunk.conv1"
    gives_map = False
    looks_at_shape = True

    def __init__(self, in_chans: int, input_size: tuple[int, int], trunk: str = "r50", width: int = 128) -> None:
        super().__init__()
        self.trunk = build_resnet(trunk, in_chans, input_size)
        self.trunk.keep_resolution()
        features = int(self.trunk.num_features)
        self.parts = nn.Sequential(
            nn.Conv2d(features, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1)
        )
        self.num_features = 2 * features * STREAMS

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 8 * F, 1, 1)."""
        maps = self.trunk(x)
        return self._pooled(maps, self.parts(maps))

    def _pooled(self, maps: Tensor, said: Tensor) -> Tensor:
        """Pool the streams; the masks are probabilities, and get no gradient from the pooling."""
        probability = said.detach().float().softmax(1)
        short, long = probability[:, 1], probability[:, 2]
        masks = [torch.ones_like(short), short, long, short + long]
        return as_map(torch.cat([pool_inside(maps, mask) for mask in masks], dim=1))

    def part_map(self, images: Tensor) -> Tensor:
        """Return the parts' probabilities: (B, C, h, w) -> (B, 3, h/16, w/16), 0..1: neither, the short arm, the long arm."""
        return self.parts(self.trunk(images)).float().softmax(1)

    def training_loss(
        self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion, measure: Measure
    ) -> Tensor:
        """Return the loss of the classes, plus that of the parts at each position for the chromosomes that were measured."""
        maps = self.trunk(images)
        said = self.parts(maps)
        return criterion(classify(self._pooled(maps, said)), labels) + part_loss(said, measure(images))


def part_loss(said: Tensor, shapes: Shapes) -> Tensor:
    """Return the cross entropy of (B, 3, h, w) logits of the parts with the fraction of each position that they cover."""
    arms = F.adaptive_avg_pool2d(shapes.arms, (said.shape[2], said.shape[3]))
    truth = torch.cat([1 - arms.sum(1, keepdim=True), arms], dim=1)
    return shapes.mean(-(truth * said.float().log_softmax(1)).sum(1).mean((-2, -1)))
