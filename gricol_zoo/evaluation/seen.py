"""Which images of a set weights were trained on: by their pixels, and by the cells or cases that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.weights.pixels import WIDTH, unpack


class Seen(NamedTuple):
    """What is known of n images.

    Attributes:
        pixels: (n,) bool, whether an image of these pixels was trained on; None where the weights do not say.
        cells: (n,) bool, whether images of its cell or case were; None where the weights do not say.
    """

    pixels: np.ndarray | None
    cells: np.ndarray | None

    def any(self) -> np.ndarray:
        """Return (n,) bool, whether either is so, as far as the weights say; empty where they say neither."""
        known = [each for each in self if each is not None]
        return np.logical_or.reduce(known) if known else np.zeros(0, bool)

    def counts(self) -> dict[str, int | None]:
        """Return what a report says of it."""
        pixels, cells = (None if each is None else int(each.sum()) for each in self)
        return {"seen_in_training": pixels, "of_cells_in_training": cells}


def seen_in_training(images: ImageSet, info: WeightsInfo, pixels: bytes | None) -> Seen:
    """Tell which images weights were trained on, those that they started from included.

    Args:
        images: n of them. Each is decoded for it; a set that reads once (``gricol_zoo.data.crops``) has done so.
        info: of the weights.
        pixels: the bytes of their pixels.bin, None where they have none.

    Raises:
        GricolZooError: a file that cannot be read (it is named).
    """
    return Seen(by_pixels(images, pixels), by_cell(images.records, info))


def by_pixels(images: ImageSet, pixels: bytes | None) -> np.ndarray | None:
    """Tell which images have pixels that were trained on, (n,) bool; None where that is not known."""
    if pixels is None:
        return None
    known = unpack(pixels)
    return np.array([images.pixel_hash(record)[:WIDTH] in known for record in images.records], bool)


def by_cell(records: Sequence[Record], info: WeightsInfo) -> np.ndarray | None:
    """Tell which images come from cells or cases that were trained on, (n,) bool; None where that is not known."""
    known = info.groups
    if known is None:
        return None
    # An image-level training names its images, each a group of its own.
    return np.array([group_of(record) in known or record.path in known for record in records], bool)
