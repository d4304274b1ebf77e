"""An image set that reads and decodes each image only once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from gricol_zoo.data.images import read_hashed
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import ImageError

MAX_KEPT = 1 << 30  # bytes of grey images kept in memory; further images are decoded again when they are needed


class Look(NamedTuple):
    """Result of reading and decoding one image.

    Attributes:
        file: SHA-256 of the file's bytes; empty if the file cannot be read.
        pixels: hash of the grey pixels; empty if the file cannot be decoded.
        grey: (H, W) float32 in 0..1; None if the file cannot be decoded, or if the image is not kept.
        notes: notes about the image, as in ``Crop.notes``.
        error: why the file cannot be read or decoded.
    """

    file: bytes = b""
    pixels: bytes = b""
    grey: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    error: ImageError | OSError | None = None


@dataclass
class Crops(ImageSet):
    """A set that reads and decodes each image once: all records in parallel, when the first one is needed.

    Its subsets share the results. It is for work that uses each image several times. Work that takes one image at a time, such
    as ``predict``, uses an ``ImageSet``, which keeps no images in memory.

    Attributes:
        ground: the background with which the images are decoded (``gricol_zoo.data.images``).
        seen: path -> result.
    """

    ground: str = "auto"
    seen: dict[str, Look] = field(default_factory=dict)

    def look(self, record: Record) -> Look:
        """Return the result of reading an image; read and decode all records first, if it is a new one."""
        if record.path not in self.seen:
            kept = sum(one.grey.nbytes for one in self.seen.values() if one.grey is not None)
            new = [one for one in self.records if one.path not in self.seen]
            for one, found in zip(new, _side_by_side(self._look, new), strict=True):
                kept += found.grey.nbytes if found.grey is not None else 0
                self.seen[one.path] = found if kept <= MAX_KEPT else found._replace(grey=None)
        return self.seen[record.path]

    def _look(self, record: Record) -> Look:
        file = b""
        try:
            data = self.read(record)
            file = hashlib.sha256(data).digest()
            crop, pixels = read_hashed(data, self.ground)
            self.said(record, crop)
        except (ImageError, OSError) as error:
            return Look(file, error=error)
        return Look(file, pixels, crop.grey, crop.notes)

    def grey(self, record: Record, ground: str = "auto") -> np.ndarray:
        """Return a record's image, as ``ImageSet.grey`` does; not to be written to."""
        found = self.look(record) if ground == self.ground else Look()
        if found.error is not None:
            raise found.error
        return super().grey(record, ground) if found.grey is None else found.grey

    def pixel_hash(self, record: Record) -> bytes:
        """Return a hash of a record's pixels, as ``ImageSet.pixel_hash`` does."""
        self.file_hash(record)
        return self.look(record).pixels

    def file_hash(self, record: Record) -> bytes:
        """Return the SHA-256 of a record's file, as ``ImageSet.file_hash`` does."""
        found = self.look(record)
        if not found.file and found.error is not None:
            raise self.unusable(record, found.error) from found.error
        return found.file


def read_once(images: ImageSet, ground: str = "auto") -> Crops:
    """Return a set that reads each image once; the same set if it already does."""
    if isinstance(images, Crops) and images.ground == ground:
        return images
    return Crops(images.name, images.records, images.store, images.notes, ground)


def _side_by_side(look: Callable[[Record], Look], records: Iterable[Record]) -> Iterator[Look]:
    pool = ThreadPoolExecutor(torch.get_num_threads(), "gricol-zoo")
    try:
        yield from pool.map(look, records)
    finally:
        pool.shutdown(cancel_futures=True)
