"""The clones proposed from the cells of a case, by ISCN's rule.

A clone is a population of cells with the same abnormality: a gain or a structural change in at least two cells, or a loss in
at least three, because chromosomes are lost when a slide is made. Only whole chromosomes are counted here, so structural
changes are not covered. The largest clone comes first and the normal one last.

An abnormal clone takes every cell that has its changes. Further changes of such a cell, in too few cells for a clone, are
listed but are not part of the string. The normal clone takes only cells in which no chromosome is missing and none is extra: a
cell of 45 is never written as one of 46.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gricol_zoo.karyotype.case.counted import Counted
from gricol_zoo.karyotype.case.iscn import Step, complement, mosaic, sex_of, steps_of, written
from gricol_zoo.karyotype.draft import sets_of

GAIN, LOSS = 2, 3
"""Number of cells in which a gain, or a loss, must be seen to define a clone."""

CLEAR = 0.5  # fraction of clear cells of a case, below which they may not be a fair sample of it
USUAL = 20  # cells that a routine case counts
NORMAL = ("46,XX", "46,XY")


@dataclass(frozen=True)
class Clone:
    """Cells with the same changes.

    Attributes:
        text: its karyotype, without the number of cells.
        cells: their names.
        beyond: cells with further changes, "c5 (46,XX,-3,+21)".
    """

    text: str
    cells: Sequence[str]
    beyond: Sequence[str] = ()


@dataclass(frozen=True)
class Proposal:
    """The karyotype proposed from the cells of a case, for a person to judge.

    Attributes:
        text: the string, such as "mos 47,XX,+21[12]/46,XX[8]"; "" if none can be proposed.
        clones: the largest first, the normal one last.
        reason: why there is no string, "" if there is one.
        alone: cells that are in no clone: their names and karyotypes.
        unclear: cells that were left out: their names and why.
    """

    text: str
    clones: Sequence[Clone] = ()
    reason: str = ""
    alone: Sequence[tuple[str, str]] = ()
    unclear: Sequence[tuple[str, str]] = ()


def propose(cells: Sequence[Counted]) -> Proposal:
    """Return the proposal from the cells of one case."""
    used = [cell for cell in cells if not cell.unclear]
    unclear = [(cell.cell, cell.unclear) for cell in cells if cell.unclear]
    clones: list[Clone] = []
    alone: list[tuple[str, str]] = []
    by_sets: dict[int, list[Counted]] = defaultdict(list)
    for cell in used:
        by_sets[sets_of(cell.counts)].append(cell)
    for sets, members in sorted(by_sets.items()):
        found, rest = _clones(members, sets)
        clones += found
        alone += rest
    clones.sort(key=lambda clone: (clone.text in NORMAL, -len(clone.cells), clone.text))
    reason = _why_not(cells, used, clones)
    text = "" if reason else mosaic([(clone.text, len(clone.cells)) for clone in clones])
    return Proposal(text, clones, reason, alone, unclear)


def _why_not(cells: Sequence[Counted], used: Sequence[Counted], clones: Sequence[Clone]) -> str:
    if not cells:
        return "there is no cell"
    if len(used) < CLEAR * len(cells):
        return f"only {len(used)} of {len(cells)} cells {'is' if len(used) == 1 else 'are'} clear; check the others first"
    if not clones:
        return f"no change is seen in enough cells for a clone (a gain in {GAIN}, a loss in {LOSS}), and no cell is normal"
    if set(NORMAL) <= {clone.text for clone in clones}:
        return "there are cells of both sexes: mixed up, wrongly counted, or a chimera"
    return ""


def _clones(cells: Sequence[Counted], sets: int) -> tuple[list[Clone], list[tuple[str, str]]]:
    """Return the clones of cells with the same number of sets, and the cells that are in none."""
    sex = usual_sex(cells, sets)
    steps = [steps_of(cell.counts, sets, sex) for cell in cells]
    seen = Counter(step for one in steps for step in one)
    shared = {step for step, number in seen.items() if number >= (GAIN if step[1] > 0 else LOSS)}
    groups: dict[frozenset[Step], list[Counted]] = defaultdict(list)
    for cell, own in zip(cells, steps, strict=True):
        groups[own & shared].append(cell)
    clones: dict[frozenset[Step], list[Counted]] = {}
    left: list[tuple[frozenset[Step], Counted]] = []
    for changes, members in groups.items():
        text = complement(sets, sex, changes)
        inside = [cell for cell in members if written(cell.counts) == text] if text in NORMAL else members
        if len(inside) >= (1 if text in NORMAL else GAIN):
            clones[changes] = inside
        left += [(changes, cell) for cell in members if cell not in clones.get(changes, ())]
    alone = []
    for changes, cell in left:
        # A cell with a clone's changes and more belongs to that clone; of several, to the one that explains most changes.
        fits = [one for one in clones if one < changes and complement(sets, sex, one) not in NORMAL]
        if fits:
            clones[max(fits, key=len)].append(cell)
        else:
            alone.append((cell.cell, written(cell.counts)))
    return [_clone(complement(sets, sex, changes), members) for changes, members in clones.items()], alone


def _clone(text: str, members: Sequence[Counted]) -> Clone:
    told = [(cell.cell, written(cell.counts)) for cell in members]
    return Clone(text, [name for name, _ in told], [f"{name} ({own})" for name, own in told if own != text])


def usual_sex(cells: Sequence[Counted], sets: int) -> str:
    """Return the sex chromosomes that changes are counted from: the most frequent among cells with one per set.

    If no cell has that many, Y counts as usual if half of the cells have one.
    """
    found = Counter(sex for cell in cells if len(sex := sex_of(cell.counts)) == sets and "X" in sex)
    if found:
        return max(found, key=lambda sex: (found[sex], sex))
    with_y = sum("Y" in sex_of(cell.counts) for cell in cells)
    return "X" * (sets - 1) + "Y" if 2 * with_y >= len(cells) else "X" * sets
