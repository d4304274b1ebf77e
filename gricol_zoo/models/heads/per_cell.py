"""Grid learning without reconstruction (GRiL): (B, K, F) -> (B, K, classes), None.

The paper (section 2.3) only says that the reconstruction network is removed. One linear classifier per cell is our
interpretation: without it nothing would be learnt on the grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gricol_zoo.models.heads.registry import HEADS


@HEADS.register("per_cell")
class PerCellHead(nn.Module):
    """Classify each cell's features with a classifier of its own."""

    def __init__(self, num_features: int, num_cells: int, num_classes: int) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(nn.Linear(num_features, num_classes) for _ in range(num_cells))

    def forward(self, features: Tensor) -> tuple[Tensor, None]:
        """(B, K, F) -> (B, K, classes), None."""
        logits = [classify(features[:, k]) for k, classify in enumerate(self.classifiers)]
        return torch.stack(logits, dim=1), None
