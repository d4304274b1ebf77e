"""A ``karyotype.json`` dropped with its images: its cell opens as it was left, and nothing is classified again.

The file may come from someone else, so content that no run writes is rejected before anything is drawn.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gricol_zoo.data.store import DOCUMENT, Store, hidden, some
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.files import escaped, parse_json
from gricol_zoo.karyotype.assign import MAX_CHROMOSOMES
from gricol_zoo.karyotype.checked import broken_seals, reopen
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.reading import to_karyotype

MAX_DOCUMENT = 2**20  # bytes; one of 46 chromosomes has about 50 KiB
MAX_DOCUMENTS = 20  # at once, one per cell
MAX_WARNINGS = 50  # of a cell; each is drawn
MAX_LETTERS = 1000  # characters of a text that is drawn
OURS = re.compile(rb'\s*\{\s*"format"\s*:\s*\d+\s*,\s*"draft"')  # beginning of a file that the page saved, whatever its name
Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Resumed:
    """A cell that was dropped with its record.

    Attributes:
        karyotype: as it was left; changes in the file by hand are recorded as edits.
        images: images of its chromosomes, in their order, under the paths in the record.
        files: their current names in the upload.
    """

    karyotype: Karyotype
    images: ImageSet
    files: frozenset[str]


class _AsRecorded(Store):
    """Some files of a store, under the names in a record."""

    def __init__(self, store: Store, names: Mapping[str, str]) -> None:
        super().__init__(store.root, list(names))
        self._inner, self._now = store, names

    def read(self, name: str) -> bytes:
        """Return a file's bytes; errors as for ``Store.read``."""
        if name not in self._now:
            raise FileNotFoundError(f"{name} was not dropped")
        return self._inner.read(self._now[name])


def read_documents(files: Sequence[Path]) -> dict[str, bytes]:
    """Return the bytes of records by their names.

    Raises:
        GricolZooError: one is too large for a record, or there are too many.
    """
    _check_count(len(files))
    found = {}
    for file in files:
        _check_bytes(escaped(file.name), file.stat().st_size)
        found[escaped(file.name)] = file.read_bytes()
    return found


def documents_in(store: Store) -> dict[str, bytes]:
    """Return the bytes of the records in a zip: files called ``karyotype.json``; if there are none, files that begin like one.

    Raises:
        GricolZooError: one cannot be unpacked, or is too large for a record, or there are too many.
    """
    names = [name for name in store.names if name.lower().endswith(".json") and not hidden(name)]
    named = [name for name in names if PurePosixPath(name).name.lower() == DOCUMENT]
    _check_count(len(named))
    if len(names) > MAX_DOCUMENTS and not named:
        return {}  # files of another program, one per image
    found = {}
    for name in named or names:
        try:
            data = store.read(name)
        except (ImageError, OSError) as error:
            if named:
                raise GricolZooError(f"{escaped(name)}: {error}") from error
            continue
        if named or OURS.match(data):
            _check_bytes(escaped(name), len(data))
            found[escaped(name)] = data
    return found


def _check_count(count: int) -> None:
    if count > MAX_DOCUMENTS:
        raise GricolZooError(f"Expected at most {MAX_DOCUMENTS} cells at once, but got {count} times {DOCUMENT}.")


def _check_bytes(where: str, size: int) -> None:
    if size > MAX_DOCUMENT:
        raise GricolZooError(f"Expected a {DOCUMENT} of at most {MAX_DOCUMENT // 2**20} MiB, but {where} is larger.")


def resume(documents: Mapping[str, bytes], images: ImageSet) -> list[Resumed]:
    """Find the images of records by their hashes.

    Args:
        documents: their bytes, by the names used in messages.
        images: all images that were dropped.

    Raises:
        GricolZooError: a record is damaged, one of its images is missing, or two records are of the same images.
    """
    karyotypes = {where: read_record(data, where) for where, data in documents.items()}
    by_hash: dict[str, list[str]] = defaultdict(list)
    by_name: dict[str, list[str]] = defaultdict(list)
    for record in images.records:
        by_name[_base(record.path)].append(record.path)
        try:
            by_hash[hashlib.sha256(images.read(record)).hexdigest()].append(record.path)
        except (ImageError, OSError):
            continue  # only a chromosome that could not be read before can have this image
    found: list[Resumed] = []
    for where, karyotype in karyotypes.items():
        one = _match(karyotype, where, images, by_hash, by_name)
        if any(one.files & other.files or one.karyotype.cell == other.karyotype.cell for other in found):
            raise GricolZooError(f"{where} is of the same cell as another {DOCUMENT}. Drop one of them.")
        found.append(one)
    return found


