"""The chromosome counts of one cell, or why they cannot be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gricol_zoo.karyotype.case.iscn import sex_of, steps_of
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.doubts import of_class
from gricol_zoo.karyotype.draft import sets_of
from gricol_zoo.spec import CHROMOSOMES

MAX_CHANGES = 6  # of a cell whose counts are used; with more, a clone cannot be told from an incomplete cell


@dataclass(frozen=True)
class Counted:
    """The chromosome counts of one cell.

    Attributes:
        cell: its name.
        counts: number of chromosomes by class.
        unclear: why they cannot be used; "" if they can.
    """

    cell: str
    counts: Mapping[str, int]
    unclear: str = ""


def counted(karyotype: Karyotype) -> Counted:
    """Return the chromosome counts of a cell."""
    return Counted(karyotype.cell, karyotype.counts(), unclear(karyotype))


def unclear(karyotype: Karyotype) -> str:
    """Return why the counts of a cell cannot be used; "" if they can.

    A cell that a person has checked is used as it is, unless it has images without a class: a marker has no name here.
    """
    counts = karyotype.counts()
    if set(karyotype.labels) != set(CHROMOSOMES):
        return "its classes are not the 24 human chromosomes"
    unread = sum(bool(item.error) for item in karyotype.chromosomes)
    if unread:
        return f"{_images(unread)} could not be read"
    loose = sum(not item.assigned for item in karyotype.chromosomes)
    if loose:
        return f"{_images(loose)} unassigned"
    if not sex_of(counts):
        return "no sex chromosome found"
    return "" if checked_by(karyotype) else _of_unchecked(karyotype, counts)


def _of_unchecked(karyotype: Karyotype, counts: Mapping[str, int]) -> str:
    sets = sets_of(counts)
    changes = len(steps_of(counts, sets, sex_of(counts)))
    if changes > MAX_CHANGES:
        return f"{changes} chromosomes more or fewer than {sets} of each: incomplete, or counted wrongly"
    doubtful = len(of_class(karyotype))
    if doubtful:
        return f"the class of {doubtful} chromosome{'' if doubtful == 1 else 's'} is in doubt"
    if karyotype.warnings:
        return f"it has a warning: {karyotype.warnings[0]}"
    return ""


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"
