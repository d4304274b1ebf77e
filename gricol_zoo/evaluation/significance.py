"""Whether one classifier is better than another on the same images: pure functions on arrays.

The folds of a cross-validation share most of their training images, so the t-test is corrected for it; the ordinary ones are
there to set beside what papers print. For an interval of the difference that draws whole cases see
``gricol_zoo.evaluation.metrics.bootstrap_mean``.
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
    """Compare the accuracies of two classifiers over the same runs by Student's paired t-test, as papers print it.

    It takes the runs as independent. Folds, or repeated splits of one set, are not: they share most of their training images,
    so their accuracies vary less than those of new sets would; t is too large and p too small, the more so the more runs there
    are. The GRiCoL paper's Table 1 has a t-test over 100 runs and does not say of which kind; ``two_sample_t_test`` is the
    other one. For a conclusion take ``corrected_t_test``, which is this one where nothing overlaps.

    Args:
        first: (k,) accuracies of one in the runs.
        second: (k,) accuracies of the other in the same runs.

    Returns:
        The test, or None where it is not defined: all runs differ by the same amount.

    Raises:
        GricolZooError: other lengths, or fewer than two runs.
    """
    from scipy.stats import ttest_rel

    _check_pairs(first, second)
    if (first - second).var(ddof=1) == 0:
        return None
    found = ttest_rel(first, second)
    return TTest(float((first - second).mean()), float(found.statistic), float(found.pvalue))


def two_sample_t_test(first: np.ndarray, second: np.ndarray) -> TTest | None:
    """Compare two lists of accuracies by Student's t-test of equal variances, as papers print it.

    As wrong as ``paired_t_test`` where the runs share images, and it does not use that both had the same splits either.

    Args:
        first: (k,) accuracies of one in its runs.
        second: (m,) accuracies of the other in its runs.

    Returns:
        The test, or None where it is not defined: neither varies.

    Raises:
        GricolZooError: fewer than two runs of either.
    """
    from scipy.stats import ttest_ind

    if first.ndim != 1 or second.ndim != 1 or min(len(first), len(second)) < 2:
        raise GricolZooError(f"Expected accuracies of at least two runs each, but got {first.shape} and {second.shape}.")
    if first.var(ddof=1) == second.var(ddof=1) == 0:
        return None
    found = ttest_ind(first, second)
    return TTest(float(first.mean() - second.mean()), float(found.statistic), float(found.pvalue))


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
