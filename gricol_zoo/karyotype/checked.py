"""A person's check of a cell: the last entry of its log, with a seal over the whole content of the record at that time.

The seal is a SHA-256, so ``gricol-zoo verify`` detects every later change. But whoever writes the file can also make a new
seal; only a signature (``gricol-zoo sign``, or ``serve --key``) proves who it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

from gricol_zoo.data.store import some
from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.document import CELL, TURNED, Chromosome, Edit, Karyotype, now
from gricol_zoo.weights.ed25519 import canonical

CHECKED = "checked"  # field ``what`` of such an entry of the log


def check(karyotype: Karyotype, by: str, time: str = "") -> Karyotype:
    """Return the karyotype, checked by a person. Any later edit opens it again.

    Raises:
        GricolZooError: no name is given, or a chromosome is still in doubt.
    """
    if not by:
        raise GricolZooError("Expected the name of who checks the cell. Enter your initials first.")
    left = [str(item.id) for item in karyotype.doubtful()]
    if left:
        raise GricolZooError(
            f"{len(left)} chromosome{' is' if len(left) == 1 else 's are'} still in doubt (no. {some(left)}). "
            "Confirm or move each of them first."
        )
    time = time or now()
    return _log(karyotype, Edit(time, by, CELL, "", seal(karyotype, by, time), CHECKED))


def reopen(karyotype: Karyotype, by: str = "", time: str = "") -> Karyotype:
    """Return the karyotype as no longer checked, if it was."""
    last = last_check(karyotype)
    return _log(karyotype, Edit(time or now(), by, CELL, last.after, "", CHECKED)) if last else karyotype


def last_check(karyotype: Karyotype) -> Edit | None:
    """Return the entry of the check that is still valid, because nothing was changed after it; None if there is none."""
    last = karyotype.edits[-1] if karyotype.edits else None
    return last if last is not None and last.what == CHECKED and last.after else None


def checked_by(karyotype: Karyotype) -> str:
    """Return who checked the cell in its current state, and when: "AB, 2026-01-31T12:00:00Z"; "" if nobody has."""
    last = last_check(karyotype)
    return f"{last.by}, {last.time}" if last else ""


def seal(karyotype: Karyotype, by: str, time: str) -> str:
    """Return a SHA-256, in hex, of the whole content of a record and of who checks it and when.

    Fields with their default value are left out: a later version may have more fields, and the seal stays the same.
    """
    return hashlib.sha256(canonical({"record": _bare(karyotype), "by": by, "time": time})).hexdigest()


def broken_seals(karyotype: Karyotype) -> Iterator[str]:
    """Yield a line for each check of the cell whose seal no longer fits the record, or that was not allowed."""
    for place, edit in enumerate(karyotype.edits):
        if edit.what != CHECKED or not edit.after:
            continue
        then = _as_of(karyotype, place)
        if seal(then, edit.by, edit.time) != edit.after:
            yield f"it was changed after {edit.by} checked it at {edit.time}: its seal does not fit"
        elif then.doubtful():
            yield f"{edit.by} is said to have checked it at {edit.time}, but {len(then.doubtful())} were still in doubt"


def _as_of(karyotype: Karyotype, place: int) -> Karyotype:
    """Return the record as it was before an entry of its log."""
    items = {item.id: item for item in karyotype.chromosomes}
    for edit in reversed(karyotype.edits[place:]):
        if edit.id in items and edit.what != CHECKED:
            value: Any = edit.before == TURNED if edit.what == "turned" else edit.before
            items[edit.id] = dataclasses.replace(items[edit.id], **{edit.what: value})
    return dataclasses.replace(karyotype, chromosomes=[*items.values()], edits=list(karyotype.edits[:place]))


def _bare(item: Karyotype | Chromosome | Edit) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.name in ("chromosomes", "edits"):
            value = [_bare(one) for one in value]
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if isinstance(value, (list, tuple)):
            value, default = list(value), list(default) if isinstance(default, tuple) else default
        if value != default:
            found[field.name] = value
    return found


def _log(karyotype: Karyotype, edit: Edit) -> Karyotype:
    return dataclasses.replace(karyotype, edits=[*karyotype.edits, edit])
