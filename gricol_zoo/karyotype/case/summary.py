"""A case: the cells of one person, how many of them were counted, analysed and karyotyped, and the proposed karyotype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from gricol_zoo.karyotype.case.clones import USUAL, Proposal, propose
from gricol_zoo.karyotype.case.counted import counted
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Karyotype


class Failed(NamedTuple):
    """A cell without a karyotype, and why it has none."""

    cell: str
    why: str
    case: str = ""


class Totals(NamedTuple):
    """How many cells of a case were counted, analysed and karyotyped, each number being part of the one before.

    Attributes:
        cells: all cells, including those that failed.
        counted: cells whose images could all be read, so that the number of chromosomes is known.
        analysed: those of them in which every chromosome has a class, no class is in doubt and there are no warnings; or which
            a person checked.
        karyotyped: those of them whose karyogram a person checked.
    """

    cells: int
    counted: int
    analysed: int
    karyotyped: int


@dataclass(frozen=True)
class Case:
    """The cells of one person.

    Attributes:
        name: name of the case, "" if unknown.
        cells: karyotypes of its cells.
        failed: cells without a karyotype.
    """

    name: str
    cells: Sequence[Karyotype]
    failed: Sequence[Failed] = field(default=())

    @cached_property
    def proposal(self) -> Proposal:
        """The karyotype proposed from the cells."""
        return propose([counted(cell) for cell in self.cells])

    @property
    def totals(self) -> Totals:
        """How many cells were counted, analysed and karyotyped."""
        left_out = {name for name, _ in self.proposal.unclear}
        analysed = [cell for cell in self.cells if cell.cell not in left_out]
        return Totals(
            len(self.cells) + len(self.failed),
            sum(not any(item.error for item in cell.chromosomes) for cell in self.cells),
            len(analysed),
            sum(bool(checked_by(cell)) for cell in analysed),
        )

    def clone_of(self, cell: str) -> str:
        """Return the karyotype of the proposed clone that a cell is in, "" if it is in none."""
        return next((clone.text for clone in self.proposal.clones if cell in clone.cells), "")


def cases_of(cells: Iterable[Karyotype], failed: Iterable[Failed] = ()) -> list[Case]:
    """Return the cases of cells, in the order in which they occur; cells of unknown case form one case."""
    members: dict[str, tuple[list[Karyotype], list[Failed]]] = {}
    for cell in cells:
        members.setdefault(cell.case, ([], []))[0].append(cell)
    for one in failed:
        members.setdefault(one.case, ([], []))[1].append(one)
    return [Case(name, *lists) for name, lists in members.items()]


def in_a_line(case: Case) -> str:
    """Return a case's proposal in one line: the string, or why there is none, and from how many cells."""
    totals = case.totals
    what = f"proposed {case.proposal.text}" if case.proposal.text else f"nothing proposed: {case.proposal.reason}"
    return f"{what}; {totals.analysed} of {totals.cells} cell{'' if totals.cells == 1 else 's'} analysed"


def sentences(case: Case) -> list[str]:
    """Return the remarks that belong to a case's proposal, one sentence each."""
    proposal, totals, said = case.proposal, case.totals, []
    if totals.analysed < USUAL:
        few = "1 analysed cell" if totals.analysed == 1 else f"{totals.analysed} analysed cells"
        said.append(f"It rests on {few}; routine cases have about {USUAL}.")
    for clone in proposal.clones:
        if clone.beyond:
            said.append(
                f"In {clone.text} single cells have further changes, in too few cells for a clone: {', '.join(clone.beyond)}."
            )
    if proposal.alone:
        cells = ", ".join(f"{name} ({text})" for name, text in proposal.alone)
        said.append(f"In no clone, and not counted in the string: {cells}. A single loss may be a lost crop.")
    if proposal.unclear:
        cells = ", ".join(name for name, _ in proposal.unclear)
        said.append(f"Left out of the proposal: {cells}.")
    if case.failed:
        said.append(f"Not read: {'; '.join(f'{one.cell}: {one.why}' for one in case.failed)}.")
    if any(clone.text.split(",")[:2] == ["45", "X"] for clone in proposal.clones):
        said.append("45,X is how a constitutional loss is written; an acquired one is 45,X,-X or 45,X,-Y.")
    return said
