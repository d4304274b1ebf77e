"""How large a pixel is, told from the chromosomes themselves: the factor that makes a cell's crops as large as the training's.

Weights carry the median length of their training chromosomes in crop pixels (``Preprocess.length``). A cell whose chromosomes
are far from it was photographed by another camera or lens, and its crops are multiplied by one number. The factor is worked
out for whole cells before anything is batched, and goes along as data: nothing that sees a batch estimates it.

A median of what is there would go with what is missing. So the lengths are laid against those that human chromosomes have
(``LENGTHS``), wherever they fit best, and the median of the whole cell is read from there (``typical_length``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gricol_zoo.data.table import Record
from gricol_zoo.errors import GricolZooError

LEAST_CROPS = 20  # readable ones, from which a length can be trusted whichever chromosomes are missing
AS_IT_IS = (0.8, 1.25)  # cells differ by about this much by themselves, from early to late metaphase
LARGEST = 16.0  # a factor, or its reciprocal
MOST_NAMED = 3  # cells that a note names
ONE_TO_TWELVE = (8.44, 8.02, 6.83, 6.30, 6.08, 5.90, 5.36, 4.93, 4.80, 4.59, 4.61, 4.66)
THIRTEEN_TO_Y = (3.74, 3.56, 3.46, 3.36, 3.25, 2.93, 2.67, 2.56, 1.90, 2.04, 5.12, 2.15)
LENGTHS = np.array(ONE_TO_TWELVE + THIRTEEN_TO_Y)
"""Of chromosomes 1 to 22, X and Y in metaphase, in hundredths of a haploid set (Paris Conference 1971)."""
MEDIAN = 4.4  # of a cell's crops in the same unit, by both sets' train parts: less than the table's, for crops are of bent ones
COPIES = np.array([2.0] * 22 + [1.5, 0.5]) / 46  # of each in a cell, of either sex
SPREAD = 0.1  # of the logarithms of lengths of one class within a cell, bends among them
STRAYS = 0.05  # share of crops that may be anything
SHIFTS = np.linspace(-1, 1, 201)  # of the logarithm: how far the median of what was measured may be off the whole cell's,
OFF = 0.15  # and the standard deviation of that
MOST_LENGTHS = 200  # that are looked at; of more as many quantiles
Key = TypeVar("Key")


class Scales(NamedTuple):
    """A factor for each image.

    Attributes:
        factors: (n,) float64, what a crop's pixels are multiplied by.
        notes: what could not be worked out, one line each.
    """

    factors: np.ndarray
    notes: list[str]


def read_scale(text: str) -> str | float:
    """Read what ``--scale`` is given: "auto", "none", or a number.

    Raises:
        GricolZooError: anything else, or a number that no camera has.
    """
    if text in ("auto", "none"):
        return text
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    return check_factor(factor, text)


def check_factor(factor: Any, given: str = "") -> float:
    """Return a factor as a float.

    Args:
        factor: whatever came as one.
        given: what the message calls it (default: as it is).

    Raises:
        GricolZooError: no number, or one that no camera has.
    """
    number = isinstance(factor, (int, float, np.number)) and not isinstance(factor, bool)
    if not number or not 1 / LARGEST <= factor <= LARGEST:
        raise GricolZooError(
            f"Expected the scale to be auto, none, or a number in {1 / LARGEST:g}..{LARGEST:g}, but got {given or factor!r}."
        )
    return float(factor)


def factor_of(lengths: np.ndarray, reference: float) -> float | None:
    """Return what the crops of one cell are multiplied by, to four digits; None where too few of them could be measured.

    Within ``AS_IT_IS`` it is 1: cells differ by that much, and weights know it.

    Args:
        lengths: (n,) of its chromosomes in crop pixels; NaN or 0 where there is none.
        reference: of the training chromosomes, above 0.
    """
    measured = lengths[lengths > 0]
    if len(measured) < LEAST_CROPS:
        return None
    ratio = typical_length(measured) / reference
    return 1.0 if AS_IT_IS[0] <= ratio <= AS_IT_IS[1] else round(min(max(1 / ratio, 1 / LARGEST), LARGEST), 4)


def typical_length(lengths: np.ndarray) -> float:
    """Return the likeliest median length of the whole cell, whichever of its chromosomes were measured.

    In 80 train cells of each set it stays within 5 % where 5 chromosomes are left out at random (99 of 100 cells) or all but 25
    (5 of 6 cells); the median of what is there does so in 9 of 10 and in 3 of 5.

    Args:
        lengths: (n,) above 0, n >= 1.
    """
    most = np.quantile(lengths, np.linspace(0, 1, MOST_LENGTHS)) if len(lengths) > MOST_LENGTHS else lengths
    middle = float(np.median(most))
    away = np.log(most / middle)[:, None, None] - SHIFTS[:, None] - np.log(LENGTHS / MEDIAN)
    there = np.exp(-0.5 * (away / SPREAD) ** 2) @ COPIES / (SPREAD * math.sqrt(2 * math.pi))
    likelihood = np.log((1 - STRAYS) * there + STRAYS / np.ptp(SHIFTS)).sum(0) - 0.5 * (SHIFTS / OFF) ** 2
    return middle * math.exp(SHIFTS[int(likelihood.argmax())])


def find_scales(records: Sequence[Record], lengths: np.ndarray, reference: float) -> Scales:
    """Work out the factor of each image by its cell, else by its case, else 1.

    Args:
        records: of the n images.
        lengths: (n,) in crop pixels; NaN or 0 where nothing could be measured.
        reference: of the training chromosomes in crop pixels; 0 where the weights do not say.
    """
    factors = np.ones(len(records))
    if reference <= 0:
        return Scales(factors, ["scale not checked, 1 was used: these weights have no reference length"])
    cells = groups_of([(record.case, record.cell) for record in records])
    cases = groups_of([record.case for record in records])
    untold = []
    for (case, cell), members in cells.items():
        factor = factor_of(lengths[members], reference)
        if factor is None and case:
            factor = factor_of(lengths[cases[case]], reference)
        if factor is None:
            untold.append("/".join(filter(None, (case, cell))) or "these images")
        factors[members] = 1.0 if factor is None else factor
    if not untold:
        return Scales(factors, [])
    names = ", ".join(untold[:MOST_NAMED]) + f" and {len(untold) - MOST_NAMED} more cells" * (len(untold) > MOST_NAMED)
    few = f"scale taken as 1: too few crops to estimate it (needs at least {LEAST_CROPS} of one cell or case)"
    return Scales(factors, [f"{names}: {few}"])


def groups_of(keys: Sequence[Key]) -> dict[Key, list[int]]:
    """Return the indices at which each key stands, in the order of first appearance."""
    groups: dict[Key, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups
