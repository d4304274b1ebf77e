"""Estimate the scale of a cell from its chromosomes: the factor that brings its crops to the scale of the training images.

Weights store the median length of their training chromosomes in crop pixels (``Preprocess.length``). If the chromosomes of a
cell are much longer or shorter, the cell was photographed with another camera or lens, and all its crops are scaled by one
factor. The factor is computed for whole cells before images are batched, and is passed along as data; it is never estimated
from a batch.

The median of the measured lengths would depend on which chromosomes are missing. Therefore the lengths are fitted to the known
lengths of human chromosomes (``LENGTHS``), and the median of the whole cell is taken from the best fit (``typical_length``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from gricol_zoo.data.table import Record
from gricol_zoo.errors import GricolZooError

MIN_CROPS = 20  # measurable crops needed for a reliable length, whichever chromosomes are missing
AS_IT_IS = (0.8, 1.25)  # cells naturally differ by about this much, from early to late metaphase
LARGEST = 16.0  # largest factor, or reciprocal of one
MAX_NAMED = 3  # a note names at most this many cells
ONE_TO_TWELVE = (8.44, 8.02, 6.83, 6.30, 6.08, 5.90, 5.36, 4.93, 4.80, 4.59, 4.61, 4.66)
THIRTEEN_TO_Y = (3.74, 3.56, 3.46, 3.36, 3.25, 2.93, 2.67, 2.56, 1.90, 2.04, 5.12, 2.15)
LENGTHS = np.array(ONE_TO_TWELVE + THIRTEEN_TO_Y)
"""Lengths of chromosomes 1 to 22, X and Y in metaphase, in percent of the haploid autosomes (Paris Conference 1971)."""
MEDIAN = 4.4  # median of a cell's crops in this unit, from both train parts: below that of the table, because crops are bent
COPIES = np.array([2.0] * 22 + [1.5, 0.5]) / 46  # frequency of each in a cell, averaged over the sexes
SPREAD = 0.1  # standard deviation of log length within a class and cell, including bends
STRAYS = 0.05  # fraction of crops that may be anything
SHIFTS = np.linspace(-1, 1, 201)  # candidate log ratios of the whole cell's median to the measured median,
OFF = 0.15  # and their prior standard deviation
MAX_LENGTHS = 200  # lengths that are used; more are replaced by this many quantiles
Key = TypeVar("Key")


class Scales(NamedTuple):
    """A factor for each image.

    Attributes:
        factors: (n,) float64, the scale factor of each crop.
        notes: the cells whose scale could not be determined, one line each.
    """

    factors: np.ndarray
    notes: list[str]


def read_scale(text: str) -> str | float:
    """Parse the value of ``--scale``: "auto", "none", or a number.

    Raises:
        GricolZooError: anything else, or a number that is out of range.
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
        factor: the value to check.
        given: how to show it in the message (default: its own representation).

    Raises:
        GricolZooError: it is not a number, or is outside 1/16..16.
    """
    number = isinstance(factor, (int, float, np.number)) and not isinstance(factor, bool)
    if not number or not 1 / LARGEST <= factor <= LARGEST:
        raise GricolZooError(
            f"Expected the scale to be auto, none, or a number in {1 / LARGEST:g}..{LARGEST:g}, but got {given or factor!r}."
        )
    return float(factor)


def factor_of(lengths: np.ndarray, reference: float) -> float | None:
    """Return the scale factor of one cell, rounded to four decimals; None if too few of its crops could be measured.

    It is 1 if the ratio of lengths is within ``AS_IT_IS``: cells naturally differ by that much, also in the training images.

    Args:
        lengths: (n,) of its chromosomes in crop pixels; NaN or 0 if not measured.
        reference: median length of the training chromosomes in crop pixels, above 0.
    """
    measured = lengths[lengths > 0]
    if len(measured) < MIN_CROPS:
        return None
    ratio = typical_length(measured) / reference
    return 1.0 if AS_IT_IS[0] <= ratio <= AS_IT_IS[1] else round(min(max(1 / ratio, 1 / LARGEST), LARGEST), 4)


def typical_length(lengths: np.ndarray) -> float:
    """Return the most probable median length of the whole cell, whichever of its chromosomes were measured.

    Measured on 80 train cells of each set: it stays within 5 % in 99 of 100 cells if 5 chromosomes are left out at random, and
    in 5 of 6 cells if all but 25 are left out. The median of the measured lengths does so in 9 of 10 and in 3 of 5 cells.

    Args:
        lengths: (n,) in crop pixels, above 0, n >= 1.
    """
    maximum = np.quantile(lengths, np.linspace(0, 1, MAX_LENGTHS)) if len(lengths) > MAX_LENGTHS else lengths
    middle = float(np.median(maximum))
    away = np.log(maximum / middle)[:, None, None] - SHIFTS[:, None] - np.log(LENGTHS / MEDIAN)
    there = np.exp(-0.5 * (away / SPREAD) ** 2) @ COPIES / (SPREAD * math.sqrt(2 * math.pi))
    likelihood = np.log((1 - STRAYS) * there + STRAYS / np.ptp(SHIFTS)).sum(0) - 0.5 * (SHIFTS / OFF) ** 2
    return middle * math.exp(SHIFTS[int(likelihood.argmax())])


def find_scales(records: Sequence[Record], lengths: np.ndarray, reference: float) -> Scales:
    """Return the scale factor of each image: from its cell, or else from its case, or else 1.

    Args:
        records: of the n images.
        lengths: (n,) in crop pixels; NaN or 0 if not measured.
        reference: median length of the training chromosomes in crop pixels; 0 if the weights do not store it.
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
    names = ", ".join(untold[:MAX_NAMED]) + f" and {len(untold) - MAX_NAMED} more cells" * (len(untold) > MAX_NAMED)
    few = f"scale taken as 1: too few crops to estimate it (needs at least {MIN_CROPS} of one cell or case)"
    return Scales(factors, [f"{names}: {few}"])


def groups_of(keys: Sequence[Key]) -> dict[Key, list[int]]:
    """Return key -> its indices, with the keys in order of first appearance."""
    groups: dict[Key, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups
