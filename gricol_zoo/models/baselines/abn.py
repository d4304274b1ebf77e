"""Attention branch network, Fukui et al., CVPR 2019, 10697-10706; [27] in the paper: (B, C, h, w) -> (B, F, h/32, w/32).

After the third stage of a ResNet a separate branch makes maps, which are classified (in training) and reduced to an attention
map of one channel. The features are weighted by it before they go through the last stage. The paper's gate is derived from it.
"""

from __future__ import annotations

from torch import Tensor, nn

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.backbones.resnet import build_resnet
from gricol_zoo.models.contracts import Backbone, Classify, Criterion


@BACKBONES.register("abn")
class ABN(Backbone):
    """38.6 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        num_classes: of the auxiliary classifier.
        trunk: the registered ResNet inside.
        maps: channels that the attention map is computed from. Its authors use one per class; here there are always 24, so that
            the attention, which is part of inference, survives a change of the classes.
    """

    first_conv = "trunk.conv1"

    def __init__(
        self, in_chans: int, input_size: tuple[int, int], num_classes: int, trunk: str = "r50", maps: int = 24
    ) -> None:
        super().__init__()
        self.trunk = build_resnet(trunk, in_chans, input_size)
        self.num_features = int(self.trunk.num_features)
        self.maps = maps
        twin = build_resnet(trunk, in_chans, input_size)
        twin.keep_resolution()
        self.branch = nn.Sequential(
            twin.layer4,
            nn.BatchNorm2d(self.num_features),
            nn.Conv2d(self.num_features, maps, 1, bias=False),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
        )
        self.attention = nn.Sequential(nn.Conv2d(maps, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
        self.reset_classes(num_classes)

    def reset_classes(self, num_classes: int) -> None:
        """Replace the auxiliary classifier, a 1x1 convolution whose map is averaged."""
        self.auxiliary = nn.Conv2d(self.maps, num_classes, 1, bias=False) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h/32, w/32)."""
        x = self.trunk.before_last_stage(x)
        return self._perceive(x, self.attention(self.branch(x)))

    def _perceive(self, x: Tensor, attention: Tensor) -> Tensor:
        return self.trunk.layer4(x * attention + x)

    def attention_map(self, images: Tensor) -> Tensor:
        """Return the attention map: (B, C, h, w) -> (B, 1, h/16, w/16), 0..1."""
        return self.attention(self.branch(self.trunk.before_last_stage(images)))

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the sum of both classifiers' losses: of the attention branch and of the perception branch."""
        x = self.trunk.before_last_stage(images)
        maps = self.branch(x)
        perceived = criterion(classify(self._perceive(x, self.attention(maps))), labels)
        return perceived + criterion(self.auxiliary(maps).mean((-2, -1)), labels)
