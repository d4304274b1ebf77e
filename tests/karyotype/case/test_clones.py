"""What is proposed for made-up cases, against what a person who counts them should say by ISCN's rule."""

import dataclasses

import pytest
from helpers.cases import FEMALE, MALE, counts, made_up

from gricol_zoo.karyotype.case import clones, counted
from gricol_zoo.karyotype.case.clones import propose, usual_sex
from gricol_zoo.karyotype.case.counted import Counted
from gricol_zoo.karyotype.case.iscn import complement, mosaic, sets_of, steps_of, written
from gricol_zoo.karyotype.case.summary import Case, Failed, cases_of, in_a_line, sentences
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Edit


def case_of(*groups, **more):
    """A case made of groups (number of cells, their counts); the cells are named c1, c2, ..."""
    cells = [numbers for many, numbers in groups for _ in range(many)]
    return Case("p1", [made_up(f"c{place}", numbers, **more) for place, numbers in enumerate(cells, 1)])


T21, T8 = counts(c21=3), counts(c8=3)
TURNER, KLINEFELTER = counts(cX=1), counts(MALE, cX=2)

# What the cells are, and what should be said of the case.
SAID = {
    "normal female": ([(20, FEMALE)], "46,XX[20]"),
    "normal male": ([(20, MALE)], "46,XY[20]"),
    "trisomy 21": ([(20, T21)], "47,XX,+21[20]"),
    "mosaic of 46 and 47": ([(8, FEMALE), (12, T21)], "mos 47,XX,+21[12]/46,XX[8]"),
    "the normal clone is last however large": ([(18, FEMALE), (2, T21)], "mos 47,XX,+21[2]/46,XX[18]"),
    "Turner": ([(20, TURNER)], "45,X[20]"),
    "mosaic of 45,X and 46,XX": ([(6, TURNER), (14, FEMALE)], "mos 45,X[6]/46,XX[14]"),
    "mosaic of 45,X and 46,XY": ([(15, TURNER), (5, MALE)], "mos 45,X[15]/46,XY[5]"),
    "mosaic of 45,X, 47,XXX and 46,XX": ([(5, TURNER), (9, counts(cX=3)), (6, FEMALE)], "mos 47,XXX[9]/45,X[5]/46,XX[6]"),
    "Klinefelter": ([(20, KLINEFELTER)], "47,XXY[20]"),
    "Klinefelter mosaic": ([(17, KLINEFELTER), (3, MALE)], "mos 47,XXY[17]/46,XY[3]"),
    "47,XYY": ([(20, counts(MALE, cY=2))], "47,XYY[20]"),
    "two gains of one chromosome": ([(20, counts(c8=4))], "48,XX,+8,+8[20]"),
    "two changes, and one of them alone": ([(4, counts(c8=3, c21=3)), (16, T21)], "mos 47,XX,+21[16]/48,XX,+8,+21[4]"),
    "a cell that has a clone's change and more": ([(5, T21), (1, T8), (1, counts(c8=3, c21=3))], "47,XX,+21[6]"),
    "sex first, then autosomes in order": ([(20, counts(MALE, cX=2, c21=3, c5=1))], "47,XXY,-5,+21[20]"),
    "a lost crop in one cell": ([(19, FEMALE), (1, counts(c7=1))], "46,XX[19]"),
    "a lost crop in a cell of a clone": ([(19, T21), (1, counts(c21=3, c7=1))], "47,XX,+21[20]"),
    "random losses": ([(17, FEMALE), *[(1, counts(**{f"c{n}": 1})) for n in (3, 11, 19)]], "46,XX[17]"),
    "a random loss in each cell of a clone": ([(1, counts(c21=3, **{f"c{n}": 1})) for n in (3, 11, 19)], "47,XX,+21[3]"),
    "the same loss in two cells": ([(18, FEMALE), (2, counts(c7=1))], "46,XX[18]"),
    "the same loss in three cells": ([(17, FEMALE), (3, counts(c7=1))], "mos 45,XX,-7[3]/46,XX[17]"),
    "a gain in one cell": ([(19, FEMALE), (1, T8)], "46,XX[19]"),
    "the same gain in two cells": ([(18, FEMALE), (2, T8)], "mos 47,XX,+8[2]/46,XX[18]"),
    "X lost in two cells": ([(18, FEMALE), (2, TURNER)], "46,XX[18]"),
    "Y lost in three cells": ([(17, MALE), (3, TURNER)], "mos 45,X[3]/46,XY[17]"),
    "one tetraploid cell": ([(19, MALE), (1, {label: 2 * n for label, n in MALE.items()})], "46,XY[19]"),
    "tetraploid cells": ([(17, MALE), (3, {label: 2 * n for label, n in MALE.items()})], "mos 92,XXYY[3]/46,XY[17]"),
    "triploid": ([(20, {**dict.fromkeys(FEMALE, 3), "X": 2, "Y": 1})], "69,XXY[20]"),
    "one cell of the other sex": ([(19, FEMALE), (1, MALE)], "46,XX[19]"),
    "two sexes": ([(10, FEMALE), (10, MALE)], ""),
    "one cell with a gain": ([(1, T21)], ""),
    "one normal cell": ([(1, FEMALE)], "46,XX[1]"),
    "only cells that each lack another": ([(1, counts(**{f"c{n}": 1})) for n in (3, 11, 19)], ""),
    "no cell": ([], ""),
}


