"""Counts as ISCN writes them, and doubts about a count as distinct from doubts about a class."""

import pytest

from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.doubts import odd_counts, of_class, of_count, say_counts
from gricol_zoo.karyotype.draft import MAX_DEPARTURES, draft, sets_of
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.shapes import Text
from gricol_zoo.spec import CHROMOSOMES

NORMAL = {**{str(number): 2 for number in range(1, 23)}, "X": 1, "Y": 1}


def counts_of(sets=2, sex="XY", gains="", losses=""):
    found = dict.fromkeys(CHROMOSOMES, sets) | {label: sex.count(label) for label in "XY"}
    for label in gains.split():
        found[label] += 1
    for label in losses.split():
        found[label] -= 1
    return found


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        # Hyperdiploid, as in leukaemia; hypodiploid; near-haploid; triploid and tetraploid, and close to them.
        (counts_of(2, "XXY", "4 6 10 14 17 18 21 21"), "55,XXY,+4,+6,+10,+14,+17,+18,+21,+21"),
        (counts_of(2, "X", losses="3 4 7 15 16 17"), "39,X,-3,-4,-7,-15,-16,-17"),
        (counts_of(1, "X", "14 18 21"), "26<1n>,X,+14,+18,+21"),
        (counts_of(3, "XXY"), "69,XXY"),
        (counts_of(3, "XXX", losses="1 2 3"), "66<3n>,XXX,-1,-2,-3"),
        (counts_of(4, "XXYY"), "92,XXYY"),
        (counts_of(4, "XXXX", losses="5 7"), "90<4n>,XXXX,-5,-7"),
        (counts_of(2, ""), "44,no X or Y"),
        (counts_of(2, "XX", " ".join(map(str, range(1, 12)))), "57,XX,+1,+2,+3,+4,+5,+6,+7,+8,+9,+10,+11"),
    ],
)
def test_the_count_is_given(counts, text):
    assert draft(counts, sum(counts.values())) == text


def test_levels_are_those_of_iscn():
    for placed, sets in ((35, 2), (46, 2), (57, 2), (58, 3), (69, 3), (80, 3), (81, 4), (92, 4), (103, 4), (104, 5)):
        counts = dict.fromkeys(CHROMOSOMES, 0) | {"1": placed}
        assert sets_of(counts) == sets


def test_many_departures_are_counted():
    counts = dict.fromkeys(CHROMOSOMES, 0) | {"1": 44, "X": 2}
    assert draft(counts, 46) == "46,XX,84 departures from 2 of each"
    assert MAX_DEPARTURES < 84


def test_a_part_of_a_cell_is_not_a_count():
    counts = dict.fromkeys(CHROMOSOMES, 0) | {"1": 2, "X": 1}
    assert draft(counts, 3) == "3 of 46 chromosomes, incomplete"


def cell(counts, doubtful=()):
    """A karyotype of these counts; ``doubtful`` names the doubtful classes, each with its probability."""
    doubtful = dict(doubtful)
    items = []
    for label, count in counts.items():
        for _ in range(count):
            alone = doubtful.get(label, 0.99)
            other = "1" if label != "1" else "2"
            predicted = label if alone > 0.5 else other
            confidence = 0.6 if label in doubtful else 0.999
            probabilities = {label: alone, other: 1 - alone}
            items.append(
                Chromosome(len(items) + 1, f"{len(items)}.png", "", probabilities, predicted, label, label, confidence)
            )
    return Karyotype("c", items, CHROMOSOMES)


def test_three_of_a_class_are_a_doubt_of_the_count():
    found = cell(counts_of(gains="21"), {"21": 0.98})
    assert odd_counts(found) == {"21": 3}
    assert say_counts(found) == "three 21: confirm the count"
    assert of_class(found) == []
    assert [of_count(item, odd_counts(found)) for item in found.doubtful()] == [True] * 3


def test_what_is_not_clear_by_itself_is_a_doubt_of_the_class():
    found = cell(counts_of(gains="21"), {"21": 0.6})
    assert len(of_class(found)) == 3
    found = cell(counts_of(), {"7": 0.98})  # two of them: the count is no reason
    assert (len(of_class(found)), say_counts(found)) == (2, "")


def test_counts_in_words():
    assert say_counts(cell(counts_of(sex="X"))) == "one X, no Y: confirm the counts"
    assert say_counts(cell(counts_of(sex="XX"))) == ""
    assert say_counts(cell(counts_of(4, "XXYY"))) == ""
    assert say_counts(cell(counts_of(losses="7", gains="8"))) == "one 7, three 8: confirm the counts"
    assert say_counts(cell({"1": 2, "X": 1})) == ""  # a part of a cell


def test_the_sheet_tells_them_apart():
    found = cell(counts_of(gains="21"), {"21": 0.98, "9": 0.6})
    words = [shape.words for shape in lay_out(found, {}).shapes if isinstance(shape, Text)]
    numbers = [str(item.id) for item in found.chromosomes if item.assigned == "21"]
    assert f"three 21: confirm the count (no. {', '.join(numbers)} are marked for it alone)" in words
    assert "21 (3)" in words
    assert sum(line.startswith("no. ") and "on its own" in line for line in words) == 2
