from types import SimpleNamespace

import pytest

from benchmarks.released.false_warnings import Cell, is_false, row_of


def cell(warnings: list[str], wrong: set[int] = frozenset()) -> Cell:
    chromosomes = [SimpleNamespace(id=number, warnings=[]) for number in range(1, 47)]
    return Cell(SimpleNamespace(warnings=warnings, chromosomes=chromosomes, scale=1.0, cell="c"), frozenset(wrong))


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
