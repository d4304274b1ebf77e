"""Downloads: one file of a cell at a time, or all of the work in a zip that the page can open again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.store import DOCUMENT
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.karyotype.case.batch import to_zip
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.draw import to_png, to_svg
from gricol_zoo.karyotype.layout import Sheet, lay_out
from gricol_zoo.karyotype.output import folder_names
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows
from gricol_zoo.serve.cell import ZOOM, Cell
from gricol_zoo.serve.session import Session

MAX_SAVED = 64 * 2**20  # bytes of a zip: it goes to the browser in one piece


@dataclass(frozen=True)
class Download:
    """A file to download: its name, MIME type and bytes."""

    name: str
    kind: str
    data: bytes


def table_of(cell: Cell) -> bytes:
    """Return a cell's CSV, one row per chromosome."""
    return to_csv(chromosome_rows(cell.karyotype), COLUMNS).encode()


def document_of(cell: Cell) -> bytes:
    """Return a cell's karyotype.json."""
    return cell.karyotype.to_json().encode(errors="backslashreplace")


def sheet_of(cell: Cell) -> Sheet:
    """Return a cell's karyogram, laid out."""
    return lay_out(cell.karyotype, cell.pictures, ZOOM, checked=checked_by(cell.karyotype))


KINDS: Mapping[str, tuple[str, Callable[[Cell], bytes]]] = {
    "CSV": ("text/csv", table_of),
    "JSON": ("application/json", document_of),
    "PNG": ("image/png", lambda cell: to_png(sheet_of(cell), ZOOM)),
    "SVG": ("image/svg+xml", lambda cell: to_svg(sheet_of(cell), ZOOM).encode()),
}
"""The kinds of a cell's files: their MIME types, and the functions that make them."""


def file_of(cell: Cell, kind: str) -> Download:
    """Return one of a cell's files.

    Raises:
        GricolZooError: not a kind of ``KINDS``.
    """
    if kind not in KINDS:
        raise GricolZooError(f"Expected one of {', '.join(KINDS)}, but got {kind!r:.40}.")
    mime, make = KINDS[kind]
    return Download(f"{plain_name(cell)}.{kind.lower()}", mime, make(cell))


def plain_name(cell: Cell) -> str:
    """Return the name of a cell's files, without suffix."""
    return folder_names([cell.karyotype.cell])[0]


def save_all(session: Session) -> Download:
    """Return a zip of all classified cells, each with its images; the page opens it in the same state again.

    The images have the paths of the records, so ``verify RECORD --images ZIP`` finds them. The cells then count as saved.

    Raises:
        GricolZooError: nothing was classified, or more than ``MAX_SAVED``.
    """
    if not session.cells or session.upload is None:
        raise GricolZooError("There is nothing to save yet. Drop a cell's crops, or a zip, and run a model first.")
    members: dict[str, bytes] = {}
    folders = folder_names(cell.karyotype.cell for cell in session.cells.values())
    for folder, (name, cell) in zip(folders, session.cells.items(), strict=True):
        begin = "" if len(session.cells) == 1 else f"{folder}/"
        members[f"{begin}{DOCUMENT}"] = document_of(cell)
        if cell.signature is not None:
            members[f"{begin}{DOCUMENT}.sig"] = json.dumps(dict(cell.signature), indent=1).encode()
        members |= _images(session.upload.cells[name])
        if sum(map(len, members.values())) > MAX_SAVED:
            raise GricolZooError(
                f"The cells together have more than {MAX_SAVED // 2**20} MiB. Save their JSON files, and keep the images."
            )
    for cell in session.cells.values():
        cell.saved = len(cell.karyotype.edits)
    name = plain_name(next(iter(session.cells.values()))) if len(session.cells) == 1 else f"{len(session.cells)} cells"
    return Download(f"{name}.zip", "application/zip", to_zip(members.items()))


def _images(images: ImageSet) -> dict[str, bytes]:
    found = {}
    for record in images.records:
        path = PurePosixPath(record.path)
        safe = not path.is_absolute() and ".." not in path.parts and "\\" not in record.path
        try:
            found[record.path if safe else path.name] = images.read(record)
        except (ImageError, OSError):
            continue  # it could not be read before either, and its record says that
    return found
