"""The siamese network of Swati et al., ICCV Workshops 2017, 72-81; [14] in the paper: (B, C, h, w) -> (B, 256, 1, 1).

Two stages. In the first a twin CNN learns whether two chromosomes are of one class; then it is frozen, and a small classifier
learns on its features. Layers and losses are those of a public re-implementation. Padding the convolutions by one pixel is our
choice, so 128x32 becomes a map of 128 channels and 32x8. See docs/reference/method.md.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.baselines.vector import Flat, as_map, map_size
from gricol_zoo.models.contracts import Backbone, Classify, Criterion


def pairs(classes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pair the images of a batch: each with one of its own class, and each with one of another, if the batch has one.

    Args:
        classes: (B,) int64.

    Returns:
        The pairs of the same class, then those of different classes, as (first, second) indices; a kind without a pair is left
        out. Partners are drawn with torch's global generator.

    Raises:
        GricolZooError: fewer than two images.
    """
    if len(classes) < 2:
        raise GricolZooError("Expected at least two images per batch to form pairs, but got one. Raise `batch_size`.")
    same = classes[:, None] == classes
    noise = torch.rand(same.shape).to(classes.device)
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    kinds = []
    for allowed in (same & ~itself, ~same):
        first = allowed.any(1).nonzero()[:, 0]
        if len(first):
            kinds.append((first, noise.masked_fill(~allowed, -1).argmax(1)[first]))
    return kinds


@BACKBONES.register("siamese2017")
class Siamese2017(Backbone):
    """17.0 M parameters with 24 classes at 128x32 (height x width: a chromosome stands upright).

    Args:
        in_chans, input_size: of the images.
        pair_epochs: number of epochs in which the twin learns from pairs; then it is frozen and the classifier learns.
    """

    first_conv = "twin.0"
    gives_map = False

    def __init__(self, in_chans: int, input_size: tuple[int, int], pair_epochs: int = 35) -> None:
        super().__init__()
        convolutions = nn.Sequential(
            *(nn.Conv2d(in_chans, 64, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(64), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(128), nn.MaxPool2d(2), nn.Dropout(0.25)),
        )
        channels, rows, columns = map_size(convolutions, in_chans, input_size)
        dense = nn.Linear(channels * rows * columns, 512)
        self.twin = nn.Sequential(*convolutions, Flat(rows, columns), dense, nn.Sigmoid())
        self.num_features = 256
        self.fc = nn.Sequential(
            nn.BatchNorm1d(512), nn.Linear(512, 256), nn.ReLU(), nn.BatchNorm1d(self.num_features), nn.Dropout(0.2)
        )
        self.auxiliary = nn.Linear(512, 1)
        self.pair_epochs = pair_epochs
        self.phases = (0, pair_epochs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 256, 1, 1)."""
        return as_map(self.fc(self.twin(x)))

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the loss of the pairs before ``pair_epochs``, and the classifier's from then on.

        Raises:
            GricolZooError: a batch of one image has no pairs.
        """
        pairing = epoch < self.pair_epochs
        self.twin.train(self.training and pairing)
        if pairing:
            return self._pair_loss(self.twin(images), labels)
        with torch.no_grad():
            features = self.twin(images)
        return criterion(classify(as_map(self.fc(features))), labels)

    def _pair_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Squared error of "same class", 1 or 0 (for mixed images, its probability); both kinds of pairs weigh the same."""
        losses = []
        for first, second in pairs(labels if labels.ndim == 1 else labels.argmax(1)):
            said = self.auxiliary((features[first] - features[second]).abs()).float().sigmoid()[:, 0]
            equal = labels[first] == labels[second] if labels.ndim == 1 else (labels[first] * labels[second]).sum(1)
            losses.append(F.mse_loss(said, equal.to(said.dtype)))
        return torch.stack(losses).mean()
