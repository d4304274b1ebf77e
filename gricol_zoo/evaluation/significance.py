"""Test whether one classifier is better than another on the same images: pure functions of arrays.

The folds of a cross-validation share most of their training images, so the t-test is corrected for that; the ordinary t-tests
are for comparison with published results. ``gricol_zoo.evaluation.metrics.bootstrap_mean`` gives an interval of the difference
that draws whole cases.
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
    """Number of images that only the first or only the second classifier has correct, and the exact two-sided p-value."""

    only_first: int
    only_second: int
    p: float


def corrected_t_test(first: np.ndarray, second: np.ndarray, test_share: float) -> TTest | None:
    """Compare the accuracies of two classifiers over the folds of one cross-validation (Nadeau & Bengio, 2003).

    Because the training images of the folds overlap, the variance of the mean is estimated as (1/k + test_share) times that of
    the differences, instead of 1/k times.

    Args:
        first: (k,) accuracies of one classifier on the folds.
        second: (k,) accuracies of the other on the same folds.
        test_share: number of test images divided by the number of training images; 1/4 for five folds if all other images are
            used for training.

    Returns:
        The test, or None if it is not defined because all folds differ by the same amount.

    Raises:
        GricolZooError: the lengths differ, or there are fewer than two folds.
    """
    from scipy.stats import t as student

    _check_pairs(first, second)
    differences = first - second
    difference, spread = float(differences.mean()), (1 / len(first) + test_share) * float(differences.var(ddof=1))
    if spread == 0:
        return None
    t = difference / math.sqrt(spread)
    return TTest(difference, t, float(2 * student.sf(abs(t), len(first) - 1)))


def _check_pairs(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise GricolZooError(f"Expected accuracies of the same folds, at least two, but got {first.shape} and {second.shape}.")


def paired_t_test(first: np.ndarray, second: np.ndarray) -> TTest | None:
    """Compare the accuracies of two classifiers over the same runs with Student's paired t-test, as published in papers.

    The test assumes independent runs. Folds, or repeated splits of one set, are not independent: they share most of their
    training images, so their accuracies vary less than those of new sets would. Then t is too large and p too small, and more
    so with more runs. Table 1 of the GRiCoL paper has a t-test over 100 runs without saying of which kind;
    ``two_sample_t_test`` is the other one. For a conclusion use ``corrected_t_test``, which equals this test if nothing
    overlaps.

    Args:
        first: (k,) accuracies of one classifier in the runs.
        second: (k,) accuracies of the other in the same runs.

    Returns:
        The test, or None if it is not defined because all runs differ by the same amount.

    Raises:
        GricolZooError: the lengths differ, or there are fewer than two runs.
    """
    from scipy.stats import ttest_rel

    _check_pairs(first, second)
    if (first - second).var(ddof=1) == 0:
        return None
    found = ttest_rel(first, second)
    return TTest(float((first - second).mean()), float(found.statistic), float(found.pvalue))


def two_sample_t_test(first: np.ndarray, second: np.ndarray) -> TTest | None:
    """Compare two lists of accuracies with Student's t-test for equal variances, as published in papers.

    If the runs share images, it is as wrong as ``paired_t_test``; it also ignores that both classifiers had the same splits.

    Args:
        first: (k,) accuracies of one classifier in its runs.
        second: (m,) accuracies of the other in its runs.

    Returns:
        The test, or None if it is not defined because neither varies.

    Raises:
        GricolZooError: there are fewer than two runs of either.
    """
    from scipy.stats import ttest_ind

    if first.ndim != 1 or second.ndim != 1 or min(len(first), len(second)) < 2:
        raise GricolZooError(f"Expected accuracies of at least two runs each, but got {first.shape} and {second.shape}.")
    if first.var(ddof=1) == second.var(ddof=1) == 0:
        return None
    found = ttest_ind(first, second)
    return TTest(float(first.mean() - second.mean()), float(found.statistic), float(found.pvalue))


def mcnemar_exact(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Compare two classifiers by the images that only one of them has correct (McNemar's exact binomial test).

    The test assumes independent images. Homologues of one cell are not quite independent, so use it together with the interval
    by case.

    Args:
        first: (n,) bool, whether the first classifier has each image correct.
        second: (n,) bool, the same for the second.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    both = only_first + only_second
    return McNemar(only_first, only_second, float(binomtest(only_first, both).pvalue) if both else 1.0)
