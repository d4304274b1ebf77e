"""The files that were dropped on the page: one zip, or the image files of one cell, with or without records of the cells.

Names and sizes are checked before anything is read.

The limits are far above what a lab needs and far below what a machine can handle, so memory and time are always bounded.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gricol_zoo.data.images import MAX_PIXELS, size_of
from gricol_zoo.data.kinds import SUFFIXES, TYPES
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.store import DOCUMENT, MANIFEST, Store
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.karyotype.checked import broken_seals
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.review import corrections
from gricol_zoo.karyotype.run import cells_of
from gricol_zoo.serve.resume import MAX_DOCUMENT, documents_in, read_documents, resume

MAX_CELLS = 20
MAX_IMAGES = 100  # of one cell; a tetraploid one has 92
MAX_UPLOAD = 256 * 2**20  # bytes of one file
MAX_MEMBERS = 20_000  # of a zip
MAX_DIRECTORY = 4 * 2**20  # bytes of a zip's own list of members
MAX_UNPACKED = 2**30  # bytes of a zip's images together
MAX_MANIFEST = 4 * 2**20  # bytes
MAX_CELL_PIXELS = 2 * MAX_PIXELS  # of one cell's images together; 46 crops of 850x850
NAMED = 3  # files that a message names, at most


@dataclass(frozen=True)
class Upload:
    """What was dropped.

    Attributes:
        source: its name for people: that of the zip, or the number of files.
        cells: by name, in their order.
        notes: what was left out, or decided by a reader, one line each.
        karyotypes: karyotypes of the cells whose record was dropped with them, by name; these are first in ``cells``.
    """

    source: str
    cells: dict[str, ImageSet]
    notes: list[str] = field(default_factory=list)
    karyotypes: Mapping[str, Karyotype] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(map(len, self.cells.values()))


def move_into(files: Sequence[Path], place: Path) -> list[Path]:
    """Move files into one folder, under different names; return their new paths.

    Raises:
        GricolZooError: a file is missing.
    """
    moved: list[Path] = []
    taken: set[str] = set()
    for file in files:
        name, number = file.name, 1
        while name in taken:
            number += 1
            name = f"{file.stem} ({number}){file.suffix}"
        taken.add(name)
        try:
            shutil.move(file, place / name)
        except FileNotFoundError as error:
            raise GricolZooError(f"{file.name} was not uploaded. Drop it again.") from error
        moved.append(place / name)
    return moved


def open_upload(files: Sequence[Path]) -> Upload:
    """Open the files that were dropped together, all in one folder.

    Raises:
        GricolZooError: nothing that could be a cell, or more than the limits of this module; the message says which.
    """
    documents = read_documents([file for file in files if file.suffix.lower() == ".json"])
    files = [file for file in files if file.suffix.lower() != ".json"]
    if documents and not files:
        raise GricolZooError(f"Expected the images of the cell, or a zip of them, together with {_name(list(documents))}.")
    if len(files) == 1 and files[0].suffix.lower() == ".zip":
        upload = _open_zip(files[0])
        return _go_on(upload, documents or documents_in(_store_of(upload)))
    return _go_on(_open_files(files), documents)


def _open_files(files: Sequence[Path]) -> Upload:
    zips = [file for file in files if file.suffix.lower() == ".zip"]
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    others = [file.name for file in files if file not in images]
    if zips or not images:
        raise GricolZooError(f"Expected the image files of a cell ({TYPES}), or a single zip, but got {_name(others)}.")
    _check_count("what was dropped", len(images), "Drop one cell, or a zip with a folder for each cell.")
    records = [Record(name) for name in sorted(file.name for file in images)]
    cell = ImageSet("cell", records, Store(files[0].parent, [record.path for record in records]))
    notes = [f"Ignored, not images: {_name(others)}."] if others else []
    return Upload(f"{len(images)} file{'s' if len(images) > 1 else ''}", {"cell": cell}, notes)


def _store_of(upload: Upload) -> Store:
    return next(iter(upload.cells.values())).store  # all of its cells share one


def _go_on(upload: Upload, documents: Mapping[str, bytes]) -> Upload:
    """Return the upload with the cells of records as they were left; other cells stay, unrecorded images are left out."""
    if not documents:
        return upload
    records = [record for cell in upload.cells.values() for record in cell.records]
    found = resume(documents, ImageSet(upload.source, records, _store_of(upload)))
    used = {file for one in found for file in one.files}
    cells = {one.karyotype.cell: one.images for one in found}
    left: list[str] = []
    for name, cell in upload.cells.items():
        others = [record.path for record in cell.records if record.path not in used]
        if len(others) < len(cell):
            left += others
        elif name in cells:
            raise GricolZooError(f"The {DOCUMENT} and the images beside it are of two cells that are both called {name!r}.")
        else:
            cells[name] = cell
    for name, cell in cells.items():
        _check_count(f"the cell {name!r}", len(cell), "Put each cell's images into a folder of its own.")
    edits = sum(len(corrections(one.karyotype.edits)) for one in found)
    notes = [f"Opened as it was left, with {edits} correction{'' if edits == 1 else 's'}.", *upload.notes]
    notes += [f"Left out, in no {DOCUMENT}: {_name(left)}."] if left else []
    broken = [one.karyotype.cell for one in found if any(broken_seals(one.karyotype))]
    notes += [f"Changed after it was checked, so check it again: {_name(broken)}."] if broken else []
    return Upload(upload.source, cells, notes, {one.karyotype.cell: one.karyotype for one in found})


def _name(names: Sequence[str]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(repr(name) for name in names[:NAMED]) + more


def _open_zip(file: Path) -> Upload:
    check_zip(file)
    images = open_images(file)
    cells = cells_of(images)
    if len(cells) > MAX_CELLS:
        raise GricolZooError(f"Expected at most {MAX_CELLS} cells at once, but {file.name} contains {len(cells)}. Split it.")
    for name, cell in cells.items():
        _check_count(f"the cell {name!r}", len(cell), "Put each cell's images into a folder of its own.")
    return Upload(file.name, cells, images.notes)


def _check_count(what: str, count: int, advice: str) -> None:
    if count > MAX_IMAGES:
        raise GricolZooError(
            f"Expected about 46 images of one cell, at most {MAX_IMAGES}, but {what} has {count} images. {advice}"
        )


def check_zip(file: Path) -> None:
    """Reject a zip by its list of members, before anything is unpacked.

    Raises:
        GricolZooError: larger than the limits of this module, encrypted, or not a zip.
    """
    try:
        with _Reluctant(file) as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
    except _TooLongError:
        raise GricolZooError(f"Expected at most {MAX_MEMBERS} files, but {file.name} lists far more. Split it.") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise GricolZooError(f"{file.name} is not a valid zip file: {error}.") from error
    if len(members) > MAX_MEMBERS:
        raise GricolZooError(f"Expected at most {MAX_MEMBERS} files, but {file.name} contains {len(members)}. Split it.")
    images = [member for member in members if PurePosixPath(member.filename).suffix.lower() in SUFFIXES]
    if any(member.flag_bits & 1 for member in members):
        raise GricolZooError(f"{file.name} is encrypted. Create it again without a password.")
    unpacked = sum(member.file_size for member in images)
    if unpacked > MAX_UNPACKED:
        raise GricolZooError(
            f"Expected at most {MAX_UNPACKED // 2**20} MiB of images, but {file.name} unpacks to {unpacked / 2**20:.0f} MiB. "
            "A crop of one chromosome has a few KiB."
        )
    if any(PurePosixPath(member.filename).name.lower() == MANIFEST and member.file_size > MAX_MANIFEST for member in members):
        raise GricolZooError(f"The {MANIFEST} of {file.name} is larger than {MAX_MANIFEST // 2**20} MiB.")
    if any(PurePosixPath(member.filename).name.lower() == DOCUMENT and member.file_size > MAX_DOCUMENT for member in members):
        raise GricolZooError(f"The {DOCUMENT} of {file.name} is larger than {MAX_DOCUMENT // 2**20} MiB.")


class _TooLongError(Exception):
    pass


class _Reluctant(io.FileIO):
    """A file that limits how much is read at once: zipfile reads the list of members in one piece."""

    def __init__(self, file: Path) -> None:
        super().__init__(os.fspath(file), "rb")

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as a file does.

        Raises:
            _TooLongError: more than ``MAX_DIRECTORY`` bytes are requested.
        """
        if size is not None and size > MAX_DIRECTORY:
            raise _TooLongError
        return super().read(-1 if size is None else size) or b""


def check_cell(cell: ImageSet) -> None:
    """Reject a cell whose images are photographs, by their headers: each is read, none is decoded.

    Raises:
        GricolZooError: more than ``MAX_CELL_PIXELS`` together.
    """
    pixels = 0
    for record in cell.records:
        try:
            width, height = size_of(cell.read(record))
            pixels += width * height
        except (ImageError, OSError):
            continue  # it is shown as unreadable, with its reason, when the cell is classified
    if pixels > MAX_CELL_PIXELS:
        raise GricolZooError(
            f"Expected at most {MAX_CELL_PIXELS / 1e6:.0f} megapixels per cell, but the images of {cell.name} have "
            f"{pixels / 1e6:.0f}. Crop single chromosomes, or shrink the images."
        )
