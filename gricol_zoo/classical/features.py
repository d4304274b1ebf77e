"""The two feature sets: from the profiles of a cell's chromosomes to one feature vector per chromosome.

The abstracts of the papers give the kinds of features: profiles along the medial axis, and shape normalised within the cell
(Poletti et al., CMPB 2012; Wang et al., J Biomed Inform 2009). The exact features are our choice, because the full texts were
not available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from gricol_zoo.classical.profiles import SAMPLES, Profiles, centromere, short_arm_first

ENOUGH = 23  # a cell with this many chromosomes gets a scale of its own: half a cell is enough, but a few may all be large
COEFFICIENTS = 24  # of the cosine transform of a profile
WIDTHS = 32  # samples of the width profile in Poletti's set
ORIENTATIONS = ("as-is", "centromere")


@dataclass(frozen=True)
class Scale:
    """Medians of a cell, by which its chromosomes are divided, so that condensation, magnification and staining cancel out.

    Attributes:
        length: of the axis, in pixels.
        area: of the mask, in pixels.
        perimeter: of the mask, in pixels.
        brightness: mean over the background, 0..1.
    """

    length: float
    area: float
    perimeter: float
    brightness: float


def shapes(profiles: Sequence[Profiles]) -> np.ndarray:
    """Return (n, 4) float64: length, area, perimeter and brightness, in the order of the fields of ``Scale``."""
    return np.array([[p.length, p.area, p.perimeter, p.brightness] for p in profiles], float).reshape(len(profiles), 4)


def typical_scale(profiles: Sequence[Profiles], cells: Sequence[str]) -> Scale:
    """Return the median over cells of the cell medians; if no cell has ``ENOUGH`` chromosomes, the median over all of them."""
    values, names = shapes(profiles), np.array(cells)
    known = [name for name in sorted(set(cells)) if name and (names == name).sum() >= ENOUGH]
    medians = [np.median(values[names == name], axis=0) for name in known] or [np.median(values, axis=0)]
    return Scale(*(float(value) for value in np.maximum(np.median(medians, axis=0), 1e-6)))


def relative_shapes(profiles: Sequence[Profiles], cells: Sequence[str], typical: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Divide shapes by the medians of their cell, or by the typical ones if the cell has fewer than ``ENOUGH`` chromosomes.

    Args:
        profiles: of n chromosomes.
        cells: (n,) the cell of each, "" if unknown.
        typical: scale of the training cells.

    Returns:
        (n, 4) relative shapes, and (n, 1) the width in pixels (area divided by length) by which to divide widths.
    """
    values, names = shapes(profiles), np.array(cells)
    scale = np.tile(np.array(astuple(typical)), (len(values), 1))
    for name in set(cells) - {""}:
        own = names == name
        if own.sum() >= ENOUGH:
            scale[own] = np.maximum(np.median(values[own], axis=0), 1e-6)
    return values / scale, (scale[:, 1] / scale[:, 0])[:, None]


def turn(profiles: Sequence[Profiles], orientation: str) -> list[Profiles]:
    """Return the profiles as the crops are ("as-is"), or short arm first according to the centromere ("centromere")."""
    return [short_arm_first(p) for p in profiles] if orientation == "centromere" else list(profiles)


def poletti_features(profiles: Sequence[Profiles], cells: Sequence[str], typical: Scale) -> np.ndarray:
    """Return (n, ``POLETTI_FEATURES``) float64: density and width profiles, and shapes relative to the cell.

    Args:
        profiles: of n chromosomes, oriented by ``turn``.
        cells: (n,) the cell of each, "" if unknown.
        typical: scale for chromosomes without a cell, or with a small one.
    """
    shape, unit = relative_shapes(profiles, cells, typical)
    density = np.stack([p.density for p in profiles])
    width = np.stack([p.width for p in profiles])
    coarse = width.reshape(len(width), WIDTHS, -1).mean(2) / unit
    return np.concatenate([density, coarse, shape, _summaries(density, width, unit)], 1)


def wang_features(profiles: Sequence[Profiles], cells: Sequence[str], typical: Scale) -> np.ndarray:
    """Return (n, ``WANG_FEATURES``) float64: cosine transforms of three z-scored profiles, and shapes relative to the cell.

    The profiles are density, width and the gradient of density; the first ``COEFFICIENTS`` of each are kept. Arguments as for
    ``poletti_features``.
    """
    from scipy.fft import dct

    shape, unit = relative_shapes(profiles, cells, typical)
    density = np.stack([p.density for p in profiles])
    width = np.stack([p.width for p in profiles])
    curves = [dct(_standard(curve), norm="ortho")[:, :COEFFICIENTS] for curve in (density, width, np.gradient(density, axis=1))]
    return np.concatenate([*curves, shape, _summaries(density, width, unit)], 1)


SUMMARIES = 7
POLETTI_FEATURES = SAMPLES + WIDTHS + 4 + SUMMARIES
WANG_FEATURES = 3 * COEFFICIENTS + 4 + SUMMARIES


def _summaries(density: np.ndarray, width: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return (n, SUMMARIES) float64.

    The columns are the mean, minimum and maximum width, the mean and standard deviation of density, and the position of the
    centromere by length and by area.
    """
    waist = np.array([centromere(row) for row in width])
    # The fraction of the area before the centromere.
    before = np.arange(SAMPLES)[None] <= (waist * (SAMPLES - 1))[:, None]
    by_area = (width * before).sum(1) / np.maximum(width.sum(1), 1e-9)
    middle = width[:, SAMPLES // 16 : -(SAMPLES // 16)]
    widths = np.stack([width.mean(1), middle.min(1), middle.max(1)], 1) / unit
    return np.concatenate([widths, np.stack([density.mean(1), density.std(1), waist, by_area], 1)], 1)


def _standard(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(1, keepdims=True)) / np.maximum(rows.std(1, keepdims=True), 1e-6)
