"""A person's review of a cell as a state machine: actions are data, and each gives a new state.

It is independent of pages and files, and the time of an action may be passed in. The log of the record (``Karyotype.edits``)
only grows: an undo is recorded as the opposite edit. ``corrections`` returns the net changes of the log, without edits that
were reversed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.checked import CHECKED, check, last_check, reopen
from gricol_zoo.karyotype.document import Edit, Karyotype

MAX_STEPS = 1000  # steps that can be undone


@dataclass(frozen=True)
class Move:
    """Give a chromosome another class, "" for none."""

    id: int
    label: str


@dataclass(frozen=True)
class Swap:
    """Exchange the classes of two chromosomes."""

    id: int
    other: int


@dataclass(frozen=True)
class Turn:
    """Turn a chromosome upside down."""

    id: int


@dataclass(frozen=True)
class Confirm:
    """Confirm a chromosome's current class."""

    id: int


@dataclass(frozen=True)
class Check:
    """Mark the whole cell as checked."""


Action = Move | Swap | Turn | Confirm | Check


@dataclass(frozen=True)
class Step:
    """An action that was done: the edits that it added to the log, and a line that describes it."""

    action: Action
    edits: tuple[Edit, ...]
    line: str


@dataclass(frozen=True)
class Review:
    """A cell under review.

    Attributes:
        karyotype: the current one.
        done: the steps that can be undone, the last one last.
        undone: the steps that can be redone, the next one last.
        line: a line that describes what the last call did.
    """

    karyotype: Karyotype
    done: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    line: str = ""


def perform(review: Review, action: Action, by: str = "", time: str = "") -> Review:
    """Return the review after an action; one that changes nothing adds no step, but ``line`` says why.

    Raises:
        GricolZooError: the action is not possible, such as an unknown class, or a check while something is in doubt.
    """
    changed, line = _apply(review.karyotype, action, by, time)
    added = tuple(changed.edits[len(review.karyotype.edits) :])
    if not added:
        return dataclasses.replace(review, line=line)
    return Review(changed, (*review.done, Step(action, added, line))[-MAX_STEPS:], (), line)


def undo(review: Review, by: str = "", time: str = "") -> Review:
    """Return the review with the last step undone.

    Raises:
        GricolZooError: there is no step to undo.
    """
    if not review.done:
        raise GricolZooError("There is nothing to undo.")
    *rest, step = review.done
    changed = review.karyotype
    for edit in reversed(step.edits):
        changed = _reverse(changed, edit, by, time)
    return Review(changed, tuple(rest), (*review.undone, step), f"Undone: {step.line}")


def redo(review: Review, by: str = "", time: str = "") -> Review:
    """Return the review with the step that was undone last redone.

    Raises:
        GricolZooError: there is no step to redo, or it is no longer possible.
    """
    if not review.undone:
        raise GricolZooError("There is nothing to redo.")
    *rest, step = review.undone
    again = perform(review, step.action, by, time)
    return dataclasses.replace(again, undone=tuple(rest), line=f"Redone: {step.line}")


def corrections(edits: Iterable[Edit]) -> list[Edit]:
    """Return a log's net changes: one edit per chromosome and field that has changed, with its last time and author."""
    net: dict[tuple[int, str], Edit] = {}
    for edit in edits:
        if edit.what == CHECKED:
            continue
        first = net.pop((edit.id, edit.what), edit)
        if first.before != edit.after:
            net[edit.id, edit.what] = dataclasses.replace(edit, before=first.before)
    return list(net.values())


def _apply(karyotype: Karyotype, action: Action, by: str, time: str) -> tuple[Karyotype, str]:
    if isinstance(action, Check):
        if last_check(karyotype):
            return karyotype, "The cell is already checked."
        return check(karyotype, by, time), f"Checked by {by}."
    item = karyotype.find(action.id)
    where = item.assigned or "unassigned"
    if isinstance(action, Move):
        if action.label == item.assigned:
            return karyotype, f"No. {item.id} is already {where}."
        return karyotype.move(
            item.id, action.label, by, time
        ), f"No. {item.id} moved: {where} to {action.label or 'unassigned'}."
    if isinstance(action, Swap):
        return _swap(karyotype, action, by, time)
    if item.error:
        verb = "turned" if isinstance(action, Turn) else "confirmed"
        raise GricolZooError(f"Chromosome {item.id} could not be read, so it cannot be {verb}.")
    if isinstance(action, Turn):
        return karyotype.turn(item.id, by, time), f"No. {item.id} turned upside down."
    if item.settled:
        return karyotype, f"No. {item.id} is already confirmed as {where}."
    return karyotype.confirm(item.id, None, by, time), f"No. {item.id} confirmed as {where}."


def _swap(karyotype: Karyotype, action: Swap, by: str, time: str) -> tuple[Karyotype, str]:
    one, other = karyotype.find(action.id), karyotype.find(action.other)
    if one.assigned == other.assigned:
        return karyotype, f"No. {one.id} and no. {other.id} are both {one.assigned or 'unassigned'}."
    changed = karyotype.move(one.id, other.assigned, by, time).move(other.id, one.assigned, by, time)
    names = " and ".join(item.assigned or "unassigned" for item in (one, other))
    return changed, f"No. {one.id} and no. {other.id} swapped: {names}."


def _reverse(karyotype: Karyotype, edit: Edit, by: str, time: str) -> Karyotype:
    if edit.what == CHECKED:
        return reopen(karyotype, by, time)
    if edit.what == "turned":
        return karyotype.turn(edit.id, by, time)
    if edit.what == "confirmed":
        return karyotype.confirm(edit.id, edit.before, by, time)
    return karyotype.move(edit.id, edit.before, by, time)
