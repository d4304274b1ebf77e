"""Classifiers that only the objective of a baseline needs, and that its deployed form leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def auxiliary_classifiers(names: Sequence[str], num_features: int, num_classes: int) -> Any:
    """Return a linear classifier for each name, (B, F) -> (B, classes) each; a placeholder without weights for 0 classes."""
    if not num_classes:
        return nn.Identity()
    return nn.ModuleDict({name: nn.Linear(num_features, num_classes) for name in names})
