"""Whole chromosomes as ISCN 2024 writes them: the number, the sex chromosomes, then the autosomes in their order.

Only numbers of whole chromosomes are written: ``47,XXY``, ``46,XX,-5,+21``. Sex chromosomes are written out, as in ISCN for
constitutional karyotypes (``45,X``); an acquired loss would be ``45,X,-Y``, which a count cannot distinguish from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gricol_zoo.karyotype.draft import sets_of
from gricol_zoo.spec import CHROMOSOMES

AUTOSOMES = tuple(label for label in CHROMOSOMES if label not in ("X", "Y"))
Step = tuple[str, int]
"""One chromosome more or fewer than expected: ("21", 2) is the second extra 21, ("7", -1) the first 7 that is lost."""


def sex_of(counts: Mapping[str, int]) -> str:
    """Return the sex chromosomes of a cell, such as "XXY"; "" if it has none."""
    return "X" * counts.get("X", 0) + "Y" * counts.get("Y", 0)


def steps_of(counts: Mapping[str, int], sets: int, sex: str) -> frozenset[Step]:
    """Return the departures of a cell from ``sets`` sets and these sex chromosomes.

    >>> sorted(steps_of(dict.fromkeys(AUTOSOMES, 2) | {"8": 4, "X": 1}, 2, "XX"))
    [('8', 1), ('8', 2), ('X', -1)]
    """
    steps = set()
    for label in CHROMOSOMES:
        more = counts.get(label, 0) - (sex.count(label) if label in ("X", "Y") else sets)
        steps |= {(label, number if more > 0 else -number) for number in range(1, abs(more) + 1)}
    return frozenset(steps)


def complement(sets: int, sex: str, steps: Collection[Step] = ()) -> str:
    """Return the karyotype with ``sets`` sets, these sex chromosomes, and these departures from them.

    >>> complement(2, "XX", [("21", 1), ("5", -1)]), complement(2, "XX", [("X", -1)]), complement(4, "XXYY")
    ('46,XX,-5,+21', '45,X', '92,XXYY')
    """
    change = {label: sum(1 if number > 0 else -1 for one, number in steps if one == label) for label in CHROMOSOMES}
    letters = "".join(letter * (sex.count(letter) + change[letter]) for letter in ("X", "Y"))
    autosomes = [f"{'+' if change[label] > 0 else '-'}{label}" for label in AUTOSOMES for _ in range(abs(change[label]))]
    number = sets * len(AUTOSOMES) + len(sex) + sum(change.values())
    level = f"<{sets}n>" if autosomes and sets != 2 else ""  # ISCN states the ploidy level that departures refer to
    return ",".join(filter(None, [f"{number}{level}", letters, *autosomes]))


def written(counts: Mapping[str, int]) -> str:
    """Return the karyotype of one cell.

    >>> written(dict.fromkeys(AUTOSOMES, 2) | {"21": 3, "X": 1, "Y": 1})
    '47,XY,+21'
    """
    sets, sex = sets_of(counts), sex_of(counts)
    return complement(sets, sex, steps_of(counts, sets, sex))


def mosaic(clones: Sequence[tuple[str, int]]) -> str:
    """Return clones, each with its number of cells, as one string, in their order.

    >>> mosaic([("47,XX,+21", 12), ("46,XX", 8)]), mosaic([("46,XY", 20)])
    ('mos 47,XX,+21[12]/46,XX[8]', '46,XY[20]')
    """
    joined = "/".join(f"{text}[{cells}]" for text, cells in clones)
    return f"mos {joined}" if len(clones) > 1 else joined
