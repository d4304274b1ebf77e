"""Varifocal-Net, Qin et al., IEEE TMI 2019, 38(11):2569-2581; [17] in the paper: (B, C, h, w) -> (B, 512, 1, 1).

A global network sees the image and chooses a part of it, a local network sees that part enlarged, and the features of both are
classified together. It is trained in phases, as its abstract describes. First the global network learns the classes and, with
supervision, a rough box. Then the local network learns, and through the enlarged part the box is trained further by the
classes alone. Last, with both frozen, a small network learns on their features. The authors drew rough boxes by hand; here
they come from the mask of ``gricol_zoo.classical``. Their last step, the assignment within a case, is done for any model by
``gricol_zoo.karyotype``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.baselines.auxiliary import auxiliary_classifiers
from gricol_zoo.models.baselines.vector import as_map
from gricol_zoo.models.baselines.zoom import box_losses, enlarge, frozen, square_around, to_boxes
from gricol_zoo.models.contracts import Backbone, Classify, Criterion, Measure, Shapes

WIDTH = 512  # of the hidden layers of the box's and of the last network


@BACKBONES.register("varifocal")
class Varifocal(Backbone):
    """50.3 M parameters with 24 classes.

    Args:
        in_chans, input_size: of the images.
        num_classes: of the auxiliary classifiers.
        trunk: the registered backbone inside, once for the image and once for the part.
        box_epochs: number of epochs in which the mask teaches the box; from then on the local network learns.
        network_epochs: epoch from which the two networks are frozen, and the last network learns.
        min_side: smallest side of the box, as a fraction of the image's.
        part: side of the box that the mask teaches, as a fraction of the mask's longer side.

    Raises:
        GricolZooError: unless 0 < ``box_epochs`` < ``network_epochs``.
    """

    first_conv = "global_net.conv1"
    gives_map = False
    looks_at_shape = True

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        num_classes: int,
        trunk: str = "r50",
        box_epochs: int = 5,
        network_epochs: int = 20,
        min_side: float = 0.25,
        part: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 < box_epochs < network_epochs:
            raise GricolZooError(f"Expected 0 < `box_epochs` < `network_epochs`, but got {box_epochs} and {network_epochs}.")
        self.global_net = build_backbone(trunk, in_chans, input_size)
        self.local_net = build_backbone(trunk, in_chans, input_size)
        features = int(self.global_net.num_features)
        self.trunk_features = features
        self.box = nn.Sequential(nn.Linear(features, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 3))
        self.num_features = WIDTH
        self.fc = nn.Sequential(nn.Linear(2 * features, WIDTH), nn.ReLU(), nn.Dropout(0.5))
        self.min_side, self.part = min_side, part
        self.phases = (0, box_epochs, network_epochs)
        self.reset_classes(num_classes)

    def reset_classes(self, num_classes: int) -> None:
        """Replace the classifiers of the image alone and of the part alone."""
        self.auxiliary = auxiliary_classifiers(("image", "part"), self.trunk_features, num_classes)

    def boxes(self, whole: Tensor) -> Tensor:
        """Return the boxes of the parts: (B, F) features of the image -> (B, 4), as fractions of its sides."""
        return to_boxes(self.box(whole), self.min_side)

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of the image and of its part, (B, F) each."""
        whole = self.global_net(x).mean((-2, -1))
        return whole, self.local_net(enlarge(x, self.boxes(whole), 1)).mean((-2, -1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 512, 1, 1)."""
        return as_map(self.fc(torch.cat(self.look(x), dim=1)))

    def training_loss(
        self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion, measure: Measure
    ) -> Tensor:
        """Return the loss of the epoch's phase: classes of the image and box; classes of image and part; classes of both."""
        _, box_epochs, network_epochs = self.phases
        if epoch < box_epochs:
            whole = self.global_net(images).mean((-2, -1))
            shapes = measure(images)
            box = shapes.mean(box_losses(self.boxes(whole), self._rough_boxes(shapes)))
            return criterion(self.auxiliary["image"](whole), labels) + box
        if epoch < network_epochs:
            whole, part = self.look(images)
            return criterion(self.auxiliary["image"](whole), labels) + criterion(self.auxiliary["part"](part), labels)
        with frozen(self.global_net, self.local_net, self.box), torch.no_grad():
            seen = torch.cat(self.look(images), dim=1)
        return criterion(classify(as_map(self.fc(seen))), labels)

    def _rough_boxes(self, shapes: Shapes) -> Tensor:
        """Return (B, 4) squares in the middle of the masks' bounding boxes, ``part`` times their longer sides."""
        corner, end = shapes.box[:, :2], shapes.box[:, 2:]
        size = (self.part * (end - corner).amax(1, keepdim=True)).clamp(self.min_side, 1.0)
        return square_around((corner + end) / 2, size)
