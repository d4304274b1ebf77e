"""Counts to a karyotype as ISCN writes numbers: "46,XY", "47,XX,+21", "45,X", "92,XXYY".

It is a draft. Only whole chromosomes are counted: no structural change is seen, a missing chromosome may be a lost crop, and
one cell says nothing of a person.
"""

from __future__ import annotations

from collections.abc import Mapping

NOTE = "A research draft made by software from the counts of one cell; not a finding, and not made by a medical device."
MOST_DEPARTURES = 6  # with more, the cell is incomplete or misassigned, and listing the departures is not informative


def draft(counts: Mapping[str, int], images: int) -> str:
    """Return the karyotype of counts by class, and what stands beside it.

    >>> draft({**{str(n): 2 for n in range(1, 23)}, "21": 3, "X": 1, "Y": 1}, 47)
    '47,XY,+21'

    Args:
        counts: how many chromosomes each class has.
        images: how many images the cell has; those without a class are counted and named.
    """
    autosomes = {label: count for label, count in counts.items() if label not in ("X", "Y")}
    placed = sum(counts.values())
    # The number of sets: of the autosomes alone, so that X and Y don't weigh in.
    sets = max(2, round(sum(autosomes.values()) / len(autosomes))) if autosomes else 2
    sex = "X" * counts.get("X", 0) + "Y" * counts.get("Y", 0)
    departures = [
        f"{'+' if count > sets else '-'}{label}" for label, count in autosomes.items() for _ in range(abs(count - sets))
    ]
    loose = f" and {images - placed} unassigned" if images > placed else ""
    if len(departures) > MOST_DEPARTURES or (not sex and "X" in counts):
        expected = sets * (len(autosomes) + 1)
        if placed < expected:
            return f"{placed} of {expected} chromosomes, incomplete{loose}"
        return f"{placed} chromosomes, implausible counts{loose}"
    return ",".join(filter(None, [str(placed), sex, *departures])) + loose
