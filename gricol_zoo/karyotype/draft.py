"""From counts to a karyotype in ISCN's notation: "46,XY", "47,XX,+21", "45,X", "92,XXYY", "90<4n>,XXYY,-5,-7".

It is a draft. Only whole chromosomes are counted: structural changes are not seen, a missing chromosome may be a lost crop,
and a single cell allows no conclusion about a person.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTE = "A research draft made by software from the counts of one cell; not a finding, and not made by a medical device."
MAX_DEPARTURES = 16  # with more, only their number is given
SEX = ("X", "Y")


def draft(counts: Mapping[str, int], images: int) -> str:
    """Return the karyotype from counts by class, with remarks, such as on unassigned images.

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
    # ISCN states the ploidy level if it is not two and there are departures from it.
    level = f"<{sets}n>" if departures and sets != 2 else ""
    if len(departures) > MAX_DEPARTURES:
        departures = [f"{len(departures)} departures from {sets} of each"]
    unsexed = ["no X or Y"] if not sex and "X" in counts else []
    return ",".join(filter(None, [f"{placed}{level}", sex, *unsexed, *departures])) + loose


def sets_of(counts: Mapping[str, int]) -> int:
    """Return the number of sets whose multiple is nearest to a cell's count, as in ISCN: 35 to 57 are two, 58 to 80 three.

    Fewer than 35 are one set only if they look haploid; otherwise they are two sets with losses.

    Args:
        counts: how many chromosomes each class has.
    """
    one = sum(label not in SEX for label in counts) + 1
    sets = (sum(counts.values()) + one // 2) // one
    return max(sets, 1 if _is_haploid(counts) else 2)


def is_piece(counts: Mapping[str, int]) -> bool:
    """Return whether there are so few chromosomes that they are only a part of a cell."""
    one = sum(label not in SEX for label in counts) + 1
    return sum(counts.values()) + one // 2 < 2 * one and not _is_haploid(counts)


def _is_haploid(counts: Mapping[str, int]) -> bool:
    """Return whether each autosome is present, most of them once."""
    autosomes = [count for label, count in counts.items() if label not in SEX]
    return bool(autosomes) and min(autosomes) >= 1 and 2 * autosomes.count(1) > len(autosomes)
