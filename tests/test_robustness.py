"""The conditions of the robustness benchmark: files that can be read, and changes that are what they say."""

import sys
from pathlib import Path

import numpy as np
import pytest

from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.images import read_crop
from gricol_zoo.render import load_profiles, random_look, render

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from robustness_conditions import ALWAYS_WARNED, CELLS, IMAGES

PROFILES = list(load_profiles().items())


def crop(index=0, light=False):
    rng = np.random.default_rng(index)
    value = np.clip(render(PROFILES[index % 24][1], random_look(rng), rng), 0, 1)
    value = np.pad(np.rint(255 * value).astype(np.uint8), 3)
    return 255 - value if light else value


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("condition", IMAGES)
def test_a_condition_gives_a_readable_file_the_same_each_time(condition, light):
    image = crop(3, light)
    first, second = (IMAGES[condition](image, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    found = find_chromosome(read_crop(first).grey)
    assert found.mask.sum() > 20


def test_untouched_is_the_crop():
    image = crop(1)
    assert np.array_equal(np.rint(read_crop(IMAGES["untouched"](image, np.random.default_rng(0))).grey * 255), image)


@pytest.mark.parametrize(("condition", "factor"), [("scale 0.5", 0.5), ("scale 2", 2), ("scale 3", 3)])
def test_a_scale_is_of_both_sides(condition, factor):
    image = crop(0)
    shape = read_crop(IMAGES[condition](image, np.random.default_rng(0))).grey.shape
    assert shape == tuple(round(side * factor) for side in image.shape)


@pytest.mark.parametrize("condition", CELLS)
def test_a_cell_changes_as_it_says(condition):
    crops, labels = [crop(i) for i in range(46)], [PROFILES[i % 24][0] for i in range(46)]
    others = [(crop(50 + i), PROFILES[(50 + i) % 24][0]) for i in range(46)]
    files = CELLS[condition](crops, labels, others, np.random.default_rng(0))
    more = {"ten chromosomes missing": -10, "three of another cell": 3, "two cells in one heap": 46}
    more["the same picture twice"] = 1
    assert len(files) == 46 + more.get(condition, 0)
    assert all(read_crop(data).grey.size for data, _ in files)


def test_what_must_be_warned_of_is_a_condition():
    assert set(ALWAYS_WARNED) <= set(CELLS)
