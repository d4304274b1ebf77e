"""Give the chromosomes of one cell their classes together: copy numbers are expected, not forced.

A cell has two of each autosome and XX or XY, and departures are possible but rare. The classes chosen are those of least cost,

    sum over chromosomes of -ln p(class)    what the network says
    + extra       for each copy beyond the expected
    + missing     for each expected copy that is not there
    + unassigned  for each chromosome that gets no class, in place of its -ln p

over the sexes, found exactly: each expected copy is a slot, each chromosome may also stay outside the slots, and chromosomes
are matched to slots (scipy's ``linear_sum_assignment``). Costs are in nats, as the logarithms that they compete with.
Poletti et al. (2012) reassign by likelihood under a fixed karyotype; the soft counts are ours, so that 45, 47, a lost crop or
a marker show instead of being forced into 2 + 2.
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
"""What is expected of X and Y; as many letters as there are sets of autosomes (diploid, triploid, tetraploid)."""

MAX_CHROMOSOMES = 200  # twice a tetraploid cell; more is a folder of several cells
LEAST = 1e-6  # a smaller probability counts as this much: no network knows that surely what a chromosome is not
FORBIDDEN = 1e6  # nats; more than any cell can cost, and far from where float64 loses hundredths


@dataclass(frozen=True)
class Costs:
    """What departures cost, in nats; fitted on val parts (docs/explanation/decisions/karyotype.md).

    Attributes:
        extra: a copy beyond the expected.
        missing: an expected copy that is not there.
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
        sex: what was expected, one of ``SEXES``; "" where two of them fit alike.
        cost: of it all, in nats.
    """

    classes: np.ndarray
    sex: str
    cost: float


def expected_copies(sex: str, labels: Sequence[str] = CHROMOSOMES) -> np.ndarray:
    """Return (classes,) how many of each class a cell of this sex has, one of ``SEXES``."""
    return np.array([sex.count(label) if label in ("X", "Y") else len(sex) for label in labels])


def assign(probabilities: np.ndarray, costs: Costs = DEFAULT_COSTS, labels: Sequence[str] = CHROMOSOMES) -> Assignment:
    """Give each chromosome of a cell a class, or none, at the least cost (see the module).

    Args:
        probabilities: (n, classes) calibrated probabilities, any float dtype; n may be 0.
        costs: of departures.
        labels: the classes' names; "X" and "Y" follow the sex, the others come in sets.

    Raises:
        GricolZooError: another shape, rows that are no distributions, or more than ``MAX_CHROMOSOMES`` of them.
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
    """Return (n,) how sure each chromosome's class is, 0.5..1: its odds against the best cell in which it has another.

    With the margin m, in nats, by which the cell gets dearer if the chromosome may not have its class (or may not stay without
    one), it is 1 / (1 + exp(-m)). Args and errors as for ``assign``, whose result ``assignment`` is.
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
    # Not 1e-6: six printed digits, or half precision, must pass.
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
    losses = -np.log(np.maximum(check_probabilities(probabilities, len(labels)), LEAST))
    return losses, np.full(len(losses), float(costs.unassigned))


def _ranked(losses: np.ndarray, alone: np.ndarray, costs: Costs, labels: Sequence[str]) -> list[tuple[_Match, str]]:
    """Return the best of each sex, the cheapest first."""
    matches = [(_match(losses, alone, expected_copies(sex, labels), costs), sex) for sex in SEXES]
    return sorted(matches, key=lambda pair: pair[0].cost)


def _match(losses: np.ndarray, alone: np.ndarray, expected: np.ndarray, costs: Costs) -> _Match:
    """Return the least cost, and the classes that have it, for (n, classes) losses and (n,) costs of being unassigned."""
    from scipy.optimize import linear_sum_assignment

    slots = np.repeat(np.arange(len(expected)), expected)
    # Outside the slots a chromosome is an extra copy of its likeliest class, or unassigned. It takes nothing from another, so
    # n columns alike stand for all of that. Filling a slot gives back the cost of its missing copy.
    extra = losses.min(1) + costs.extra
    outside = np.repeat(np.minimum(extra, alone)[:, None], len(losses), 1)
    matrix = np.concatenate([losses[:, slots] - costs.missing, outside], 1)
    rows, columns = linear_sum_assignment(matrix)
    classes = np.where(extra <= alone, losses.argmin(1), UNASSIGNED)
    inside = columns < len(slots)
    classes[rows[inside]] = slots[columns[inside]]
    return _Match(float(matrix[rows, columns].sum() + costs.missing * expected.sum()), tuple(map(int, classes)))
