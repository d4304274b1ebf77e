"""Pictures to compare a chromosome with its homologues and the ideogram: straightened and at one scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from gricol_zoo.classical.straighten import straighten
from gricol_zoo.data.find import find_chromosome
from gricol_zoo.errors import GricolZooError

TALL = 150  # pixels of the longest one on the page


def straight_pictures(
    greys: Mapping[int, np.ndarray], drawn: Mapping[int, np.ndarray], ground: str = "auto"
) -> dict[int, np.ndarray]:
    """Return a straightened picture of each chromosome, dark on white, the same way up as it is drawn.

    Args:
        greys: (H, W) in 0..1, the crops by id.
        drawn: (h, w) uint8, each as drawn in the karyogram, by id; one that cannot be straightened is kept as drawn.
        ground: background of the crops: "auto", "light" or "dark".

    Returns:
        (h, w) uint8 by id, all at one scale: the longest has ``TALL`` rows.
    """
    found = {id: _straight(grey, ground) for id, grey in greys.items()}
    straight = {id: value for id, value in found.items() if value is not None}
    scale = TALL / max((len(value) for value in straight.values()), default=TALL)
    pictures = {}
    for id, picture in drawn.items():
        if id not in straight:
            pictures[id] = _resize(picture, TALL / max(len(one) for one in drawn.values()))
            continue
        value = _resize(255 - (straight[id] * 255 + 0.5).astype(np.uint8), scale)
        pictures[id] = value if _alike(value, picture) >= _alike(value[::-1, ::-1], picture) else value[::-1, ::-1]
    return pictures


def _straight(grey: np.ndarray, ground: str) -> np.ndarray | None:
    try:
        return straighten(np.clip(find_chromosome(grey, ground).value, 0, 1))
    except (GricolZooError, ValueError):  # it cannot be measured
        return None


def _resize(picture: np.ndarray, scale: float) -> np.ndarray:
    height, width = picture.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two pictures' darkness along their length."""
    rows = [np.asarray(255.0 - picture).mean(1) for picture in (one, other)]
    places = np.linspace(0, 1, 64)
    profiles = [np.interp(places, np.linspace(0, 1, len(row)), row) for row in rows]
    deviations = [profile - profile.mean() for profile in profiles]
    return float((deviations[0] * deviations[1]).sum())