@pytest.mark.parametrize(("groups", "said"), SAID.values(), ids=SAID)
def test_a_case_says_what_should_be_said(groups, said):
    case = case_of(*groups)
    proposal = case.proposal
    assert proposal.text == said
    assert bool(proposal.reason) == (not said)
    inside = [name for clone in proposal.clones for name in clone.cells]
    assert sorted([*inside, *(name for name, _ in proposal.alone)]) == sorted(cell.cell for cell in case.cells)


def test_what_makes_no_clone_is_named():
    said = " ".join(sentences(case_of((19, FEMALE), (1, counts(c7=1)))))
    assert "In no clone, and not counted in the string: c20 (45,XX,-7). A single loss may be a lost crop." in said
    said = " ".join(sentences(case_of((19, T21), (1, counts(c21=3, c7=1)))))
    assert "In 47,XX,+21 single cells have further changes, in too few cells for a clone: c20 (46,XX,-7,+21)." in said
    assert "45,X is how a constitutional loss is written" in " ".join(sentences(case_of((6, TURNER), (14, FEMALE))))
    assert "45,X is" not in " ".join(sentences(case_of((3, counts(c7=1)))))
    assert "It rests on 1 analysed cell; routine cases have about 20." in sentences(case_of((1, FEMALE)))
    assert case_of((10, FEMALE), (10, MALE)).proposal.reason.startswith("there are cells of both sexes")


UNCLEAR = {
    "chromosomes in doubt": ({"doubtful": ("4", "5")}, "the class of 2 chromosomes is in doubt"),
    "a chromosome in doubt": ({"doubtful": ("4",)}, "the class of 1 chromosome is in doubt"),
    "unassigned": ({"loose": 1}, "1 image unassigned"),
    "unreadable": ({"unread": 2}, "2 images could not be read"),
    "warned of": ({"warnings": ["blurred", "small"]}, "it has a warning: blurred"),
    "incomplete": ({"numbers": {**FEMALE, **dict.fromkeys(map(str, range(1, 9)), 1)}}, "8 chromosomes more or fewer than 2"),
    "no sex": ({"numbers": counts(cX=0)}, "no sex chromosome found"),
}


@pytest.mark.parametrize(("what", "why"), UNCLEAR.values(), ids=UNCLEAR)
def test_an_unclear_cell_is_left_out_and_named(what, why):
    odd = made_up("odd", **{"numbers": T21, **what})
    case = Case("p1", [*case_of((2, FEMALE)).cells, odd])
    assert case.proposal.text == "46,XX[2]"
    ((name, reason),) = case.proposal.unclear
    assert (name, reason[: len(why)]) == ("odd", why)
    assert "Left out of the proposal: odd." in sentences(case)