def _match(karyotype: Karyotype, where: str, images: ImageSet, by_hash: Names, by_name: Names) -> Resumed:
    names: dict[str, str] = {}
    missing: list[str] = []
    for item in karyotype.chromosomes:
        name = _find(item, by_hash, by_name)
        if name:
            names[item.path] = name
        elif not item.error:
            missing.append(item.path)
    if missing:
        count = f"{len(missing)} chromosome{'' if len(missing) == 1 else 's'}"
        changed = sum(len(by_name.get(_base(path), ())) == 1 for path in missing)
        others = f" ({changed} of that name, with other content)" if changed else ""
        raise GricolZooError(f"{where}: no image of {count}{others}: {some([repr(path) for path in missing])}.")
    records = [
        Record(item.path, item.label, karyotype.cell, karyotype.case, extra={"short_arm": item.short_arm})
        for item in karyotype.chromosomes
    ]
    found = ImageSet(karyotype.cell, records, _AsRecorded(images.store, names))
    return Resumed(karyotype, found, frozenset(names.values()))


def _find(item: Chromosome, by_hash: Names, by_name: Names) -> str:
    """Return the name of a chromosome's image, "" if there is none: by its hash, among equal ones by its path.

    Only if the record has no hash, because the file could not be read at all, it is found by its name.
    """
    alike = by_name.get(_base(item.path), ())
    if not item.sha256:
        alike = [name for name in alike if name == item.path] or alike
        return alike[0] if item.error and len(alike) == 1 else ""
    same = by_hash.get(item.sha256, ())
    near = [name for name in same if name == item.path] or [name for name in same if name in alike] or same
    return near[0] if near else ""


def _base(path: str) -> str:
    return PurePosixPath(path).name


def read_record(data: bytes, where: str) -> Karyotype:
    """Return the karyotype of a record, with manual changes recorded; if it was changed after its check, it is open again.

    Args:
        data: content of the file.
        where: name of the file in messages.

    Raises:
        GricolZooError: not a record, or one with content that no run writes.
    """
    try:
        karyotype = to_karyotype(parse_json(data, where), where).note_edits()
    except GricolZooError as error:  # it quotes the file
        raise GricolZooError(escaped(str(error))[:MAX_LETTERS]) from error
    karyotype = dataclasses.replace(karyotype, cell=karyotype.cell or "cell")
    wrong = _what_is_wrong(karyotype)
    if wrong:
        raise GricolZooError(f"{where} is damaged: {wrong}.")
    return reopen(karyotype) if any(broken_seals(karyotype)) else karyotype


def _what_is_wrong(karyotype: Karyotype) -> str:
    """Return what in a record no run writes or cannot be shown; "" if it is fine."""
    items = karyotype.chromosomes
    warnings = [*karyotype.warnings, *(warning for item in items for warning in item.warnings)]
    words = [karyotype.cell, *karyotype.labels, *karyotype.model.values(), *(item.error for item in items)]
    words += [word for edit in karyotype.edits for word in (edit.time, edit.by, edit.before, edit.after, edit.what)]
    if not 1 <= len(items) <= MAX_CHROMOSOMES or not 1 <= len(karyotype.labels) <= MAX_CHROMOSOMES:
        return f"expected up to {MAX_CHROMOSOMES} chromosomes and classes, but got {len(items)} and {len(karyotype.labels)}"
    if len({item.path for item in items}) < len(items):
        return "two chromosomes have the same path"
    if not all(1 <= item.id <= MAX_CHROMOSOMES for item in items):
        return f"the number of a chromosome is not in 1..{MAX_CHROMOSOMES}"
    if len(karyotype.warnings) > MAX_WARNINGS or any(len(one) > MAX_LETTERS for one in (*words, *warnings)):
        return f"more than {MAX_WARNINGS} warnings of the cell, or more than {MAX_LETTERS} characters in one text"
    if any(escaped(one) != one for one in words):
        return "control characters in a name or an error"
    for item in items:
        known = item.predicted in karyotype.labels and item.predicted in item.probabilities
        if not known and not (item.error and not item.predicted):
            return f"chromosome {item.id} has no class of its own"
        if not set(item.probabilities) | {item.automatic} <= {*karyotype.labels, ""}:
            return f"chromosome {item.id} has a class that is none of the record's"
    return ""
