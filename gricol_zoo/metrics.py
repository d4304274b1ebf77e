"""Scores as pure functions of arrays; fractions in 0..1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """(n,) true and predicted classes -> (classes, classes) counts, rows true."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def per_class_scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and F1, each (classes,); 0 where there is nothing to divide by."""
    hits = np.diag(matrix).astype(float)
    predicted, true = matrix.sum(0), matrix.sum(1)
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    return {"precision": precision, "recall": recall, "f1": f1}


def macro_f1(matrix: np.ndarray) -> float:
    """Return the mean F1 over the classes that occur, as a truth or as a prediction."""
    present = (matrix.sum(0) + matrix.sum(1)) > 0
    return float(per_class_scores(matrix)["f1"][present].mean()) if present.any() else 0.0


def perfect_groups(correct: np.ndarray, groups: Sequence[str]) -> tuple[int, int]:
    """Return (how many groups have every image right, how many groups there are); images without a group do not count."""
    wrong = {group for group, good in zip(groups, correct, strict=True) if group and not good}
    every = {group for group in groups if group}
    return len(every - wrong), len(every)


def bootstrap_accuracy(
    correct: np.ndarray, groups: Sequence[str], samples: int = 2000, seed: int = 0
) -> tuple[float, float] | None:
    """Return the 95 % interval of accuracy, drawing whole groups (cases or cells) with replacement; None below 2 groups.

    Images of one group are not independent, so drawing single images would give too narrow an interval. An image
    without a group is a group of its own.
    """
    names = [group or f"\0{index}" for index, group in enumerate(groups)]
    _, index = np.unique(names, return_inverse=True)
    sizes = np.bincount(index)
    hits = np.bincount(index, weights=correct.astype(float))
    if len(sizes) < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(sizes), (samples, len(sizes)))
    accuracy = hits[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.percentile(accuracy, [2.5, 97.5])
    return float(low), float(high)
