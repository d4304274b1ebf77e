"""No upper branch: (B, 0, F) -> (B, 0, classes), None."""

from __future__ import annotations

from torch import Tensor, nn

from gricol_zoo.models.heads.registry import HEADS


@HEADS.register("none")
class NoHead(nn.Module):
    """Classify nothing; for models without a grid."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> tuple[Tensor, None]:
        """(B, K, F) -> (B, 0, classes), None."""
        return features.new_empty(features.shape[0], 0, self.num_classes), None
