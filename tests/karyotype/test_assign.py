"""Assignment within a cell, against an enumeration of every labelling by the definition."""

import itertools

import numpy as np
import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.karyotype import Costs, assign, confidences
from gricol_zoo.karyotype.assign import MAX_CHROMOSOMES, SEXES, UNASSIGNED, expected_copies

SMALL = ("1", "X", "Y")
NORMAL = {"F": [*range(22), *range(22), 22, 22], "M": [*range(22), *range(22), 22, 23]}


def rows_of(classes, sure=0.9):
    """Probabilities of ``sure`` for each class, with the rest spread evenly."""
    probabilities = np.full((len(classes), 24), (1 - sure) / 23)
    probabilities[np.arange(len(classes)), classes] = sure
    return probabilities


def cost_of(labelling, probabilities, costs, sex):
    """The cost by its definition, one chromosome and one class after another."""
    total = 0.0
    for chromosome, class_ in enumerate(labelling):
        total += costs.unassigned if class_ == UNASSIGNED else -np.log(max(probabilities[chromosome, class_], 1e-6))
    for class_, label in enumerate(SMALL):
        expected = sex.count(label) if label in "XY" else len(sex)
        found = labelling.count(class_)
        total += costs.extra * max(0, found - expected) + costs.missing * max(0, expected - found)
    return total


def enumerate_all(probabilities, costs, allowed=lambda labelling: True):
    labellings = itertools.product((UNASSIGNED, *range(len(SMALL))), repeat=len(probabilities))
    return min(
        (cost_of(labelling, probabilities, costs, sex), labelling)
        for labelling in labellings
        if allowed(labelling)
        for sex in SEXES
    )


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("costs", [Costs(), Costs(0.3, 0.2, 1.5), Costs(1, 4, 0.5), Costs(0, 0, 0)], ids=str)
def test_the_least_cost_of_every_labelling(count, costs):
    for seed in range(6):
        probabilities = np.random.default_rng([seed, count]).dirichlet([0.4] * 3, count)
        best, labelling = enumerate_all(probabilities, costs)
        found = assign(probabilities, costs, SMALL)
        assert found.cost == pytest.approx(best)
        minimum = min(cost_of(tuple(found.classes.tolist()), probabilities, costs, sex) for sex in SEXES)
        assert minimum == pytest.approx(best)  # the stated cost is right, so it is one of the best labellings
        if costs == Costs():
            assert tuple(found.classes.tolist()) == labelling


@pytest.mark.parametrize("costs", [Costs(), Costs(0.3, 0.2, 1.5), Costs(1, 1, 0.5)], ids=str)
def test_confidence_is_the_odds_against_the_best_other_cell(costs):
    for seed in range(4):
        probabilities = np.random.default_rng(seed).dirichlet([0.4] * 3, 4)
        found = assign(probabilities, costs, SMALL)
        for index, value in enumerate(confidences(probabilities, found, costs, SMALL)):
            kept = found.classes[index]
            other, _ = enumerate_all(probabilities, costs, lambda labelling, i=index, k=kept: labelling[i] != k)
            assert value == pytest.approx(1 / (1 + np.exp(found.cost - other)))


@pytest.mark.parametrize("sex", ["F", "M"])
def test_a_normal_cell_stays_as_it_is(sex):
    found = assign(rows_of(NORMAL[sex]))
    assert found.classes.tolist() == NORMAL[sex]
    assert found.sex == {"F": "XX", "M": "XY"}[sex]


def test_the_cell_corrects_one_image():
    """Three are classified as 21, and one 22 is missing: the least certain of the three becomes the 22."""
    probabilities = rows_of(NORMAL["F"])
    wrong = 21 + 22
    probabilities[wrong] = 0.001
    probabilities[wrong, [20, 21]] = 0.6, 0.378
    assert probabilities[wrong].argmax() == 20
    assert assign(probabilities).classes.tolist() == NORMAL["F"]


@pytest.mark.parametrize("lost", [0, 10, 21, 22])
def test_a_lost_chromosome_is_not_made_up_for(lost):
    classes = list(NORMAL["F"])
    classes.remove(lost)
    assert assign(rows_of(classes, 0.98)).classes.tolist() == classes


@pytest.mark.parametrize(("added", "sex"), [(20, "M"), (17, "F"), (22, "M"), (23, "M"), (22, "F")])
def test_a_chromosome_too_many_is_not_hidden(added, sex):
    classes = [*NORMAL[sex], added]
    assert assign(rows_of(classes, 0.98)).classes.tolist() == classes


def test_what_is_like_nothing_stays_without_a_class():
    probabilities = np.vstack([rows_of(NORMAL["M"], 0.99), np.full(24, 1 / 24)])
    found = assign(probabilities)
    assert found.classes.tolist() == [*NORMAL["M"], UNASSIGNED]
    assert 0.5 <= confidences(probabilities, found)[-1] < 1


def test_a_cell_of_92():
    found = assign(rows_of(NORMAL["M"] * 2))
    assert found.classes.tolist() == NORMAL["M"] * 2
    assert found.sex == "XXYY"


@pytest.mark.parametrize("count", [0, 1])
def test_few_chromosomes_say_nothing_of_the_sex(count):
    found = assign(rows_of([4])[:count])
    assert (found.classes.tolist(), found.sex) == ([4][:count], "")


def test_the_order_of_the_images_does_not_matter():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.2] * 24, 46)
    order = rng.permutation(46)
    assert assign(probabilities[order]).classes.tolist() == assign(probabilities).classes[order].tolist()


def test_expected_copies_by_hand():
    assert expected_copies("XY").tolist() == [2] * 22 + [1, 1]
    assert expected_copies("XX").tolist() == [2] * 22 + [2, 0]
    assert expected_copies("XXY").tolist() == [3] * 22 + [2, 1]


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.zeros(24), r"shape \(chromosomes, 24\), but got \(24,\)"),
        (np.zeros((3, 23)), r"but got \(3, 23\)"),
        (np.zeros((3, 24)), "row 0 sums to 0"),
        (np.full((2, 24), np.nan), "row 0 sums to nan"),
        (rows_of([1, 2]) * [[1], [2]], "row 1 sums to 2"),
        (rows_of([0] * (MAX_CHROMOSOMES + 1)), f"at most {MAX_CHROMOSOMES} chromosomes, but got {MAX_CHROMOSOMES + 1}"),
    ],
)
def test_wrong_probabilities_are_named(probabilities, message):
    with pytest.raises(GricolZooError, match=message):
        assign(probabilities)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 5000, "5", True])
def test_wrong_costs_are_named(value):
    with pytest.raises(GricolZooError, match="cost `extra` in nats"):
        Costs(extra=value)
