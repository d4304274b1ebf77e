"""Whether one classifier is better than another on the same images: pure functions on arrays.

The folds of a cross-validation share most of their training images, so the t-test is corrected for it. For an interval of the
difference that draws whole cases see ``gricol_zoo.metrics.bootstrap_mean``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gricol_zoo.errors import GricolZooError


class TTest(NamedTuple):
    """Mean difference over the folds, its t statistic and the two-sided p-value."""

    difference: float
    t: float
    p: float


class McNemar(NamedTuple):
    """Images that only the first had right, that only the second had right, and the exact two-sided p-value."""

    only_first: int
    only_second: int
    p: float


def corrected_t_test(first: np.ndarray, second: np.ndarray, test_share: float) -> TTest | None:
    """Compare the accuracies of two classifiers over the folds of one cross-validation (Nadeau & Bengio, 2003).

    The variance of the mean is (1/k + test_share) times that of the differences instead of 1/k of it, with test_share the
    number of test images over the number of training images, for the folds' training images overlap.

    Args:
        first: (k,) accuracies of one on the folds.
        second: (k,) accuracies of the other on the same folds.
        test_share: 1/4 for five folds whose other images are all trained on.

    Returns:
        The test, or None where it is not defined: all folds differ by the same amount.

    Raises:
        GricolZooError: other lengths, or fewer than two folds.
    """
    from scipy.stats import t as student

    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise GricolZooError(f"Expected accuracies of the same folds, two at least, but got {first.shape} and {second.shape}.")
    differences = first - second
    mean = float(differences.mean())
    error = math.sqrt((1 / len(first) + test_share) * float(differences.var(ddof=1)))
    if error == 0:
        return None
    return TTest(mean, mean / error, float(2 * student.sf(abs(mean / error), len(first) - 1)))


def mcnemar_exact(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Compare two classifiers on the same images by those that only one of them had right (exact binomial test).

    It takes images as independent; homologues of one cell are not quite, so read it beside the interval by case.

    Args:
        first: (n,) bool, whether the one had each image right.
        second: (n,) bool, whether the other had.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    both = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, both).pvalue) if both else 1.0)


def paired_t_test(first: np.ndarray, second: np.ndarray) -> TTest | None:
    """Compare accuracies of paired runs by the ordinary t-test, as the paper's Table 1 does.

    It takes the runs as independent. Runs that share training images are not, and those that differ in their seed alone say
    nothing of other images: with enough of either any difference becomes significant. Kept to stand beside the printed
    figures; ``corrected_t_test`` is the one to judge by.

    Args:
        first: (k,) accuracies of one.
        second: (k,) accuracies of the other in the same runs.

    Returns:
        The test, or None where all runs differ by the same amount.

    Raises:
        GricolZooError: other lengths, or fewer than two runs.
    """
    return corrected_t_test(first, second, 0.0)
