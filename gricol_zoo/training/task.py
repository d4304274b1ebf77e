"""Model and loss as one module: what accelerate or DistributedDataParallel wraps."""

from __future__ import annotations

from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.models.contracts import OwnObjective
from gricol_zoo.models.lower import check_images, sum_polarities
from gricol_zoo.spec import GridOutput
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.shapes import measure_shapes


class TrainingTask(nn.Module):
    """Call every branch and return the loss.

    ``GridModel.forward`` runs the lower branch alone, so a data-parallel wrapper around the model itself would never
    see the upper branch; around this module it sees every parameter.
    """

    def __init__(self, model: GridModel, loss: GridLoss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    @property
    def phases(self) -> tuple[int, ...]:
        """First epoch of each phase of a backbone's own objective, if it has one (``gricol_zoo.models.contracts``)."""
        return () if self.model.splitter.num_cells else self.model.backbone.phases

    def forward(self, images: Tensor, labels: Tensor, epoch: float, polarity: Tensor | None = None) -> Tensor:
        """Return the loss (a scalar) of (B, C, H, W) images at an epoch (Eq. 6).

        If a backbone has its own ``training_loss`` (``OwnObjective``) and there is no grid, that is the loss.
        If the whole upper branch has weight 0 (only with ``beta=0``, long before ``ramp_epoch``), it is not computed.

        Args:
            images: (B, C, H, W).
            labels: (B,) int64 classes, or (B, classes) probabilities.
            epoch: counted from 0; fractions are allowed.
            polarity: (B,) bool, whether the short arm is up; a model with polarity then learns it along with the class.

        Raises:
            GricolZooError: images of another shape than the model's, or a polarity that the model or objective does not have.
        """
        backbone, num_cells = self.model.backbone, self.model.splitter.num_cells
        if isinstance(backbone, OwnObjective) and not num_cells:
            if polarity is not None:
                raise GricolZooError(f"The objective of {self.model.spec.backbone!r} does not support polarity. Leave it out.")
            more = (measure_shapes,) if self.model.backbone.looks_at_shape else ()
            seen = self.model.overview(images)
            return backbone.training_loss(seen, labels, epoch, self.model.forward_head, self.loss.criterion, *more)
        if self.loss.uses_upper(epoch, num_cells):
            return self.loss(self.model.branches(images), labels, epoch, polarity)
        return self.loss(self._lower_alone(images), labels, epoch, polarity)

    def _lower_alone(self, images: Tensor) -> GridOutput:
        joint = None
        if self.model.polarity:
            check_images(images, self.model.spec)
            joint = self.model.joint_head(self.model.forward_features(images))
            logits = sum_polarities(joint.flatten(1))
        else:
            logits = self.model(images)
        return GridOutput(logits, logits.new_empty(len(logits), 0, logits.shape[1]), None, joint)
