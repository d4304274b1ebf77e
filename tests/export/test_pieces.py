"""A graph measures the same as SciPy and numpy: the pieces of a mask, and percentiles."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from gricol_zoo.data.find import extremes as python_extremes
from gricol_zoo.data.images import percentile as python_percentile
from gricol_zoo.export.measure import extremes, percentile, percentile_99
from gricol_zoo.export.pieces import label


def spiral(side):
    """A spiral line, one pixel wide, that winds outwards from the middle at a distance of three pixels."""
    mask, y, x, length = np.zeros((side, side), bool), side // 2, side // 2, 3
    mask[y, x] = True
    turn = 0
    while True:
        down, across = ((0, 1), (1, 0), (0, -1), (-1, 0))[turn % 4]
        for _ in range(length):
            y, x = y + down, x + across
            if not (0 <= y < side and 0 <= x < side):
                return mask
            mask[y, x] = True
        length, turn = length + 3 * (turn % 2), turn + 1


def comb(side):
    """Teeth of random lengths, some joined below, others standing alone."""
    random, mask = np.random.default_rng(0), np.zeros((side, side), bool)
    for column in range(0, side, 2):
        mask[random.integers(0, side // 2) :, column] = True
        if random.random() < 0.9:
            mask[random.integers(side // 2, side), column + 1 : column + 2] = True
    return mask


def snake(side):
    """One line, up and down."""
    mask = np.zeros((side, side), bool)
    mask[:, ::4] = True
    for turn, column in enumerate(range(0, side - 4, 4)):
        mask[-(turn % 2), column : column + 4] = True
    return mask


MASKS = {
    "spiral": spiral,
    "spirals": lambda side: np.pad(np.hstack([spiral(side // 2)] * 2), ((0, side - side // 2), (0, 0))),
    "comb": comb,
    "comb, lying": lambda side: comb(side).T,
    "snake": snake,
    "snake, lying": lambda side: snake(side).T,
    "caves": lambda side: np.random.default_rng(0).random((side, side)) < 0.41,
    "specks": lambda side: np.random.default_rng(0).random((side, side)) < 0.1,
    "nothing": lambda side: np.zeros((side, side), bool),
    "everything": lambda side: np.ones((side, side), bool),
}


@pytest.mark.parametrize("side", [60, 300, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", MASKS)
def test_pieces_are_those_of_scipy(kind, side):
    mask = MASKS[kind](side)
    names = label(torch.from_numpy(np.stack([mask, mask[::-1].copy()])))
    for found, one in zip(names.numpy(), (mask, mask[::-1]), strict=True):
        pieces = ndimage.label(one, np.ones((3, 3)))[0].ravel()
        first = np.unique(pieces, return_index=True)[1]
        if one.all():
            first = np.append(0, first)
        places = np.arange(pieces.size)
        assert np.array_equal(found, np.where(one.ravel(), first[pieces], places))


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 201, 1000, 2001])
def test_percentiles_are_those_of_numpy(count):
    """In one image all pixels count, in one half of them, in one a single pixel, in one none."""
    random = np.random.default_rng(count)
    values = np.round(random.random((4, count)), 2).astype(np.float32)
    inside = np.stack([np.ones(count, bool), np.arange(count) % 2 == 0, np.arange(count) == count // 2, np.zeros(count, bool)])
    given = torch.from_numpy(values), torch.from_numpy(inside)
    found = [percentile_99(*given), percentile(*given, 99), percentile(*given, 50), *extremes(*given)]
    for index in range(3):
        some = values[index][inside[index]]
        exact = [*(python_percentile(some, q) for q in (99, 99, 50)), *python_extremes(np.sort(some))]
        assert [float(one[index]) for one in found] == [pytest.approx(one, rel=1e-6) for one in exact]
    assert [float(one[3]) for one in found[:3]] == [0, 0, 0]
