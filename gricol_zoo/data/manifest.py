"""Read a manifest: a table of images with the label, cell, case, and so on, of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import PurePosixPath

from gricol_zoo.data.classes import classes_of
from gricol_zoo.data.store import DRIVE, MANIFEST, Store, hidden, some
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import DELIMITERS, Row, read_table, same_name

COLUMNS = {
    "path": "the image, relative to the manifest; `./` in front, either slash and absolute paths inside the set are understood",
    "label": "its class; without the column the images have no labels",
    "case": "the person",
    "cell": "the metaphase cell",
    "sex": "F, M or empty",
    "copy": "a, b, ... among the homologues of a cell",
    "short_arm": "which end it is at: up, down or empty",
}
"""Known column -> its meaning; other columns are kept as they are."""


def find_manifest(store: Store) -> str:
    """Return the name of the manifest for all images of a store, "" if there is none.

    It is at the top, or it is the only one and all images are in its folder or below.
    """
    found = [name for name in store.names if PurePosixPath(name).name.lower() == MANIFEST and not hidden(name)]
    for name in found:
        base = name[: -len(MANIFEST)]
        if not base or (len(found) == 1 and all(image.startswith(base) for image in store.images())):
            return name
    return ""


def read_manifest(images: ImageSet, data: bytes, where: str, base: str = "", labels: bool = False) -> list[Record]:
    """Read the records of a manifest; notes on what had to be decided are added to the set.

    Args:
        images: the set, whose store has the files.
        data: the bytes of the manifest.
        where: its name in messages.
        base: its folder inside the set, with a slash at the end.
        labels: whether it must have a column of labels.

    Raises:
        GricolZooError: it is not a table, a column is missing, or a path is missing, listed twice, or outside the set.
    """
    table = read_table(data, where, ("path", "label") if labels else ("path",), tuple(COLUMNS))
    if "label" not in table.columns:
        images.notes.append(f"{where} has no column 'label' (found: {', '.join(table.columns)}): the images have no labels.")
    seen, records = set[str](), list[Record]()
    for row in table.rows:
        path = _path(row, images.store, where, base)
        if path in seen:
            raise GricolZooError(f"{where}, line {row.line}: {row.values['path']!r} is listed twice. Remove one line.")
        seen.add(path)
        fields = {name: value for name, value in row.values.items() if name != "path"}
        named = {name: same_name(fields.pop(name, "")) for name in ("label", "cell", "case", "sex", "copy")}
        records.append(Record(path, extra=fields, **named))
    others = [name for name in images.store.images() if name not in seen] if records else []
    if others:
        images.notes.append(f"{where} does not list {len(others)} of the images, which are left out: {some(others)}.")
    return _with_classes(records, where, images.notes)


def _path(row: Row, store: Store, where: str, base: str) -> str:
    """Return the name of a row's file in the store.

    Raises:
        GricolZooError: the path is outside the set, or there is no such file.
    """
    given = row.values["path"]
    plain = PurePosixPath(given.replace("\\", "/"))
    found = "" if ".." in plain.parts else store.find(base + given if not plain.is_absolute() else given)
    if found:
        return found
    if not given or plain.is_absolute() or ".." in plain.parts or DRIVE.match(given):
        raise GricolZooError(
            f"{where}, line {row.line}: {given!r} is not a relative path inside the data set. Write it as seen from the table."
        )
    if any(sign in given for sign in DELIMITERS) and not any(text for name, text in row.values.items() if name != "path"):
        raise GricolZooError(
            f"{where}, line {row.line}: {given!r} is all in the column path. Use one delimiter in the header and in "
            "all lines, and close every quote."
        )
    raise GricolZooError(f"{where}, line {row.line}: no such file: {given!r}. Add it or remove the line.")


def _with_classes(records: Sequence[Record], where: str, notes: list[str]) -> list[Record]:
    """Return the records with their labels in this package's spelling, if all of them are chromosomes in another spelling."""
    found = classes_of({record.label for record in records} - {""}, labels=True)
    if found is None:
        return list(records)
    if found.how:
        notes.append(f"{where}: labels are {found.how}.")
    return [dataclasses.replace(record, label=found.label.get(record.label, "")) for record in records]
