"""Find the centromere in the upright picture of a chromosome: the waist near the position that its class has.

Evaluated against marks by eye on crops of the val parts: ``benchmarks/results/released/centromere.md``.
"""

from __future__ import annotations

import numpy as np

from gricol_zoo.karyotype.ideogram import ideograms

FOREGROUND = 0.3  # fraction of the 99th percentile of the stain above which a pixel is chromosome
SMOOTHING = 0.13  # standard deviation of the Gaussian along the chromosome, as a fraction of its width
DISTANCE = 20.0  # penalty of a waist's depth per squared distance from its class's place, in lengths


def index_of(label: str) -> float | None:
    """Return the centromere index of a class (short arm / whole length, on the sequence); None if it has no ideogram."""
    one = ideograms().get(label)
    return one.centromere / one.length if one else None


def find_centromere(picture: np.ndarray, label: str) -> float | None:
    """Return the row of the centromere, in pixels from the top; None without a class or a chromosome.

    A row's score is the depth of its waist less a penalty for its distance from the class's place. Without a class the
    waist alone is not reliable enough (see the benchmark).

    Args:
        picture: (H, W) uint8, dark on white, upright, short arm up.
        label: its class.
    """
    index = index_of(label)
    first, waist = waists(picture)
    if index is None or len(waist) < 3:
        return None
    place = np.arange(len(waist)) / (len(waist) - 1)
    return float(first + (waist - DISTANCE * (place - index) ** 2).argmax())


def waists(picture: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the first row of a chromosome, and the depth of the waist at each of its n rows, (n,) from 0 to 1.

    The depth is how much narrower the chromosome is there than at its widest places above and below.

    Args:
        picture: (H, W) uint8, dark on white, upright.
    """
    from scipy import ndimage

    value = 255.0 - picture
    mask = value > FOREGROUND * _brightest(value)
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return 0, np.zeros(0)
    first, last = int(rows[0]), int(rows[-1])
    width = mask[first : last + 1].sum(1).astype(float)
    width = ndimage.gaussian_filter1d(width, max(SMOOTHING * float(np.median(width)), 0.1), mode="nearest")
    above, below = np.maximum.accumulate(width), np.maximum.accumulate(width[::-1])[::-1]
    return first, 1 - width / np.maximum(np.minimum(above, below), 1e-9)


def _brightest(value: np.ndarray) -> float:
    """Return the 99th percentile of what stands out from a background of 0."""
    inside = value[value > 0.1 * float(value.max(initial=0.0))]
    return float(np.percentile(inside, 99)) if inside.size else 0.0
