"""The types of a ``training_loss``, whose contract ``gricol_zoo.models.baselines`` states."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Classify = Callable[[Tensor], Tensor]
"""A map, (B, F, h, w), to the model's logits, (B, classes)."""
Criterion = Callable[[Tensor, Tensor], Tensor]
"""(B, classes) logits of one classifier and (B,) classes or (B, classes) probabilities to the recipe's loss, a scalar."""
