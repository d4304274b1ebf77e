"""NTS-Net (navigator, teacher, scrutinizer), Yang et al., ECCV 2018, 438-454; [20] in the paper.

(B, C, h, w) -> (B, 5 * F, 1, 1). A navigator scores anchor boxes on the trunk's map; the best that do not overlap much are cut
out, enlarged, and go through the same trunk. Global features and those of the first regions are concatenated and classified.
In training the regions' own losses teach the navigator how to rank them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.anchors import Navigator, choose, crop
from gricol_zoo.models.baselines.auxiliary import auxiliary_classifiers
from gricol_zoo.models.baselines.vector import as_map
from gricol_zoo.models.contracts import Backbone, Classify, Criterion

MAX_REGIONS = 21
"""Number of anchors at one position, the only one that the smallest image has."""


def ranking_loss(scores: Tensor, losses: Tensor) -> Tensor:
    """Return how far the scores' ranking of regions is from that of their losses: pairwise hinge, margin 1, batch mean.

    Args:
        scores: (B, M).
        losses: (B, M), which get no gradient.
    """
    better = losses.detach().unsqueeze(2) < losses.detach().unsqueeze(1)  # (B, i, j): region i is the better one
    hinge = F.relu(1 - scores.unsqueeze(2) + scores.unsqueeze(1))
    return (hinge * better).sum((1, 2)).mean()


@BACKBONES.register("ntsnet")
class NTSNet(Backbone):
    """26.5 M parameters with 24 classes, of which 26.4 M are deployed.

    Args:
        in_chans, input_size: of the images.
        num_classes: of the auxiliary classifiers.
        trunk: the registered backbone inside, of reduction 32.
        regions: M, the number of regions that teach the navigator.
        parts: K <= M, the number of regions that are classified.

    Raises:
        GricolZooError: unless 1 <= ``parts`` <= ``regions`` <= 21, the anchors of the smallest image.
    """

    first_conv = "trunk.conv1"
    gives_map = False

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        num_classes: int,
        trunk: str = "r50",
        regions: int = 6,
        parts: int = 4,
    ) -> None:
        super().__init__()
        if not 1 <= parts <= regions <= MAX_REGIONS:
            raise GricolZooError(f"Expected 1 <= `parts` <= `regions` <= {MAX_REGIONS}, but got {parts} and {regions}.")
        self.trunk = build_backbone(trunk, in_chans, input_size)
        self.trunk_features = int(self.trunk.num_features)
        self.navigator = Navigator(self.trunk_features)
        self.regions, self.parts = regions, parts
        self.num_features = self.trunk_features * (1 + parts)
        self.reset_classes(num_classes)

    def reset_classes(self, num_classes: int) -> None:
        """Replace the classifiers of the whole image alone and of a region alone."""
        self.auxiliary = auxiliary_classifiers(("whole", "region"), self.trunk_features, num_classes)

    def look(self, x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of the image (B, F) and of its regions (B, count, F), and the regions' scores (B, count)."""
        maps = self.trunk(x)
        scores, boxes = self.navigator(maps.detach())
        best = choose(scores, boxes, count)
        regions = self.trunk(crop(x, boxes[best])).mean((-2, -1))
        return maps.mean((-2, -1)), regions.unflatten(0, (-1, count)), scores.gather(1, best)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, (1 + parts) * F, 1, 1)."""
        whole, regions, _ = self.look(x, self.parts)
        return as_map(torch.cat([whole, regions.flatten(1)], dim=1))

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the sum of the losses of the image, of its regions (their mean), of all together, and of the ranking."""
        whole, regions, scores = self.look(images, self.regions)
        together = classify(as_map(torch.cat([whole, regions[:, : self.parts].flatten(1)], dim=1)))
        said = self.auxiliary["region"](regions).flatten(0, 1)
        each = labels.repeat_interleave(self.regions, 0)
        losses = F.cross_entropy(said.float(), each, reduction="none").unflatten(0, (-1, self.regions))
        loss = criterion(self.auxiliary["whole"](whole), labels) + criterion(together, labels)
        return loss + criterion(said, each) + ranking_loss(scores.float(), losses)
