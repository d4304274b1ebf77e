"""When a warning counts as false, and the rows of the table of false warnings."""

from types import SimpleNamespace

import pytest

from benchmarks.released.false_warnings import Cell, is_false, row_of


def cell(warnings: list[str], wrong: set[int] = frozenset(), scale: float = 1.0, unscaled: float = 1.0) -> Cell:
    chromosomes = [SimpleNamespace(id=number, warnings=[]) for number in range(1, 47)]
    karyotype = SimpleNamespace(warnings=warnings, chromosomes=chromosomes, scale=scale, cell="c")
    return Cell(karyotype, frozenset(wrong), 1 - len(wrong) / 46, unscaled)


PAIR = "no. 33: has 50% of the size of its homologue (no. 19): half a chromosome, or another class?"
UNLIKE = "not like the training images (28% of the chromosomes are doubtful): another stain"


@pytest.mark.parametrize(
    ("warnings", "wrong", "false"),
    [
        ([], set(), False),
        ([PAIR], set(), True),
        ([PAIR], {33}, False),
        ([PAIR], {19}, False),  # the other of the pair had the wrong class
        ([PAIR], {3, 1}, True),  # numbers of others
        ([UNLIKE], {1, 2}, True),  # 4 points below a mean of 100 %
        ([UNLIKE], {1, 2, 3, 4, 5, 6}, False),
        ([UNLIKE, PAIR], {19}, False),
    ],
)
def test_false_is_what_nothing_is_true_of(warnings: list[str], wrong: set[int], false: bool) -> None:
    assert is_false(cell(warnings, wrong), mean=1.0) is false


def test_a_row_counts_all_warnings_and_the_false_ones() -> None:
    row = row_of("set", "weights", [cell([]), cell([PAIR]), cell([PAIR], {19})])
    assert (row["cells"], row["warned"], row["false"], row["images"]) == (3, 2, 1, 138)
    assert (row["scaled"], row["with_scale"]) == (0, "")
    assert row["said"].splitlines() == [f"- c (100.0 % assigned right): {PAIR}", f"- c (97.8 % assigned right): {PAIR}"]


def test_a_row_says_what_rescaling_is_worth() -> None:
    row = row_of("set", "weights", [cell([], {1}), cell([], scale=0.5, unscaled=0.5), cell([], {1}, scale=2, unscaled=1)])
    assert row["scaled"] == 2
    assert row["with_scale"] == pytest.approx(100 * (1 - 1 / 92))
    assert row["without_scale"] == pytest.approx(75)
