"""The numbers of the bend benchmark: accuracy by bend, the loss by bending, and how much greater it is than the control's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.paper.bend_pictures import UNMEASURED
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.metrics import bootstrap_mean

BENT = "all bent"  # the level that pools every level but the straightest: what the conclusion is drawn from
Z = 1.959964  # of a two-sided 95 % interval


class Estimate(NamedTuple):
    """A mean with its 95 % interval, NaN where there is none (fewer than two cells)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """The result of one model on one part, or the mean over several seeds of it.

    Attributes:
        levels: names of the degrees of bending, the straightest first.
        cells: (n,) the cell of each chromosome.
        hits: (n, levels) how many pictures of it were classified right.
        shown: (n, levels) how many there were; 0 where it does not occur.
    """

    levels: tuple[str, ...]
    cells: tuple[str, ...]
    hits: np.ndarray
    shown: np.ndarray

    def share(self, level: str) -> np.ndarray:
        """Return the share of each chromosome's pictures that were right, (n,), NaN where there are none."""
        bent = [index for index, name in enumerate(self.levels) if index and name != UNMEASURED]
        columns = bent if level == BENT else [self.levels.index(level)]
        hits, shown = self.hits[:, columns].sum(1).astype(float), self.shown[:, columns].sum(1)
        return np.divide(hits, shown, out=np.full(len(hits), np.nan), where=shown > 0)

    def count(self, level: str) -> tuple[int, float]:
        """Return (pictures, right ones) of a level."""
        if level == BENT:
            counts = [self.count(name) for name in self.levels[1:] if name != UNMEASURED]
            return sum(count for count, _ in counts), sum(right for _, right in counts)
        column = self.levels.index(level)
        return int(self.shown[:, column].sum()), float(self.hits[:, column].sum())


def outcome_of(levels: Sequence[str], cells: Sequence[str], who: np.ndarray, level: np.ndarray, right: np.ndarray) -> Outcome:
    """Gather (m,) pictures, each right or not, into (n, levels) counts."""
    hits, shown = np.zeros((len(cells), len(levels)), int), np.zeros((len(cells), len(levels)), int)
    np.add.at(shown, (who, level), 1)
    np.add.at(hits, (who, level), right.astype(int))
    return Outcome(tuple(levels), tuple(cells), hits, shown)


def mean_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the mean over the seeds of a system, chromosome by chromosome.

    Raises:
        GricolZooError: the seeds were scored on different pictures.
    """
    first = outcomes[0]
    for other in outcomes[1:]:
        if other.cells != first.cells or not np.array_equal(other.shown, first.shown):
            raise GricolZooError("Expected every seed to be scored on the same pictures. Remove --work's folder and run again.")
    return Outcome(first.levels, first.cells, np.mean([outcome.hits for outcome in outcomes], 0), first.shown)


def accuracy(outcome: Outcome, level: str, binomial: bool) -> Estimate:
    """Return a level's accuracy, with Wilson's interval (few images per cell) or by bootstrap over cells."""
    count, right = outcome.count(level)
    if not count:
        return Estimate(math.nan, math.nan, math.nan)
    if binomial:
        return wilson(right, count)
    share = outcome.share(level)
    return estimate(share[~np.isnan(share)], [cell for cell, value in zip(outcome.cells, share, strict=True) if value == value])


def wilson(right: float, count: int) -> Estimate:
    """Return a share with Wilson's score interval."""
    share = right / count
    middle, reach = share + Z**2 / (2 * count), Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return Estimate(share, (middle - reach) / (1 + Z**2 / count), (middle + reach) / (1 + Z**2 / count))


def estimate(values: np.ndarray, cells: Sequence[str]) -> Estimate:
    """Return a mean over chromosomes with its interval by bootstrap over cells."""
    low, high = bootstrap_mean(values, cells) or (math.nan, math.nan)
    return Estimate(float(values.mean()), low, high)


def loss(outcome: Outcome, level: str, control: Outcome | None = None) -> Estimate:
    """Return the accuracy lost between the straightest level and this one; with ``control``, how much more than it loses.

    Paired by chromosome: its own loss where it is shown at both levels (synthetic, warped). Where levels are different images
    (real), each counts towards its level's mean, and only the two models are paired.

    Raises:
        GricolZooError: the two models were scored on different pictures.
    """
    straight, bent = outcome.share(outcome.levels[0]), outcome.share(level)
    if control is not None:
        if control.cells != outcome.cells or not np.array_equal(control.shown, outcome.shown):
            raise GricolZooError(
                "Expected both models to be scored on the same pictures. Remove --work's folder and run again."
            )
        straight, bent = straight - control.share(outcome.levels[0]), bent - control.share(level)
    if np.isnan(straight).all() or np.isnan(bent).all():
        return Estimate(math.nan, math.nan, math.nan)
    used = ~(np.isnan(straight) & np.isnan(bent))
    values = difference_values(straight[used], bent[used])
    return estimate(values, [cell for cell, use in zip(outcome.cells, used, strict=True) if use])


def difference_values(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (n,) values whose mean is mean(first) - mean(second), each over the images that have it (the others are NaN).

    Where every image has both, it is their difference. Otherwise each image's deviation from the mean is divided by the share
    of images that have the value, so that resampling cells moves the mean of the values as it would move the two means.
    """
    total = np.zeros(len(first))
    for sign, values in ((1, first), (-1, second)):
        there = ~np.isnan(values)
        mean = values[there].mean()
        total += sign * (mean + np.where(there, values - mean, 0) * len(values) / there.sum())
    return total


def verdict(more: Estimate) -> str:
    """Return what the interval of "loses more than the control" says."""
    if math.isnan(more.low):
        return "cannot be said to change"
    if more.high < 0:
        return "weakens"
    return "strengthens" if more.low > 0 else "makes no measurable difference to"


def points(more: Estimate) -> str:
    """Return an estimate in points of accuracy, "" where there is none."""
    if math.isnan(more.mean):
        return ""
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(round(100 * value, 1) + 0.0 for value in more))  # + 0.0: no "-0.0"


def conclusion(found: Mapping[str, Estimate]) -> str:
    """Return one sentence about gridding, from what GRiCoL loses more than the control on each part."""
    by_verdict: dict[str, list[str]] = {}
    for part, more in found.items():
        by_verdict.setdefault(verdict(more), []).append(f"{part} {points(more)}")
    said = [f"{says} the effect of bending [{', '.join(parts)}]" for says, parts in by_verdict.items()]
    return f"Gridding {'; it '.join(said)}."


def rows_of(outcome: Outcome, control: Outcome | None, known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per level, and one for all bent levels together; each begins with ``known``."""
    binomial = known["part"] == "real"
    rows = []
    for level in (*outcome.levels, BENT):
        count, right = outcome.count(level)
        here = accuracy(outcome, level, binomial)
        row = {**known, "level": level, "images": count, "correct": round(right, 3)}
        row |= {"accuracy": here.mean, "low": here.low, "high": here.high, "interval": "Wilson" if binomial else "by cell"}
        if level not in (outcome.levels[0], UNMEASURED):
            row |= dict(zip(("loss", "loss_low", "loss_high"), loss(outcome, level), strict=True))
            if control is not None:
                more = loss(outcome, level, control)
                row |= dict(zip(("more", "more_low", "more_high"), more, strict=True))
                row["verdict"] = verdict(more)
        rows.append({key: "" if value != value else value for key, value in row.items()})
    return rows
