"""A set of images with their labels, cells and cases: from a zip, a folder, a CSV or single files, all in one class."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gricol_zoo.data.images import Crop, pages_left_out, pixel_hash, read_crop, read_grey
from gricol_zoo.data.store import Store
from gricol_zoo.errors import GricolZooError, ImageError, QualityWarning

MAX_SAID = 4  # warnings name at most this many files with several pages


@dataclass(frozen=True)
class Record:
    """One image.

    Attributes:
        path: its name inside the set, with forward slashes.
        label: its class, "" if unknown.
        cell, case: which metaphase cell and which person it comes from, "" if unknown.
        sex: "F", "M" or "".
        copy: "a", "b", ... among the homologues of one cell.
        extra: further columns of the manifest.
    """

    path: str
    label: str = ""
    cell: str = ""
    case: str = ""
    sex: str = ""
    copy: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ImageSet:
    """Records of images, and the store with their files.

    Attributes:
        name: the set's name, for messages and reports.
        records: one per image.
        store: where the files are.
        notes: decisions of the reader, one line each.
        prefix: put before a record's path where several sets must be told apart.
    """

    name: str
    records: list[Record]
    store: Store
    notes: list[str] = field(default_factory=list)
    prefix: str = field(default="", kw_only=True)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, record: Record) -> bytes:
        """Return the bytes of a record's file; errors as for ``Store.read``."""
        return self.store.read(record.path)

    def read_or_name(self, record: Record) -> bytes:
        """Return the bytes of a record's file.

        Raises:
            GricolZooError: the file cannot be read (the message names it).
        """
        try:
            return self.read(record)
        except (ImageError, OSError) as error:
            raise self.unusable(record, error) from error

    def unusable(self, record: Record, error: Exception) -> GricolZooError:
        """Return an error that names a record's file, the reason and what to do."""
        return GricolZooError(f"{record.path} of {self.store.root}: {error}. Fix the file or remove it from the manifest.")

    def grey(self, record: Record, ground: str = "auto") -> np.ndarray:
        """Return a record's image, (H, W) float32 in 0..1.

        Raises:
            ImageError, OSError: it cannot be read.
        """
        return self.said(record, read_crop(self.read(record), ground))

    def said(self, record: Record, crop: Crop) -> np.ndarray:
        """Return a crop's grey; issue a ``QualityWarning`` if pages of its file were left out."""
        several = self.store.several
        for note in crop.notes:
            if pages_left_out(note) and record.path not in several and len(several) < MAX_SAID:
                several.add(record.path)
                more = "; further files like it are not named" if len(several) == MAX_SAID else ""
                warnings.warn(f"{record.path}: {note}{more}", QualityWarning, stacklevel=2)
        return crop.grey

    def pixel_hash(self, record: Record) -> bytes:
        """Return a hash of a record's pixels; empty if its file cannot be decoded.

        Raises:
            GricolZooError: the file cannot be read (the message names it).
        """
        try:
            return pixel_hash(read_grey(self.read_or_name(record)))
        except ImageError:
            return b""

    def file_hash(self, record: Record) -> bytes:
        """Return the SHA-256 of a record's file.

        Raises:
            GricolZooError: the file cannot be read (the message names it).
        """
        return hashlib.sha256(self.read_or_name(record)).digest()

    def subset(self, keep: Iterable[int]) -> ImageSet:
        """Return the set with only the records at these indices."""
        return dataclasses.replace(self, records=[self.records[index] for index in keep])

    def sha256(self) -> str:
        """Return a hash that identifies the data: of the path, label and bytes of every record, in order.

        Raises:
            GricolZooError: a file cannot be read (the message names it).
        """
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(f"{record.path}\0{record.label}\0".encode(errors="surrogateescape"))
            digest.update(self.file_hash(record))
        return digest.hexdigest()
