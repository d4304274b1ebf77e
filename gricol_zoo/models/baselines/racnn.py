"""RA-CNN (recurrent attention), Fu et al., CVPR 2017, 4476-4484; [25] in the paper: (B, C, h, w) -> (B, 3 * F, 1, 1).

Three networks see the image, a part of it that the first chose, and a part of that which the second chose, each enlarged. The
networks learn the classes. The choosers of the parts learn that each scale should be surer of the true class than the one
before. The two kinds learn in turns. Its authors' networks are VGG-19; here they are any trunk, ResNet-50 by default. A chooser
reads its map through a 1x1 convolution, without which its first layer alone would have 440 M parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.auxiliary import auxiliary_classifiers
from gricol_zoo.models.baselines.vector import Flat, as_map, map_size
from gricol_zoo.models.baselines.zoom import box_losses, enlarge, frozen, square_around, to_boxes, within
from gricol_zoo.models.contracts import Backbone, Classify, Criterion

SCALES = 3
MIN_SIDE = 1 / 3  # smallest side of a part, as a fraction of the scale before
FIRST = 0.5  # side of the target parts of the first epochs, as a fraction


class Chooser(nn.Module):
    """(B, F, h, w) map of one scale -> (B, 4) box as fractions of what it sees, the part that the next scale sees."""

    def __init__(self, channels: int, rows: int, columns: int, width: int) -> None:
        super().__init__()
        hidden = nn.Linear(width * rows * columns, 1024)
        reduce = nn.Conv2d(channels, width, 1)
        self.min_side = MIN_SIDE
        self.layers = nn.Sequential(reduce, nn.ReLU(), Flat(rows, columns), hidden, nn.Tanh(), nn.Linear(1024, 3))

    def forward(self, maps: Tensor) -> Tensor:
        """Choose."""
        return to_boxes(self.layers(maps), self.min_side)


@BACKBONES.register("racnn")
class RACNN(Backbone):
    """88.5 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images; the other two scales have half their size.
        num_classes: of the auxiliary classifiers.
        trunk: the registered backbone inside, once per scale.
        choice_epochs: number of epochs in which the choosers learn where the maps respond most; from then on they and the
            networks learn in turns of one epoch, the choosers first.
        margin: by which a scale should be surer of the true class than the one before, in probability.
        width: channels that a map is reduced to for the choice.

    Raises:
        GricolZooError: ``choice_epochs`` below 1.
    """

    first_conv = "trunks.0.conv1"
    gives_map = False

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        num_classes: int,
        trunk: str = "r50",
        choice_epochs: int = 6,
        margin: float = 0.05,
        width: int = 64,
    ) -> None:
        super().__init__()
        if choice_epochs < 1:
            raise GricolZooError(f"Expected `choice_epochs` to be at least 1, but got {choice_epochs}.")
        half = (input_size[0] // 2, input_size[1] // 2)
        sizes = (input_size, half, half)
        self.trunks = nn.ModuleList(build_backbone(trunk, in_chans, size) for size in sizes)
        maps = [map_size(net, in_chans, size) for net, size in zip(self.trunks, sizes, strict=True)]
        self.choosers = nn.ModuleList(Chooser(*size, width) for size in maps[:-1])
        self.trunk_features = maps[0][0]
        self.num_features = SCALES * self.trunk_features
        self.margin = margin
        self.phases = (0, choice_epochs)
        self.reset_classes(num_classes)

    def reset_classes(self, num_classes: int) -> None:
        """Replace the classifiers of each scale alone."""
        self.auxiliary = auxiliary_classifiers([str(scale) for scale in range(SCALES)], self.trunk_features, num_classes)

    def look(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return each scale's map, and the boxes of the second and third, (B, 4) as fractions of what the one before saw."""
        maps = [self.trunks[0](x)]
        chosen = [self.choosers[0](maps[0])]
        maps.append(self.trunks[1](enlarge(x, chosen[0], 2)))
        chosen.append(self.choosers[1](maps[1]))
        # Cut out of the image itself, which is sharper than the part before.
        maps.append(self.trunks[2](enlarge(x, within(chosen[0], chosen[1]), 2)))
        return maps, chosen

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3 * F, 1, 1): the features of the scales, each normalised to length 1."""
        maps, _ = self.look(x)
        return side_by_side(maps)

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the loss of the current turn: of the networks, of the choosers, or of both before the turns begin."""
        since = int(epoch) - self.phases[1]
        if since >= 0 and since % 2 == 0:
            with frozen(self.trunks, self.auxiliary):
                maps, _ = self.look(images)
                return ranking_loss([self._told(maps, scale) for scale in range(SCALES)], labels, self.margin)
        if since >= 0:
            with frozen(self.choosers):
                maps, _ = self.look(images)
            return self._class_loss(maps, labels, classify, criterion)
        maps, chosen = self.look(images)
        taught = [box_losses(box, strongest(one)).mean() for box, one in zip(chosen, maps, strict=False)]
        return self._class_loss(maps, labels, classify, criterion) + torch.stack(taught).sum()

    def _told(self, maps: list[Tensor], scale: int) -> Tensor:
        return self.auxiliary[str(scale)](maps[scale].mean((-2, -1)))

    def _class_loss(self, maps: list[Tensor], labels: Tensor, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the losses of the three classifiers and of the one on all scales."""
        each = [criterion(self._told(maps, scale), labels) for scale in range(SCALES)]
        return torch.stack(each).sum() + criterion(classify(side_by_side(maps)), labels)


def side_by_side(maps: list[Tensor]) -> Tensor:
    """Pool each scale's (B, F, h, w) map, normalise it to length 1, and concatenate: (B, 3 * F, 1, 1)."""
    return as_map(torch.cat([F.normalize(one.mean((-2, -1)).float()) for one in maps], dim=1))


def strongest(maps: Tensor) -> Tensor:
    """Return (B, 4) squares, as fractions, around where (B, F, h, w) maps respond most, half as wide as what they see."""
    response = maps.detach().float().mean(1)
    height, width = response.shape[1:]
    place = response.flatten(1).argmax(1)
    row, column = torch.div(place, width, rounding_mode="floor"), place % width
    middle = torch.stack([(row + 0.5) / height, (column + 0.5) / width], dim=1)
    return square_around(middle, torch.full_like(middle[:, :1], FIRST))


def ranking_loss(logits: list[Tensor], labels: Tensor, margin: float) -> Tensor:
    """Return the hinge loss that wants each scale's probability of the true class above that of the scale before by a margin.

    Args:
        logits: (B, classes) for each scale.
        labels: (B,) classes, or (B, classes) probabilities.
        margin: in probability.
    """
    classes = F.one_hot(labels, logits[0].shape[1]) if labels.ndim == 1 else labels
    sure = [(one.float().softmax(1) * classes).sum(1) for one in logits]
    return torch.stack([F.relu(sure[i] - sure[i + 1] + margin).mean() for i in range(len(sure) - 1)]).sum()
