"""Metrics as pure functions of arrays; fractions are in 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the (num_classes, num_classes) int64 counts of (n,) true (rows) and predicted (columns) class indices."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def per_class_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and F1 from a confusion matrix, each (classes,) float64; 0 where the denominator is 0."""
    hits = np.diag(matrix).astype(float)
    predicted, true = matrix.sum(0), matrix.sum(1)
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    return {"precision": precision, "recall": recall, "f1": f1}


def macro_f1(matrix: np.ndarray, num_classes: int | None = None) -> float:
    """Return the mean F1 over the classes that occur as true or predicted class; only the first ``num_classes`` if given."""
    present = ((matrix.sum(0) + matrix.sum(1)) > 0)[:num_classes]
    return float(per_class_scores(matrix)["f1"][:num_classes][present].mean()) if present.any() else 0.0


def perfect_groups(correct: np.ndarray, groups: Sequence[str]) -> tuple[int, int]:
    """Return the number of groups with all images correct, and the number of groups; images without a group do not count."""
    wrong = {group for group, good in zip(groups, correct, strict=True) if group and not good}
    every = {group for group in groups if group}
    return len(every - wrong), len(every)


def bootstrap_mean(values: np.ndarray, groups: Sequence[str], samples: int = 2000, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a mean over images, drawing whole groups (cases or cells).

    Images of one group are not independent, so drawing single images would give too narrow an interval.

    Args:
        values: (n,) one per image: whether it is correct (bool), or the difference between two classifiers on it.
        groups: (n,) case or cell of each image; an image without one ("") is its own group.
        samples: number of bootstrap samples.
        seed: of the draws.

    Returns:
        The lower and the upper bound; None if there are fewer than two groups.
    """
    names = [group or f"\0{index}" for index, group in enumerate(groups)]
    _, group_of = np.unique(names, return_inverse=True)
    sizes = np.bincount(group_of)
    if len(sizes) < 2:
        return None
    sums = np.bincount(group_of, weights=values.astype(float))
    rng, means = np.random.default_rng(seed), np.empty(samples)
    for index in range(samples):  # one at a time: all at once would take gigabytes for images without cells
        drawn = rng.integers(0, len(sizes), len(sizes))
        means[index] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
