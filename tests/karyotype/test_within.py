"""The evidence that a cell gives about its chromosomes, against densities by their definition and made-up cells."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_t

from gricol_zoo import GricolZooError
from gricol_zoo.data.preprocess import Prepared
from gricol_zoo.data.scale import MIN_CROPS
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype import assign
from gricol_zoo.karyotype.within import (
    FREEDOM,
    WEIGHT,
    check_weight,
    evidence,
    measured,
    table_of,
    tables,
    with_the_cell,
)
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import CHROMOSOMES, Preprocess

CELL = np.array([*range(22), *range(22), 22, 22])
SECOND = Preprocess(version=2)
CANVAS = np.zeros((2, 2), np.uint8)


def sure(classes, probability=0.95):
    """Probabilities of ``probability`` for each class, with the rest spread evenly."""
    out = np.full((len(classes), 24), (1 - probability) / 23)
    out[np.arange(len(classes)), classes] = probability
    return out


def classifier(tag="qband", labels=CHROMOSOMES, preprocess=SECOND):
    return Classifier("a", "00", "", "fp32", labels, None, None, preprocess, info=WeightsInfo({"tag": tag}))


@pytest.mark.parametrize("tag", tables())
def test_a_table_is_of_all_classes(tag):
    table = tables()[tag]
    assert table.means.shape == (24, len(table.measures))
    assert set(table.measures) <= set(Prepared._fields)
    assert (np.linalg.eigvalsh(table.covariance) > 0).all()
    area = table.means[:, table.measures.index("area")]
    assert area[0] > area[5] > area[12] > area[20]  # 1, 6, 13, 21


@pytest.mark.parametrize("tag", tables())
def test_the_evidence_is_the_density_up_to_a_constant(tag):
    table = tables()[tag]
    values = table.means[CELL] + 0.05 * np.random.default_rng(0).standard_normal((46, len(table.measures)))
    probabilities = sure(CELL)
    shift = np.median(values - table.means[CELL], axis=0)
    density = [multivariate_t(mean + shift, table.covariance, df=FREEDOM).logpdf(values) for mean in table.means]
    off = evidence(values, probabilities, table) - np.stack(density, 1)
    assert np.ptp(off) < 1e-9


@pytest.mark.parametrize("tag", tables())
def test_neither_magnification_nor_exposure_matters(tag):
    table, probabilities = tables()[tag], sure(CELL)
    values = table.means[CELL]
    assert np.allclose(evidence(values, probabilities, table), evidence(values + 1.7, probabilities, table))


@pytest.mark.parametrize("missing", [(), (0, 22), tuple(range(12))], ids=["none", "both 1", "the large ones"])
def test_what_is_missing_moves_nothing(missing):
    table = tables()["qband"]
    kept = np.delete(np.arange(46), missing)
    told = evidence(table.means[CELL], sure(CELL), table)[kept]
    assert np.allclose(told, evidence(table.means[CELL][kept], sure(CELL[kept]), table))


def test_size_settles_what_the_network_leaves_open():
    """If the network cannot tell a 16 from an 18, the larger one is the 16, and no other chromosome changes class."""
    table = tables()["pki3"]
    values = table.means[CELL].copy()
    probabilities = sure(CELL)
    first, second = np.flatnonzero(CELL == 15)[0], np.flatnonzero(CELL == 17)[0]
    for place in (first, second):
        probabilities[place] = 0.01 / 22
        probabilities[place, [15, 17]] = (0.49, 0.5)
    probabilities[second, [15, 17]] = (0.51, 0.48)
    assert assign(probabilities).classes[[first, second]].tolist() == [17, 15]
    together = with_the_cell(probabilities, evidence(values, probabilities, table))
    assert assign(together).classes.tolist() == CELL.tolist()


def test_a_stray_size_says_little():
    """A crop with a quarter of its class's area keeps the class of which the network is sure."""
    table, values = tables()["pki3"], tables()["pki3"].means[CELL].copy()
    values[0] -= np.log(4)
    told = evidence(values, sure(CELL), table)
    assert told[0].max() - told[0, 0] < 15
    assert with_the_cell(sure(CELL, 0.9999), told)[0].argmax() == 0


def test_few_chromosomes_tell_nothing():
    table, classes = tables()["qband"], CELL[: MIN_CROPS - 1]
    assert not evidence(table.means[classes], sure(classes), table).any()
    assert evidence(table.means[CELL[:MIN_CROPS]], sure(CELL[:MIN_CROPS]), table).any()


def test_an_empty_crop_tells_nothing():
    table = tables()["qband"]
    found = measured([Prepared(CANVAS, area=90, top=0.5), Prepared(CANVAS)], table)
    assert np.allclose(found[0], np.log([90, 0.5]))
    assert np.isnan(found[1]).all()
    values = table.means[CELL].copy()
    values[3] = np.nan
    told = evidence(values, sure(CELL), table)
    assert not told[3].any()
    assert told[4].any()
    assert measured([], table).shape == (0, 2)


def test_without_weight_nothing_changes():
    probabilities = np.random.default_rng(1).dirichlet(np.full(24, 0.5), 46)
    told = np.random.default_rng(2).standard_normal((46, 24))
    assert np.allclose(with_the_cell(probabilities, told, 0.0), probabilities, atol=1e-5)
    more = with_the_cell(probabilities, told, 0.5)
    assert np.allclose(more.sum(1), 1)
    ratio = np.log(more[:, 0] / more[:, 1]) - np.log(probabilities[:, 0] / probabilities[:, 1])
    clear = (probabilities[:, :2] > 1e-5).all(1)
    assert np.allclose(ratio[clear], 0.5 * (told[:, 0] - told[:, 1])[clear])


@pytest.mark.parametrize(
    "other",
    [{"tag": ""}, {"tag": "mine"}, {"labels": CHROMOSOMES[::-1]}, {"preprocess": None}, {"preprocess": Preprocess(version=1)}],
    ids=str,
)
def test_weights_without_a_table_have_none(other):
    assert table_of(classifier()) is tables()["qband"]
    assert table_of(classifier(**other)) is None


@pytest.mark.parametrize("weight", ["0.5", None, True, float("nan"), -0.1, 1.1, [0.5]])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(GricolZooError, match="weight of what the cell tells"):
        check_weight(weight)
    assert check_weight(1) == 1.0
    assert 0 < WEIGHT < 1


def test_prepared_measures_what_the_tables_ask_for():
    from gricol_zoo.data.preprocess import prepare

    grey = np.zeros((60, 40), np.float32)
    grey[10:50, 15:25] = 0.5
    how = Preprocess(orientation="upright", contrast="p99", version=2)
    found = prepare(grey, how, (64, 32))
    half = prepare(grey / 2, how, (64, 32))
    assert found.area == pytest.approx(400, abs=5)
    assert half.top == pytest.approx(found.top / 2)
    assert prepare(grey, dataclasses.replace(how, version=1), (64, 32)).top == 0
