"""Find the images of a set that weights were trained on: by their pixels, and by their cells or cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.weights.pixels import WIDTH, unpack


class Seen(NamedTuple):
    """Which of n images were seen in training.

    Attributes:
        pixels: (n,) bool, whether an image with these pixels was trained on; None if the weights do not record it.
        cells: (n,) bool, whether images of its cell or case were trained on; None if the weights do not record it.
    """

    pixels: np.ndarray | None
    cells: np.ndarray | None

    def any(self) -> np.ndarray:
        """Return (n,) bool, whether either is true, as far as recorded; an empty array if neither is recorded."""
        known = [each for each in self if each is not None]
        return np.logical_or.reduce(known) if known else np.zeros(0, bool)

    def counts(self) -> dict[str, int | None]:
        """Return the counts for a report; None for what is not recorded."""
        pixels, cells = (None if each is None else int(each.sum()) for each in self)
        return {"seen_in_training": pixels, "of_cells_in_training": cells}


def seen_in_training(images: ImageSet, info: WeightsInfo, pixels: bytes | None) -> Seen:
    """Return which images the weights, or the weights that they started from, were trained on.

    Args:
        images: n images. Each is decoded, unless the set is one that reads once (``gricol_zoo.data.crops``).
        info: of the weights.
        pixels: the bytes of their pixels.bin; None if they have none.

    Raises:
        GricolZooError: a file cannot be read (the message names it).
    """
    return Seen(by_pixels(images, pixels), by_cell(images.records, info))


def by_pixels(images: ImageSet, pixels: bytes | None) -> np.ndarray | None:
    """Return which images have pixels that were trained on, (n,) bool; None if that is not recorded."""
    if pixels is None:
        return None
    known = unpack(pixels)
    return np.array([images.pixel_hash(record)[:WIDTH] in known for record in images.records], bool)


def by_cell(records: Sequence[Record], info: WeightsInfo) -> np.ndarray | None:
    """Return which images come from cells or cases that were trained on, (n,) bool; None if that is not recorded."""
    known = info.groups
    if known is None:
        return None
    # Training on an image-level split records its images by path, each as its own group.
    return np.array([group_of(record) in known or record.path in known for record in records], bool)
