import pytest
from helpers.cases import FEMALE, counts

from benchmarks.released.case_statements import summary_of, verdict, words
from gricol_zoo.karyotype.case.clones import propose
from gricol_zoo.karyotype.case.counted import Counted

T21 = counts(c21=3)


def proposed(*cells):
    return propose([Counted(str(place), numbers, why) for place, (numbers, why) in enumerate(cells)])


SHOULD = proposed((T21, ""), (T21, ""), (FEMALE, ""))


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ([(T21, ""), (T21, ""), (FEMALE, "")], "same"),
        ([(T21, ""), (T21, ""), (FEMALE, "in doubt")], "fewer"),
        ([(T21, ""), (T21, "in doubt"), (FEMALE, "in doubt")], "silent"),
        ([(T21, ""), (FEMALE, ""), (FEMALE, "")], "fewer"),
        ([(counts(c22=3), ""), (T21, ""), (FEMALE, "")], "wrong"),
    ],
)
def test_a_statement_is_compared_with_what_should_be_said(said, how):
    assert verdict(SHOULD, proposed(*said)) == how


def test_words_name_the_cells_in_no_clone():
    assert words(proposed((T21, ""), (FEMALE, ""))) == "46,XX[1]; in no clone: 47,XX,+21"
    assert words(proposed((T21, ""))) == "none; in no clone: 47,XX,+21"


def test_the_summary_counts_cells():
    rows = [
        {"right": 1, "unclear": "", "verdict": "same"},
        {"right": 0, "unclear": "", "verdict": "wrong"},
        {"right": 1, "unclear": "in doubt", "verdict": "silent"},
    ]
    assert summary_of(rows, "all") == {
        "part": "all",
        "cells": 3,
        "drafts_right": 2,
        "clear": 2,
        "clear_right": 1,
        "same": 1,
        "silent": 1,
        "fewer": 0,
        "wrong": 1,
    }
