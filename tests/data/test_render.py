"""Synthetic chromosomes."""

import numpy as np
import pytest

from gricol_zoo import CHROMOSOMES, GricolZooError
from gricol_zoo.data.preprocess import measure_pose
from gricol_zoo.data.synthetic import Look, blur, load_profiles, render, render_cell


def test_profiles_are_of_24_classes_and_sane():
    profiles = load_profiles()
    assert tuple(profiles) == CHROMOSOMES
    lengths = [profiles[name].length for name in ("1", "3", "8", "16", "21")]
    assert lengths == sorted(lengths, reverse=True)
    for profile in profiles.values():
        assert len(profile.bands) == len(profile.widths) == 64
        assert 0 <= profile.bands.min() < profile.bands.max() <= 1.1


@pytest.mark.parametrize("name", ["1", "8", "21"])
def test_a_straight_chromosome_has_the_profiles_length_and_bands(name):
    profile = load_profiles()[name]
    image = render(profile, Look(blur=0, cleft=0, gain=1.0), np.random.default_rng(0))
    pose = measure_pose(image)
    assert pose.length == pytest.approx(profile.length, abs=6)
    assert abs(np.degrees(pose.angle)) < 3
    middle = image[:, image.shape[1] // 2]
    rows = np.nonzero(middle > 0.1)[0]
    drawn = np.interp(np.linspace(rows[0], rows[-1], 64), np.arange(len(middle)), middle)
    assert np.corrcoef(drawn[6:-6], profile.bands[6:-6])[0, 1] > 0.8


def test_bend_shortens_and_widens_what_tilt_turns():
    profile, rng = load_profiles()["1"], np.random.default_rng(0)
    straight = measure_pose(render(profile, Look(), rng))
    bent = measure_pose(render(profile, Look(bend=120), rng))
    assert bent.length < 0.9 * straight.length
    assert bent.width > 1.5 * straight.width
    tilted = measure_pose(render(profile, Look(tilt=30), rng))
    assert abs(np.degrees(tilted.angle)) == pytest.approx(30, abs=2)
    assert tilted.length == pytest.approx(straight.length, abs=3)


def test_noise_gain_and_blur_do_what_they_say():
    profile = load_profiles()["5"]
    clean = render(profile, Look(noise=0), np.random.default_rng(0))
    noisy = render(profile, Look(noise=0.05), np.random.default_rng(0))
    inside = clean > 0.3
    assert (noisy - clean)[inside].std() == pytest.approx(0.05, rel=0.3)
    assert render(profile, Look(gain=0.3), np.random.default_rng(0)).max() == pytest.approx(clean.max() / 2, rel=0.01)
    point = np.zeros((21, 21))
    point[10, 10] = 1
    spread = blur(point, 2.0)
    assert spread.sum() == pytest.approx(1, abs=1e-6)
    assert (spread * (np.arange(21) - 10) ** 2).sum() == pytest.approx(4, rel=0.05)


def test_a_cell_has_46_and_repeats_with_its_seed():
    for sex, pair in (("F", ["X", "X"]), ("M", ["X", "Y"])):
        cell = render_cell(3, sex)
        assert len(cell) == 46
        assert [name for name, _, _ in cell[44:]] == pair
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(render_cell(5), render_cell(5), strict=True))
    assert not np.array_equal(render_cell(5)[0][2], render_cell(6)[0][2])


def test_impossible_looks_are_refused():
    with pytest.raises(GricolZooError, match="300 degrees"):
        render(load_profiles()["1"], Look(bend=400), np.random.default_rng(0))
    with pytest.raises(GricolZooError, match="`sex`"):
        render_cell(0, "x")
