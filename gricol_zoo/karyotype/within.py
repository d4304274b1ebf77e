"""Evidence that only a whole cell gives: how large and how bright a chromosome is compared with the others.

Cells differ in the contraction of their chromosomes and in exposure, by more than neighbouring classes do. A network sees one
crop at a time and cannot know this. Here the logarithms of area and brightness, less the cell's own shift, are compared with
the mean of each class, and

    ln p(class)  +  weight * ln t(values | class)

replaces ln p(class) before the cell is assigned (``gricol_zoo.karyotype.assign``). t is a multivariate Student density, so
that a bent, cut or touching chromosome gives little evidence instead of wrong evidence. The weight is below 1, because the
network has already seen the absolute size. The shift is the median, over the cell's chromosomes, of the difference to the mean
of the class that the network predicts. So it does not depend on which chromosomes are present.

Means and covariance are from train parts (``benchmarks.make.within_cell``); weight and measures were chosen on val parts
(docs/explanation/decisions/karyotype.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.data.preprocess import Prepared
from gricol_zoo.data.scale import MIN_CROPS
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.assign import MIN_PROBABILITY
from gricol_zoo.spec import CHROMOSOMES

TABLE = Path(__file__).parent.parent / "assets" / "within_cell.json"
WEIGHT = 0.5  # of the cell's evidence, relative to the network's
FREEDOM = 5  # degrees of freedom of the density: the fewer, the less an outlier counts


class Table(NamedTuple):
    """Statistics of the chromosomes of one data set relative to their cell.

    Attributes:
        measures: (m,) names of fields of ``Prepared``; values are their logarithms.
        means: (classes, m) means of each class, in the order of ``CHROMOSOMES``.
        covariance: (m, m) covariance within a class and cell.
    """

    measures: tuple[str, ...]
    means: np.ndarray
    covariance: np.ndarray


@cache
def tables() -> dict[str, Table]:
    """Return the tables by the tag of the weights that they are for."""
    sets = json.loads(TABLE.read_text(encoding="utf-8"))["sets"]
    return {
        tag: Table(tuple(one["measures"]), np.array([one["means"][name] for name in CHROMOSOMES]), np.array(one["covariance"]))
        for tag, one in sets.items()
    }


def table_of(classifier: Classifier) -> Table | None:
    """Return the table for a classifier; None if its tag has no table, or it has other classes or measures nothing."""
    if classifier.labels != CHROMOSOMES or classifier.preprocess is None or classifier.preprocess.version < 2:
        return None
    return tables().get(classifier.info.tag)


def check_weight(weight: Any) -> float:
    """Return the weight of the cell's evidence as a float.

    Raises:
        GricolZooError: not a number in 0..1.
    """
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1:
        raise GricolZooError(f"Expected the weight of what the cell tells, a number in 0..1, but got {weight!r:.100}.")
    return float(weight)


def in_the_cell(
    probabilities: np.ndarray, prepared: Sequence[Prepared], classifier: Classifier, weight: float
) -> tuple[np.ndarray, dict[str, float]]:
    """Return probabilities that include the cell's evidence, and the option to record.

    Args:
        probabilities: (n, classes) of the network.
        prepared: the n prepared crops.
        classifier: the classifier that gave them.
        weight: weight of the cell's evidence, 0..1.

    Returns:
        (n, classes) probabilities and the option ``within_cell``; unchanged and {} for weight 0 or without a table.

    Raises:
        GricolZooError: a weight outside 0..1.
    """
    weight, table = check_weight(weight), table_of(classifier)
    if table is None or not weight:
        return probabilities, {}
    told = evidence(measured(prepared, table), probabilities, table)
    return with_the_cell(probabilities, told, weight), {"within_cell": weight}


def measured(prepared: Sequence[Prepared], table: Table) -> np.ndarray:
    """Return (n, m) logarithms of a table's measures; NaN where no chromosome was found."""
    values = np.array([[getattr(one, name) for name in table.measures] for one in prepared], float)
    values = values.reshape(len(prepared), len(table.measures))
    return np.log(np.where(values > 0, values, np.nan))


def evidence(values: np.ndarray, probabilities: np.ndarray, table: Table) -> np.ndarray:
    """Return (n, classes) how well each chromosome fits each class within its cell, as log density up to a constant.

    Args:
        values: (n, m), from ``measured``.
        probabilities: (n, classes) of the network, from which the cell's shift is found.
        table: table of the data set.

    Returns:
        A row of 0 if nothing was measured; all 0 for a cell with fewer than ``MIN_CROPS`` measured chromosomes.
    """
    out = np.zeros(probabilities.shape)
    there = np.isfinite(values).all(1)
    if there.sum() < MIN_CROPS:
        return out
    shift = np.median(values[there] - table.means[probabilities[there].argmax(1)], axis=0)
    away = values[there, None] - shift - table.means
    distance = np.einsum("nci,ij,ncj->nc", away, np.linalg.inv(table.covariance), away)
    out[there] = -(FREEDOM + values.shape[1]) / 2 * np.log1p(distance / FREEDOM)
    return out


def with_the_cell(probabilities: np.ndarray, told: np.ndarray, weight: float = WEIGHT) -> np.ndarray:
    """Return (n, classes) probabilities that include the cell's evidence.

    Args:
        probabilities: (n, classes) of the network.
        told: (n, classes) evidence, from ``evidence``.
        weight: weight of the evidence, 0..1.
    """
    logs = np.log(np.maximum(probabilities, MIN_PROBABILITY)) + weight * told
    exp = np.exp(logs - logs.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)
