"""Counts to a karyotype as ISCN writes numbers: "46,XY", "47,XX,+21", "45,X", "92,XXYY", "90<4n>,XXYY,-5,-7".

It is a draft. Only whole chromosomes are counted: no structural change is seen, a missing chromosome may be a lost crop, and
one cell says nothing of a person.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTE = "A research draft made by software from the counts of one cell; not a finding, and not made by a medical device."
MOST_DEPARTURES = 16  # with more their number is given, not each of them
SEX = ("X", "Y")


def draft(counts: Mapping[str, int], images: int) -> str:
    """Return the karyotype of counts by class, and what stands beside it.

    >>> draft({**{str(n): 2 for n in range(1, 23)}, "21": 3, "X": 1, "Y": 1}, 47)
    '47,XY,+21'

    Args:
        counts: how many chromosomes each class has.
        images: how many images the cell has; those without a class are counted and named.
    """
    autosomes = {label: count for label, count in counts.items() if label not in SEX}
    placed, sets = sum(counts.values()), sets_of(counts)
    sex = "X" * counts.get("X", 0) + "Y" * counts.get("Y", 0)
    loose = f" and {images - placed} unassigned" if images > placed else ""
    if is_piece(counts):
        return f"{placed} of {2 * (len(autosomes) + 1)} chromosomes, incomplete{loose}"
    departures = [
        f"{'+' if count > sets else '-'}{label}" for label, count in autosomes.items() for _ in range(abs(count - sets))
    ]
    # ISCN names the level where it is not two and a departure is from it.
    level = f"<{sets}n>" if departures and sets != 2 else ""
    if len(departures) > MOST_DEPARTURES:
        departures = [f"{len(departures)} departures from {sets} of each"]
    unsexed = ["no X or Y"] if not sex and "X" in counts else []
    return ",".join(filter(None, [f"{placed}{level}", sex, *unsexed, *departures])) + loose


def sets_of(counts: Mapping[str, int]) -> int:
    """Return the sets whose multiple lies nearest to a cell's number, as ISCN divides: 35 to 57 are two, 58 to 80 three.

    Fewer than 35 are one set only if that is what they look like; else they are two, of which some are lost.

    Args:
        counts: how many chromosomes each class has.
    """
    one = sum(label not in SEX for label in counts) + 1
    sets = (sum(counts.values()) + one // 2) // one
    return max(sets, 1 if _is_haploid(counts) else 2)


def is_piece(counts: Mapping[str, int]) -> bool:
    """Return whether so few are there that this is not a cell's count but a part of a cell."""
    one = sum(label not in SEX for label in counts) + 1
    return sum(counts.values()) + one // 2 < 2 * one and not _is_haploid(counts)


def _is_haploid(counts: Mapping[str, int]) -> bool:
    """Return whether each autosome is there, most of them once."""
    autosomes = [count for label, count in counts.items() if label not in SEX]
    return bool(autosomes) and min(autosomes) >= 1 and 2 * autosomes.count(1) > len(autosomes)
