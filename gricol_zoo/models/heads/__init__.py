"""Heads: (B, K, F) pooled cell features -> (cell logits (B, K, classes), merged logits (B, classes) or None).

Constructor: takes by name what it needs of ``num_features``, ``num_cells`` and ``num_classes``, plus its own options.
The lower branch's classifier is not part of the head: it belongs to the model.
Optional, for ``gricol_zoo.explain``: ``gate_values(features)`` -> (B, K), how much of each cell's features passes, 0..1.
"""

from gricol_zoo.models.heads.registry import HEADS, build_head
from gricol_zoo.models.heads import none, per_cell, reconstruction  # noqa: F401  (register)

__all__ = ["HEADS", "build_head"]
