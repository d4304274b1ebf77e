"""How logits become probabilities: one temperature, and a threshold below which an image needs review."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TEMPERATURE = 1.0  # leaves logits as they are: for weights that were never calibrated


@dataclass(frozen=True)
class Calibration:
    """How a model's logits become probabilities, and which images need review.

    Attributes:
        temperature: divisor of the logits.
        threshold: probability below which an image needs review; None if the weights have no threshold.
    """

    temperature: float = TEMPERATURE
    threshold: float | None = None

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(n, classes) logits -> (n, classes) float64 calibrated probabilities."""
        return softmax(logits, self.temperature)


def softmax(logits: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """(n, classes) logits -> (n, classes) float64 probabilities at a temperature."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    exp = np.exp(scaled)
    return exp / exp.sum(1, keepdims=True)
