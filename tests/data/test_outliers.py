"""Inputs that do not show a single chromosome, made from images that do."""

import numpy as np
import pytest

from gricol_zoo.data.outliers import OUTLIERS, blank, half, noise, two
from gricol_zoo.data.preprocess import foreground, measure_pose, stretch
from gricol_zoo.data.synthetic import Look, load_profiles, render


@pytest.fixture(params=["dark background", "light background"])
def pair(request):
    rng = np.random.default_rng(3)
    crops = [render(load_profiles()[label], Look(noise=0.01, gain=0.6), rng).astype(np.float32) for label in ("3", "17")]
    return [1 - crop for crop in crops] if request.param == "light background" else crops


@pytest.mark.parametrize("kind", OUTLIERS)
def test_it_is_a_grey_image_and_seeded(pair, kind):
    one, other = (OUTLIERS[kind](*pair, np.random.default_rng(5)) for _ in range(2))
    assert one.dtype == np.float32
    assert 0 <= one.min() <= one.max() <= 1
    assert np.array_equal(one, other)
    assert not np.array_equal(one, pair[0])


def test_blank_has_the_background_alone(pair):
    image = blank(*pair, np.random.default_rng(0))
    assert abs(image.mean() - np.median(pair[0][0])) < 0.02
    assert image.std() < 0.02


def test_noise_keeps_the_grey_values(pair):
    assert np.array_equal(np.sort(noise(*pair, np.random.default_rng(0)).ravel()), np.sort(pair[0].ravel()))


def test_half_is_half_as_long(pair):
    whole = measure_pose(stretch(pair[0])).length
    for seed in range(4):
        assert measure_pose(stretch(half(*pair, np.random.default_rng(seed)))).length == pytest.approx(whole / 2, rel=0.15)


def test_two_show_both(pair):
    areas = [foreground(stretch(crop)).sum() for crop in pair]
    both = foreground(stretch(two(*pair, np.random.default_rng(0)))).sum()
    assert both == pytest.approx(sum(areas), rel=0.25)
