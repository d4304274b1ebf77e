"""What only a whole cell tells of a chromosome: how large, and how bright, it is beside the others.

Cells differ in how far their chromosomes are contracted and in their exposure, by more than neighbouring classes do. A network
sees one crop at a time and cannot know it. Here the logarithms of area and brightness, less the cell's own shift, are compared
with the mean of each class, and

    ln p(class)  +  weight * ln t(values | class)

takes the place of ln p(class) before the cell is assigned (``gricol_zoo.karyotype.assign``); t is a multivariate Student
density, so that a bent, cut or touching chromosome says little instead of something wrong. The weight is below 1, for the
network has seen the absolute size. The shift is the median over the cell's chromosomes of what each is more than the class
that the network gives it. So it does not depend on which chromosomes are there.

Means and covariance are of train parts (``benchmarks.make.within_cell``); weight and measures were chosen on val parts
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
from gricol_zoo.data.scale import LEAST_CROPS
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.assign import LEAST
from gricol_zoo.spec import CHROMOSOMES

TABLE = Path(__file__).parent.parent / "assets" / "within_cell.json"
WEIGHT = 0.5  # of what the cell tells, beside what the network says
FREEDOM = 5  # degrees of freedom of the density: the fewer, the less a stray value says


class Table(NamedTuple):
    """What chromosomes of one set are like beside the others of their cell.

    Attributes:
        measures: (m,) names of fields of ``Prepared``; values are their logarithms.
        means: (classes, m) of each class, in the order of ``CHROMOSOMES``.
        covariance: (m, m) within a class and cell.
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
    """Return the table for a classifier; None where its weights have no tag with one, other classes, or measure nothing."""
    if classifier.labels != CHROMOSOMES or classifier.preprocess is None or classifier.preprocess.version < 2:
        return None
    return tables().get(classifier.info.tag)


def check_weight(weight: Any) -> float:
    """Return the weight of what the cell tells as a float.

    Raises:
        GricolZooError: not a number in 0..1.
    """
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1:
        raise GricolZooError(f"Expected the weight of what the cell tells, a number in 0..1, but got {weight!r:.100}.")
    return float(weight)


def in_the_cell(
    probabilities: np.ndarray, prepared: Sequence[Prepared], classifier: Classifier, weight: float
) -> tuple[np.ndarray, dict[str, float]]:
    """Return probabilities that take into account what the cell tells, and what a record notes of that.

    Args:
        probabilities: (n, classes) of the network.
        prepared: the n crops.
        classifier: that gave them.
        weight: of what the cell tells, 0..1.

    Returns:
        (n, classes), the same as before and nothing noted where there is no table for the weights; and ``within_cell``.

    Raises:
        GricolZooError: a weight outside 0..1.
    """
    weight, table = check_weight(weight), table_of(classifier)
    if table is None or not weight:
        return probabilities, {}
    told = evidence(measured(prepared, table), probabilities, table)
    return with_the_cell(probabilities, told, weight), {"within_cell": weight}


def measured(prepared: Sequence[Prepared], table: Table) -> np.ndarray:
    """Return (n, m) logarithms of what a table asks for; NaN where no chromosome was found."""
    values = np.array([[getattr(one, name) for name in table.measures] for one in prepared], float)
    values = values.reshape(len(prepared), len(table.measures))
    return np.log(np.where(values > 0, values, np.nan))


def evidence(values: np.ndarray, probabilities: np.ndarray, table: Table) -> np.ndarray:
    """Return (n, classes) how well each chromosome fits each class beside its cell, as log density up to a constant.

    Args:
        values: (n, m), from ``measured``.
        probabilities: (n, classes) of the network, by which the cell's shift is found.
        table: of the set.

    Returns:
        0 for each class where nothing was measured; all 0 for a cell of fewer than ``LEAST_CROPS`` measured chromosomes.
    """
    out = np.zeros(probabilities.shape)
    there = np.isfinite(values).all(1)
    if there.sum() < LEAST_CROPS:
        return out
    shift = np.median(values[there] - table.means[probabilities[there].argmax(1)], axis=0)
    away = values[there, None] - shift - table.means
    distance = np.einsum("nci,ij,ncj->nc", away, np.linalg.inv(table.covariance), away)
    out[there] = -(FREEDOM + values.shape[1]) / 2 * np.log1p(distance / FREEDOM)
    return out


def with_the_cell(probabilities: np.ndarray, told: np.ndarray, weight: float = WEIGHT) -> np.ndarray:
    """Return (n, classes) probabilities that take into account what the cell tells.

    Args:
        probabilities: (n, classes) of the network.
        told: (n, classes), from ``evidence``.
        weight: of it, 0..1.
    """
    logs = np.log(np.maximum(probabilities, LEAST)) + weight * told
    exp = np.exp(logs - logs.max(1, keepdims=True))
    return exp / exp.sum(1, keepdims=True)
