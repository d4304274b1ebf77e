"""Answers must be finite numbers."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gricol_zoo.errors import CorruptWeightsError


def check_finite(values: np.ndarray | Tensor, name: str = "") -> None:
    """Reject logits or feature maps that are not finite.

    Canvases are finite, so the cause is the weights, and the next image would be no better.

    Raises:
        CorruptWeightsError: a NaN or an infinity.
    """
    finite = values.isfinite() if isinstance(values, Tensor) else np.isfinite(values)
    if not bool(finite.all()):
        raise CorruptWeightsError(
            f"The weights of {name or 'this model'} gave numbers that are not finite for an image. Expected finite ones, so "
            "the weights or their config are damaged. Get them again."
        )
