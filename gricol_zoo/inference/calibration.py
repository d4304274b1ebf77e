"""Whether a probability can be trusted: pure functions on arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """How a model's logits become probabilities, and which of them are to review.

    Attributes:
        temperature: by which logits are divided.
        threshold: of probability, below which an image is to review; None where the weights have none.
    """

    temperature: float = 1.0
    threshold: float | None = None

    @classmethod
    def of(cls, info: Mapping[str, Any], full: bool = False) -> Calibration:
        """Read it from what came with weights (the key ``gricol_zoo`` of their config).

        Args:
            info: empty for random weights.
            full: of all classifiers combined, instead of the lower branch.
        """
        threshold = info.get("review_threshold")
        temperature = float(info.get("temperature_full" if full else "temperature", 1.0))
        return cls(temperature, None if threshold is None else float(threshold))

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(n, classes) logits -> (n, classes) float64 calibrated probabilities."""
        return softmax(logits, self.temperature)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(n, classes) logits -> (n, classes) float64 probabilities at a temperature."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    exp = np.exp(scaled)
    return exp / exp.sum(1, keepdims=True)


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean negative log likelihood, in nats, of (n,) labels under (n, classes) logits."""
    scaled = logits.astype(np.float64) / temperature
    top = scaled.max(1)
    log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(1))
    return float((log_sum - scaled[np.arange(len(labels)), labels]).mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray, low: float = 0.05, high: float = 20.0) -> float:
    """Return the temperature in low..high that gives (n,) labels the highest likelihood (Guo et al., ICML 2017).

    Golden-section search over the logarithm: the likelihood has one maximum there.
    """
    ratio = (5**0.5 - 1) / 2
    a, b = np.log(low), np.log(high)
    for _ in range(60):
        c, d = b - ratio * (b - a), a + ratio * (b - a)
        if negative_log_likelihood(logits, labels, np.exp(c)) < negative_log_likelihood(logits, labels, np.exp(d)):
            b = d
        else:
            a = c
    return float(np.exp((a + b) / 2))


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over equal-width bins, weighted by their size; 0..1.

    Args:
        confidence: (n,) probabilities of the predicted class.
        correct: (n,) bool.
        bins: how many between 0 and 1.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = 0.0
    for bin_ in range(bins):
        inside = index == bin_
        if inside.any():
            gap += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return float(gap)


def review_threshold(confidence: np.ndarray, correct: np.ndarray, caught: float = 0.8) -> float:
    """Return the lowest confidence, in steps of 1e-4, below which at least ``caught`` of the wrong images lie.

    A bound on the error of what is left cannot be kept where a set's own labels are wrong in a percent of cases: a few sure
    "mistakes" would send most images to review.

    Args:
        confidence: (n,) probabilities of the predicted class, on images the threshold may be chosen on (val).
        correct: (n,) bool.
        caught: share of the wrong images, 0..1. With none wrong there is nothing to catch, and 0 is returned.
    """
    wrong = np.sort(confidence[~correct])
    if not len(wrong) or caught <= 0:
        return 0.0
    last = wrong[math.ceil(caught * len(wrong) - 1e-9) - 1]
    return min(1.0, math.floor(last * 1e4 + 1) / 1e4)
