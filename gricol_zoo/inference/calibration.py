"""Calibration of probabilities: pure functions on arrays."""

from __future__ import annotations

import math

import numpy as np

from gricol_zoo.models.calibration import TEMPERATURE
from gricol_zoo.models.calibration import Calibration as Calibration  # also importable from here, their old module
from gricol_zoo.models.calibration import softmax as softmax


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = TEMPERATURE) -> float:
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
        bins: number of bins between 0 and 1.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = 0.0
    for bin_ in range(bins):
        inside = index == bin_
        if inside.any():
            gap += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return float(gap)


def review_threshold(confidence: np.ndarray, correct: np.ndarray, caught: float = 0.8) -> float:
    """Return the lowest confidence, in steps of 1e-4, below which at least the fraction ``caught`` of the wrong images lies.

    A bound on the error of the remaining images is not practical if one percent of a set's labels are wrong: a few confident
    "mistakes" would send most images to review.

    Args:
        confidence: (n,) probabilities of the predicted class, on images the threshold may be chosen on (val).
        correct: (n,) bool.
        caught: fraction of the wrong images, 0..1. If no image is wrong, 0 is returned.
    """
    wrong = np.sort(confidence[~correct])
    if not len(wrong) or caught <= 0:
        return 0.0
    last = wrong[math.ceil(caught * len(wrong) - 1e-9) - 1]
    return min(1.0, math.floor(last * 1e4 + 1) / 1e4)