def test_a_third_copy_that_is_clear_by_itself_is_no_doubt_of_a_class():
    cells = [made_up(f"c{place}", T21, doubtful=("21", "21", "21")) for place in range(2)]
    assert [len(cell.doubtful()) for cell in cells] == [3, 3]
    assert Case("p1", cells).proposal.text == "47,XX,+21[2]"
    vague = dataclasses.replace(cells[0].chromosomes[-3], confidence=0.5, probabilities={"21": 0.6, "22": 0.4})
    unsure = [vague if item.assigned == "21" else item for item in cells[0].chromosomes]
    assert counted.unclear(dataclasses.replace(cells[0], chromosomes=unsure))


def test_a_check_is_the_last_entry_of_the_log():
    cell = made_up("a", doubtful=("4",), warnings=["blurred"])
    checked = dataclasses.replace(cell, edits=[Edit("2026-01-31T12:00:00Z", "AB", 0, "", "seal", "checked")])
    assert checked_by(checked) == "AB, 2026-01-31T12:00:00Z"
    assert Case("p1", [checked]).totals == (1, 1, 1, 1)
    assert Case("p1", [checked]).proposal.text == "46,XX[1]"
    assert checked_by(checked.turn(3)) == checked_by(cell) == ""
    reopened = dataclasses.replace(cell, edits=[*checked.edits, Edit("", "AB", 0, "seal", "", "checked")])
    assert checked_by(reopened) == ""


def test_where_most_cells_are_in_doubt_there_is_no_string():
    case = Case("p1", [made_up("a"), made_up("b", doubtful=("4",)), made_up("c", doubtful=("4",))])
    assert case.proposal.text == ""
    assert in_a_line(case) == "nothing proposed: only 1 of 3 cells is clear; check the others first; 1 of 3 cells analysed"
    assert case.clone_of("a") == "46,XX"


def test_other_classes_than_the_24_are_no_karyotype():
    cell = dataclasses.replace(made_up("a"), labels=["large", "small"])
    assert cell.cell == "a"
    assert counted.unclear(dataclasses.replace(cell, chromosomes=[])) == "its classes are not the 24 human chromosomes"


def test_totals_are_each_within_the_one_before():
    cells = [made_up("a"), made_up("b", doubtful=("4",)), made_up("c", unread=1)]
    assert Case("p1", cells).totals == (3, 2, 1, 0)
    assert Case("p1", cells, [Failed("d", "no image")]).totals.cells == 4


def test_cells_make_cases_in_their_order():
    cases = cases_of([made_up("a", case="2"), made_up("b", case="1"), made_up("c", case="2")])
    assert [(case.name, [cell.cell for cell in case.cells]) for case in cases] == [("2", ["a", "c"]), ("1", ["b"])]


def test_the_usual_sex_is_that_of_most_cells():
    def usual(*cells, sets=2):
        return usual_sex([Counted("", numbers) for numbers in cells], sets)

    assert usual(FEMALE, FEMALE, MALE) == "XX"
    assert usual(TURNER, TURNER, MALE) == "XY"
    assert usual(TURNER) == "XX"
    assert usual(KLINEFELTER) == "XY"
    assert usual({**FEMALE, "X": 3}) == "XX"


def test_counts_are_written_as_iscn_has_it():
    assert written(counts(MALE, cX=2, c21=3, c5=1)) == "47,XXY,-5,+21"
    assert written(TURNER) == "45,X"
    assert complement(3, "XXY") == "69,XXY"
    assert complement(4, "XXYY", [("5", -1)]) == "91<4n>,XXYY,-5"
    assert mosaic([]) == ""
    assert sets_of(dict.fromkeys(FEMALE, 4)) == 4
    assert steps_of(FEMALE, 2, "XY") == {("X", 1), ("Y", -1)}


def test_every_string_counts_its_chromosomes():
    """The number in front is the sum of the letters and the autosomes, over cells drawn at random."""
    import random

    random.seed(0)
    for _ in range(200):
        numbers = {label: max(0, count + random.choice((-1, 0, 0, 0, 0, 1))) for label, count in MALE.items()}
        assert int(written(numbers).split(",")[0]) == sum(numbers.values())


def test_the_rule_is_iscns():
    assert (clones.GAIN, clones.LOSS) == (2, 3)
    assert propose([]).reason == "there is no cell"
