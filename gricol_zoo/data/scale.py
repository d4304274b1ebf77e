"""How large a pixel is, told from the chromosomes themselves: the factor that makes a cell's crops as large as the training's.

Weights carry the median length of their training chromosomes in crop pixels (``Preprocess.length``). A cell whose median is
far from it was photographed by another camera or lens, and its crops are multiplied by one number. The factor is worked out
for whole cells before anything is batched, and goes along as data: nothing that sees a batch estimates it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.table import Record
from gricol_zoo.errors import GricolZooError

LEAST_CROPS = 20  # readable ones, from which a median of lengths can be trusted whichever chromosomes are missing
AS_IT_IS = (0.8, 1.25)  # cells differ by about this much by themselves, from early to late metaphase
LARGEST = 16.0  # a factor, or its reciprocal


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
    if not 1 / LARGEST <= factor <= LARGEST:
        raise GricolZooError(
            f"Expected the scale to be auto, none, or a number in {1 / LARGEST:g}..{LARGEST:g}, but got {text!r}."
        )
    return factor


def factor_of(lengths: np.ndarray, reference: float) -> float | None:
    """Return what the crops of one cell are multiplied by; None where too few of them could be measured.

    Within ``AS_IT_IS`` it is 1: cells differ by that much, and weights know it.

    Args:
        lengths: (n,) of its chromosomes in crop pixels; NaN or 0 where there is none.
        reference: of the training chromosomes, above 0.
    """
    measured = lengths[lengths > 0]
    if len(measured) < LEAST_CROPS:
        return None
    ratio = float(np.median(measured)) / reference
    return 1.0 if AS_IT_IS[0] <= ratio <= AS_IT_IS[1] else float(np.clip(1 / ratio, 1 / LARGEST, LARGEST))


def find_scales(records: Sequence[Record], lengths: np.ndarray, reference: float) -> Scales:
    """Work out the factor of each image by its cell, else by its case, else 1.

    Args:
        records: of the n images.
        lengths: (n,) in crop pixels; NaN or 0 where nothing could be measured.
        reference: of the training chromosomes in crop pixels; 0 where the weights do not say.
    """
    factors = np.ones(len(records))
    if reference <= 0:
        return Scales(factors, ["scale not checked: no reference length in these weights; taken as 1"])
    cells = groups_of([(record.case, record.cell) for record in records])
    cases = groups_of([record.case for record in records])
    notes = []
    for (case, cell), members in cells.items():
        factor = factor_of(lengths[members], reference)
        if factor is None and case:
            factor = factor_of(lengths[cases[case]], reference)
        if factor is None:
            count = int((lengths[members] > 0).sum())
            notes.append(
                f"{cell or case or 'these images'}: scale taken as 1, {count} crops are too few to tell it "
                f"(at least {LEAST_CROPS} of one cell or case)"
            )
        factors[members] = 1.0 if factor is None else factor
    return Scales(factors, notes)


def groups_of(keys: Sequence[object]) -> dict[object, list[int]]:
    """Return the indices at which each key stands, in the order of first appearance."""
    groups: dict[object, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups
