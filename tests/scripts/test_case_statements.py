"""What a report says of cells with 45 or 47 chromosomes: how statements are compared, described and counted."""

import pytest
from helpers.cases import FEMALE, counts, made_up

from benchmarks.released.case_statements import odd_cases, rows_of, summary_of, verdict, words
from gricol_zoo.data.table import ImageSet, Record
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
        ([(T21, ""), (FEMALE, ""), (FEMALE, "")], "wrong"),
        ([(counts(c22=3), ""), (T21, ""), (FEMALE, "")], "wrong"),
    ],
)
def test_a_statement_is_compared_with_what_should_be_said(said, how):
    assert verdict(SHOULD, proposed(*said)) == how


def test_words_name_the_cells_in_no_clone():
    assert words(proposed((T21, ""), (FEMALE, ""))) == "46,XX[1]; in no clone: 47,XX,+21"
    assert words(proposed((T21, ""))) == "none; in no clone: 47,XX,+21"


def test_cells_are_compared_with_their_labels(monkeypatch):
    """One of two cells of a case is counted as labelled; in the other, a chromosome is lost."""
    labels = [label for label, number in T21.items() for _ in range(number)]
    cells = {
        name: ImageSet(name, [Record(f"{name}/{place}.png", label, name, "p1") for place, label in enumerate(labels)], None)
        for name in ("a", "b")
    }
    found = {"a": made_up("a", T21), "b": made_up("b", counts(c21=3, c7=1), doubtful=("4",))}
    monkeypatch.setattr("benchmarks.released.case_statements.karyotype", lambda model, images, cell: found[cell])
    first, second = rows_of(None, cells, {("p1", "a"): "train", ("p1", "b"): "test"})
    assert (first["labelled"], first["draft"], first["right"], first["part"]) == ("47,XX,+21", "47,XX,+21", 1, "train")
    assert (second["draft"], second["right"]) == ("46,XX,-7,+21", 0)
    assert second["unclear"] == "the class of 1 chromosome is in doubt"
    assert (first["should"], first["said"]) == ("47,XX,+21[2]", "none; in no clone: 47,XX,+21")
    assert first["verdict"] == "silent"
    assert odd_cases(ImageSet("all", [one for cell in cells.values() for one in cell.records], None)).keys() == {"p1"}


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
