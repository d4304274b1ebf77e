"""The state machine behind the page: actions in, a karyotype and its log out."""

import dataclasses
import json
import random

import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.karyotype.checked import broken_seals, checked_by, last_check
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.reading import to_karyotype
from gricol_zoo.karyotype.review import Check, Confirm, Move, Review, Swap, Turn, corrections, perform, redo, undo

LABELS = [*map(str, range(1, 23)), "X", "Y"]
TIME = "2026-01-31T12:00:00Z"


def chromosome(id, assigned, confidence=0.999, **more):
    return Chromosome(id, f"{id}.png", "00", {assigned or "1": 1.0}, assigned or "1", assigned, assigned, confidence, **more)


@pytest.fixture
def review():
    """Five chromosomes: no. 3 is doubtful, no. 4 unassigned, no. 5 could not be read."""
    items = [chromosome(1, "1"), chromosome(2, "2"), chromosome(3, "3", 0.6), chromosome(4, "", 0.7)]
    items.append(Chromosome(5, "5.png", "", error="not an image"))
    return Review(Karyotype("cell", items, LABELS, time=TIME))


def state(karyotype):
    return [item.drawn for item in karyotype.chromosomes]


def do(review, *actions, by="AB"):
    for action in actions:
        review = perform(review, action, by, TIME)
    return review


def test_each_action_is_one_step_and_in_the_log(review):
    after = do(review, Move(1, "5"), Swap(2, 3), Turn(1), Confirm(3))
    assert [edit.what for edit in after.karyotype.edits] == ["assigned", "assigned", "assigned", "turned", "confirmed"]
    assert {(edit.by, edit.time) for edit in after.karyotype.edits} == {("AB", TIME)}
    assert len(after.done) == 4
    assert [item.assigned for item in after.karyotype.chromosomes] == ["5", "3", "2", "", ""]
    assert after.karyotype.find(1).turned
    assert after.line == "No. 3 confirmed as 2."


def test_undo_and_redo_come_back_to_the_same_state(review):
    random.seed(0)
    for _ in range(50):
        states, now = [state(review.karyotype)], review
        for _ in range(12):
            id, other = random.sample(range(1, 5), 2)
            action = random.choice([Move(id, random.choice(["", "7", "X"])), Swap(id, other), Turn(id), Confirm(id)])
            before = len(now.done)
            now = do(now, action)
            if len(now.done) > before:
                states.append(state(now.karyotype))
        for expected in reversed(states[:-1]):
            now = undo(now)
            assert state(now.karyotype) == expected
        for expected in states[1:]:
            now = redo(now)
            assert state(now.karyotype) == expected
        assert not list(broken_seals(now.karyotype))


def test_a_new_action_forgets_what_was_undone(review):
    after = do(undo(do(review, Turn(1))), Turn(2))
    with pytest.raises(GricolZooError, match="nothing to redo"):
        redo(after)
    with pytest.raises(GricolZooError, match="nothing to undo"):
        undo(review)


def test_there_and_back_is_no_correction_but_in_the_log(review):
    after = undo(do(review, Move(1, "5"), Move(1, "1"), Turn(2), Turn(2), Swap(1, 2)))
    assert len(after.karyotype.edits) == 8
    assert corrections(after.karyotype.edits) == []
    (one,) = corrections(do(review, Move(1, "5"), Move(1, "6")).karyotype.edits)
    assert (one.before, one.after) == ("1", "6")


def test_what_changes_nothing_is_no_step(review):
    for action, line in (
        (Move(1, "1"), "No. 1 is already 1."),
        (Swap(4, 5), "No. 4 and no. 5 are both unassigned."),
    ):
        after = do(review, action)
        assert (after.line, after.done, after.karyotype) == (line, (), review.karyotype)
    assert do(review, Confirm(3), Confirm(3)).line == "No. 3 is already confirmed as 3."


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Move(1, "25"), "Expected a class"),
        (Move(9, "1"), "Expected a chromosome"),
        (Move(5, "1"), "could not be read"),
        (Turn(5), "cannot be turned"),
        (Confirm(5), "cannot be confirmed"),
        (Swap(1, 5), "could not be read"),
    ],
)
def test_what_is_not_possible_is_said(review, action, message):
    with pytest.raises(GricolZooError, match=message):
        do(review, action)


def test_a_cell_is_checked_only_when_nothing_doubtful_is_open(review):
    with pytest.raises(GricolZooError, match=r"2 chromosomes are still in doubt \(no\. 3, 4\)"):
        do(review, Check())
    ready = do(review, Confirm(3), Move(4, "3"))
    with pytest.raises(GricolZooError, match="Enter your initials"):
        do(ready, Check(), by="")
    done = do(ready, Check())
    assert checked_by(done.karyotype) == f"AB, {TIME}"
    assert do(done, Check()).line == "The cell is already checked."
    assert not checked_by(do(done, Turn(1)).karyotype)
    assert not checked_by(undo(done).karyotype)
    assert checked_by(redo(undo(done), "CD", TIME).karyotype) == f"CD, {TIME}"


def test_a_confirmed_class_that_is_left_is_in_doubt_again(review):
    after = do(review, Confirm(4))
    assert [item.id for item in after.karyotype.doubtful()] == [3]
    assert [item.id for item in do(after, Move(4, "3"), Move(4, "")).karyotype.doubtful()] == [3]  # back at the confirmed class
    assert [item.id for item in undo(after).karyotype.doubtful()] == [3, 4]


def test_a_seal_finds_any_change_and_no_later_field_breaks_it(review):
    done = do(review, Confirm(3), Confirm(4), Check(), Turn(1), Check()).karyotype
    assert not list(broken_seals(done))
    read = to_karyotype(json.loads(done.to_json()), "k.json")
    assert not list(broken_seals(read))
    changes = [
        {"time": "2026-01-31T12:00:01Z"},
        {"cell": "cel1"},
        {"chromosomes": [dataclasses.replace(done.chromosomes[0], confidence=0.9989), *done.chromosomes[1:]]},
        {"edits": [dataclasses.replace(done.edits[0], by="CD"), *done.edits[1:]]},
        {"edits": [*done.edits[:-1], dataclasses.replace(done.edits[-1], by="CD")]},
        {"edits": [*done.edits[:-1], dataclasses.replace(done.edits[-1], time="2026-01-31T12:00:01Z")]},
    ]
    for change in changes:
        assert list(broken_seals(dataclasses.replace(done, **change))), change


def test_a_seal_over_what_is_in_doubt_is_found(review):
    from gricol_zoo.karyotype.checked import seal
    from gricol_zoo.karyotype.document import CELL, Edit

    edit = Edit(TIME, "AB", CELL, "", seal(review.karyotype, "AB", TIME), "checked")
    forged = dataclasses.replace(review.karyotype, edits=[edit])
    assert last_check(forged)
    assert "2 were still in doubt" in next(broken_seals(forged))
