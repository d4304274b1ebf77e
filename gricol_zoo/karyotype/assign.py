"""Assign the classes of all chromosomes of one cell together: copy numbers are expected, not forced.

A cell has two of each autosome and XX or XY; departures are possible but rare. The chosen classes are those of least cost,

    sum over chromosomes of -ln p(class)    the network's probabilities
    + extra       for each copy beyond the expected ones
    + missing     for each expected copy that is missing
    + unassigned  for each chromosome that gets no class, in place of its -ln p

over all sexes. The minimum is exact: each expected copy is a slot, each chromosome may also stay outside the slots, and
chromosomes are matched to slots (scipy's ``linear_sum_assignment``). Costs are in nats, like the logarithms.
Poletti et al. (2012) reassign by likelihood under a fixed karyotype. The soft counts are ours, so that a cell of 45 or 47, a
lost crop or a marker stays visible instead of being forced into 2 + 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.spec import CHROMOSOMES

UNASSIGNED = -1
SEXES = ("XX", "XY", "XXX", "XXY", "XYY", "XXXX", "XXYY")
"""Expected X and Y; the number of letters is the number of autosome sets (diploid, triploid, tetraploid)."""

MAX_CHROMOSOMES = 200  # about twice a tetraploid cell; more than that is a folder of several cells
MIN_PROBABILITY = 1e-6  # a smaller probability counts as this: no network is that sure of what a chromosome is not
FORBIDDEN = 1e6  # nats; more than any cell can cost, and small enough for float64 to resolve hundredths


@dataclass(frozen=True)
class Costs:
    """Costs of departures, in nats; fitted on val parts (docs/explanation/decisions/karyotype.md).

    Attributes:
        extra: a copy beyond the expected ones.
        missing: an expected copy that is missing.
        unassigned: a chromosome without a class.

    Raises:
        GricolZooError: a cost that is not a finite number of at least 0.
    """

    extra: float = 4.0
    missing: float = 3.0
    unassigned: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < FORBIDDEN / 1000:
                raise GricolZooError(f"Expected the cost `{field.name}` in nats, from 0 to below 1000, but got {value!r}.")


DEFAULT_COSTS = Costs()


class Assignment(NamedTuple):
    """The classes of one cell.

    Attributes:
        classes: (n,) int, the index of each chromosome's class, ``UNASSIGNED`` for none.
        sex: the expected sex chromosomes, one of ``SEXES``; "" if two of them fit equally well.
        cost: total cost, in nats.
    """

    classes: np.ndarray
    sex: str
    cost: float


def expected_copies(sex: str, labels: Sequence[str] = CHROMOSOMES) -> np.ndarray:
    """Return (classes,) int, the copies of each class in a cell of this sex, one of ``SEXES``."""
    return np.array([sex.count(label) if label in ("X", "Y") else len(sex) for label in labels])


def assign(probabilities: np.ndarray, costs: Costs = DEFAULT_COSTS, labels: Sequence[str] = CHROMOSOMES) -> Assignment:
    """Give each chromosome of a cell a class, or none, at the least cost (see the module docstring).

    Args:
        probabilities: (n, classes) calibrated probabilities, any float dtype; n may be 0.
        costs: costs of departures.
        labels: the classes' names; "X" and "Y" follow the sex, the others come in sets.

    Raises:
        GricolZooError: another shape, rows that are not distributions, or more than ``MAX_CHROMOSOMES`` rows.
    """
    losses, alone = _losses(probabilities, costs, labels)
    (best, sex), (second, _) = _ranked(losses, alone, costs, labels)[:2]
    return Assignment(np.array(best.classes, int), sex if second.cost - best.cost > 1e-9 else "", best.cost)


def confidences(
    probabilities: np.ndarray,
    assignment: Assignment,
    costs: Costs = DEFAULT_COSTS,
    labels: Sequence[str] = CHROMOSOMES,
) -> np.ndarray:
    """Return (n,) the confidence of each chromosome's class, 0.5..1: its probability against the best cell without it.

    It is 1 / (1 + exp(-m)), where m is the margin, in nats, by which the cell costs more if the chromosome may not have its
    class (or may not stay without one). Args and errors as for ``assign``, whose result ``assignment`` is.
    """
    losses, alone = _losses(probabilities, costs, labels)
    margins = np.zeros(len(losses))
    for index, class_ in enumerate(assignment.classes):
        refused, left = losses.copy(), alone.copy()
        if class_ == UNASSIGNED:
            left[index] = FORBIDDEN
        else:
            refused[index, class_] = FORBIDDEN
        other, _ = _ranked(refused, left, costs, labels)[0]
        margins[index] = max(0.0, other.cost - assignment.cost)
    return 1 / (1 + np.exp(-margins))


def check_probabilities(probabilities: np.ndarray, classes: int) -> np.ndarray:
    """Return the probabilities as float64.

    Raises:
        GricolZooError: not (n, classes), too many rows for a cell, or a row that is not a distribution.
    """
    values = np.asarray(probabilities, np.float64)
    if values.ndim != 2 or values.shape[1] != classes:
        raise GricolZooError(f"Expected probabilities of shape (chromosomes, {classes}), but got {values.shape}.")
    if len(values) > MAX_CHROMOSOMES:
        raise GricolZooError(
            f"Expected one cell of at most {MAX_CHROMOSOMES} chromosomes, but got {len(values)}. Give one cell at a time."
        )
    # A loose tolerance: printed digits and half precision must pass.
    wrong = ~((values >= 0).all(1) & (np.abs(values.sum(1) - 1) < 1e-2))
    if wrong.any():
        row = int(wrong.argmax())
        raise GricolZooError(
            f"Expected each row to be probabilities that sum to 1, but row {row} sums to {values[row].sum():g}."
        )
    return values


class _Match(NamedTuple):
    cost: float
    classes: tuple[int, ...]


def _losses(probabilities: np.ndarray, costs: Costs, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    losses = -np.log(np.maximum(check_probabilities(probabilities, len(labels)), MIN_PROBABILITY))
    return losses, np.full(len(losses), float(costs.unassigned))


def _ranked(losses: np.ndarray, alone: np.ndarray, costs: Costs, labels: Sequence[str]) -> list[tuple[_Match, str]]:
    """Return the best match for each sex, the cheapest first."""
    matches = [(_match(losses, alone, expected_copies(sex, labels), costs), sex) for sex in SEXES]
    return sorted(matches, key=lambda pair: pair[0].cost)


def _match(losses: np.ndarray, alone: np.ndarray, expected: np.ndarray, costs: Costs) -> _Match:
    """Return the least cost and its classes, for (n, classes) losses and (n,) costs of being unassigned."""
    from scipy.optimize import linear_sum_assignment

    slots = np.repeat(np.arange(len(expected)), expected)
    # Outside the slots a chromosome is an extra copy of its likeliest class, or unassigned. This does not affect the others,
    # so n equal columns represent it. Filling a slot refunds the cost of its missing copy.
    extra = losses.min(1) + costs.extra
    outside = np.repeat(np.minimum(extra, alone)[:, None], len(losses), 1)
    matrix = np.concatenate([losses[:, slots] - costs.missing, outside], 1)
    rows, columns = linear_sum_assignment(matrix)
    classes = np.where(extra <= alone, losses.argmin(1), UNASSIGNED)
    inside = columns < len(slots)
    classes[rows[inside]] = slots[columns[inside]]
    return _Match(float(matrix[rows, columns].sum() + costs.missing * expected.sum()), tuple(map(int, classes)))
