"""Metrics and calibration against scikit-learn, scipy and closed forms."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix as reference_matrix
from sklearn.metrics import f1_score, precision_recall_fscore_support

from gricol_zoo.data.table import Record
from gricol_zoo.evaluation.metrics import bootstrap_mean, confusion_matrix, macro_f1, per_class_scores, perfect_groups
from gricol_zoo.evaluation.out_of_fold import fold_row
from gricol_zoo.evaluation.report import score
from gricol_zoo.evaluation.seen import by_cell
from gricol_zoo.inference.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    review_threshold,
    softmax,
)
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import CHROMOSOMES


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_counts_against_scikit_learn(rng):
    labels, predictions = rng.integers(0, 5, 300), rng.integers(0, 6, 300)
    matrix = confusion_matrix(labels, predictions, 7)
    np.testing.assert_array_equal(matrix, reference_matrix(labels, predictions, labels=range(7)))
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predictions, labels=range(7), zero_division=0)
    ours = per_class_scores(matrix)
    for name, theirs in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose(ours[name], theirs)
    assert macro_f1(matrix) == pytest.approx(f1_score(labels, predictions, average="macro", zero_division=0))


def test_softmax_and_likelihood_against_torch(rng):
    logits, labels = rng.normal(size=(50, 4)).astype(np.float32) * 30, rng.integers(0, 4, 50)
    reference = torch.from_numpy(logits).double() / 1.7
    np.testing.assert_allclose(softmax(logits, 1.7), reference.softmax(1).numpy(), atol=1e-12)
    expected = torch.nn.functional.cross_entropy(reference, torch.from_numpy(labels)).item()
    assert negative_log_likelihood(logits, labels, 1.7) == pytest.approx(expected)


def test_temperature_against_scipy_and_recovers_a_known_one(rng):
    logits = rng.normal(size=(4000, 5)) * 2
    probabilities = softmax(logits)
    labels = np.array([rng.choice(5, p=p) for p in probabilities])
    fitted = fit_temperature(logits * 3, labels)
    reference = minimize_scalar(
        lambda t: negative_log_likelihood(logits * 3, labels, np.exp(t)), bounds=(-3, 3), method="bounded"
    )
    assert fitted == pytest.approx(float(np.exp(reference.x)), rel=1e-3)
    assert fitted == pytest.approx(3, rel=0.1)


def test_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([True, True, True, False])
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    assert expected_calibration_error(np.ones(3), np.array([True] * 3)) == 0
    assert expected_calibration_error(np.ones(4), np.array([True, True, False, False])) == 0.5


def test_review_threshold(rng):
    confidence = np.array([0.99, 0.9, 0.8, 0.7, 0.6, 0.5])
    wrong = np.array([True, False, True, True, True, True])
    assert review_threshold(confidence, ~wrong, 0.8) == pytest.approx(0.8001)  # four of five wrong ones lie below
    assert review_threshold(confidence, ~wrong, 0.81) == pytest.approx(0.9901)
    assert review_threshold(confidence, ~wrong, 0.2) == pytest.approx(0.5001)
    assert review_threshold(confidence, np.array([True] * 6)) == 0.0
    assert review_threshold(np.array([1.0]), np.array([False])) == 1.0
    confidence = rng.random(500)
    correct = rng.random(500) < confidence
    for caught in (0.5, 0.8, 0.95):
        threshold = review_threshold(confidence, correct, caught)
        assert (confidence[~correct] < threshold).mean() >= caught
        assert (confidence[~correct] < threshold - 2e-4).mean() < caught + 0.02


def test_perfect_groups():
    assert perfect_groups(np.array([True, True, False, True]), ["a", "a", "b", ""]) == (1, 2)


def test_bootstrap_by_group_is_wider_than_by_image(rng):
    groups = [str(i // 40) for i in range(800)]
    correct = np.repeat(rng.random(20) < 0.8, 40)  # every group wholly right or wholly wrong
    low, high = bootstrap_mean(correct, groups)
    narrow_low, narrow_high = bootstrap_mean(correct, [""] * 800)
    assert low < correct.mean() < high
    assert high - low > 3 * (narrow_high - narrow_low)
    assert narrow_high - narrow_low == pytest.approx(2 * 1.96 * np.sqrt(correct.mean() * (1 - correct.mean()) / 800), rel=0.15)
    assert bootstrap_mean(correct, ["one"] * 800) is None


def test_score_keys_and_cells():
    records = [Record("a", "1", "c", "p"), Record("b", "2", "c", "p"), Record("c", "1", "d", "p")]
    logits = np.array([[5.0, 0], [0, 5.0], [0, 5.0]])
    result = score(logits, np.array([0, 1, 0]), records, ["1", "2"])
    assert (result["images"], result["cells"], result["cases"]) == (3, 2, 1)
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert (result["perfect_cells"], result["perfect_cells_fraction"]) == (1, 0.5)
    assert result["per_class"]["1"] == {"images": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


def test_by_cell():
    records = [Record("a", case="p1"), Record("b", cell="c9"), Record("c")]
    assert by_cell(records, WeightsInfo({"training": {"groups": ["p1", "c9"]}})).tolist() == [True, True, False]
    assert not by_cell(records, WeightsInfo({"training": {"groups": []}})).any()
    assert by_cell(records, WeightsInfo()) is None


@pytest.mark.parametrize("threshold", [None, 0.9])
def test_a_fold_without_calibration_has_no_threshold(threshold):
    records = [Record("a", cell="c1", label="1"), Record("b", cell="c1", label="2")]
    logits = np.zeros((2, 24), np.float32)
    info = WeightsInfo({"training": {"images": 3}, **({} if threshold is None else {"review_threshold": threshold})})
    assert fold_row(0, logits, records, CHROMOSOMES, info)["review_threshold"] == threshold
