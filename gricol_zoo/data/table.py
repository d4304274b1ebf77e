"""A set of images with what is known of each: a zip, a folder, a CSV or single files, read through one class."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from gricol_zoo.data.images import SUFFIXES, pixel_hash, read_grey
from gricol_zoo.errors import GricolZooError, ImageError

MANIFEST = "manifest.csv"
MAX_FILE = 128 * 2**20  # bytes; the largest image that is read, 4096x4096 float pixels, has half of it
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of these alone zipfile unpacks no more than it is asked for


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


class Store:
    """The files of a zip or a folder, by relative name.

    Args:
        root: the zip or folder.
        names: only these files of a folder; None lists them all.

    Raises:
        GricolZooError: no such file or folder, no zip, or a zip whose names climb out of it.
    """

    def __init__(self, root: Path, names: list[str] | None = None) -> None:
        self.root = root
        self._zip: zipfile.ZipFile | None = None
        if names is not None:
            self.names = names
        elif root.is_dir():
            self.names = sorted(str(PurePosixPath(f.relative_to(root))) for f in root.rglob("*") if f.is_file())
        elif root.is_file():
            self._zip = open_zip(root)
            self.names = [name for name in self._zip.namelist() if not name.endswith("/")]
        else:
            raise GricolZooError(f"No such file or folder: {root}.")

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            FileNotFoundError: no such name; OSError: unreadable.
            ImageError: larger than ``MAX_FILE``, or a member of a zip that cannot be unpacked: damaged, encrypted, or packed
                otherwise than by deflate.
        """
        if self._zip is None:
            file = self.root / name
            _check_size(file.stat().st_size)
            return file.read_bytes()
        try:
            member = self._zip.getinfo(name)
            _check_size(member.file_size)
            if member.compress_type not in PACKINGS:
                raise ImageError("cannot be unpacked: not compressed with deflate. Create the zip again with deflate.")
            with self._zip.open(member) as stream:
                # With a number, for without one a member that is larger than its header says is unpacked whole.
                return stream.read(member.file_size)
        except KeyError as error:
            raise FileNotFoundError(name) from error
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            if isinstance(error, ImageError):
                raise
            raise ImageError(f"cannot be unpacked: {error}") from error

    def images(self) -> list[str]:
        """Return the names of the image files, hidden ones left out."""
        return [
            name
            for name in self.names
            if name.lower().endswith(SUFFIXES) and not any(p.startswith((".", "__MACOSX")) for p in name.split("/"))
        ]


def _check_size(size: int) -> None:
    if size > MAX_FILE:
        raise ImageError(f"{size / 2**20:.0f} MiB is larger than the limit for a crop ({MAX_FILE // 2**20} MiB)")


def open_zip(file: Path) -> zipfile.ZipFile:
    """Open a zip file.

    Raises:
        GricolZooError: not a zip, or a name in it is absolute or climbs out.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise GricolZooError(f"{file} is not a valid zip file: {error}.") from error
    for name in archive.namelist():
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1]):
            raise GricolZooError(f"{file} contains {name!r}, a path outside the archive. Create the zip again without it.")
    return archive


@dataclass
class ImageSet:
    """Records and where their files are.

    Attributes:
        name: the set's name, for messages and reports.
        records: one an image.
        store: where the files are.
        notes: what the reader had to decide, one line each.
    """

    name: str
    records: list[Record]
    store: Store
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)

    def read(self, record: Record) -> bytes:
        """Return the bytes of a record's file."""
        return self.store.read(record.path)

    def read_or_name(self, record: Record) -> bytes:
        """Return the bytes of a record's file, or raise a GricolZooError that names it."""
        try:
            return self.read(record)
        except (ImageError, OSError) as error:
            raise self.unusable(record, error) from error

    def unusable(self, record: Record, error: Exception) -> GricolZooError:
        """Return the error that names a record's file, the reason and a way out."""
        return GricolZooError(f"{record.path} of {self.store.root}: {error}. Fix the file or remove it from the manifest.")

    def grey(self, record: Record, ground: str = "auto") -> np.ndarray:
        """Return a record's image, (H, W) float32 in 0..1.

        Raises:
            ImageError, OSError: it cannot be read.
        """
        return read_grey(self.read(record), ground)

    def pixel_hash(self, record: Record) -> bytes:
        """Return a hash of a record's pixels; empty where its file cannot be decoded. One that cannot be read is named."""
        try:
            return pixel_hash(read_grey(self.read_or_name(record)))
        except ImageError:
            return b""

    def file_hash(self, record: Record) -> bytes:
        """Return the SHA-256 of a record's file. One that cannot be had is named."""
        return hashlib.sha256(self.read_or_name(record)).digest()

    def subset(self, keep: Iterable[int]) -> ImageSet:
        """Return the set with only the records at these indices."""
        return dataclasses.replace(self, records=[self.records[index] for index in keep])

    def sha256(self) -> str:
        """Return a hash of every record's path, label and bytes, in order: which data this is."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(f"{record.path}\0{record.label}\0".encode())
            digest.update(self.file_hash(record))
        return digest.hexdigest()


def read_manifest(text: str, where: str, names: Iterable[str] | None = None) -> list[Record]:
    """Read manifest.csv: columns path and label at least; case, cell, sex, copy and any others if there.

    Args:
        text: the file's content.
        where: what to call it in messages.
        names: the files that exist, to check the paths against; None leaves that out.

    Raises:
        GricolZooError: a column is missing, a path is missing, repeated, or leads out of the set.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = rows[0].keys() if rows else next(csv.reader([text.partition("\n")[0]]), [])
    for column in ("path", "label"):
        if column not in columns:
            raise GricolZooError(f"{where} has no column {column!r}. Expected path,label, and optionally case,cell,sex,copy.")
    known = None if names is None else set(names)
    seen, records = set[str](), list[Record]()
    for line, row in enumerate(rows, start=2):
        path = (row["path"] or "").replace("\\", "/")
        if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise GricolZooError(f"{where}, line {line}: {path!r} is not a relative path inside the data set.")
        if path in seen:
            raise GricolZooError(f"{where}, line {line}: {path!r} is listed twice. Remove one line.")
        if known is not None and path not in known:
            raise GricolZooError(f"{where}, line {line}: no such file: {path!r}. Add it or remove the line.")
        seen.add(path)
        fields = {key: value or "" for key, value in row.items() if key not in (None, "path")}
        named = {key: fields.pop(key, "") for key in ("label", "cell", "case", "sex", "copy")}
        records.append(Record(path, extra=fields, **named))
    return records
