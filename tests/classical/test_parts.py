"""The parts of a chromosome from its mask and axis: box, joints and arms of known shapes."""

import numpy as np
import pytest

from gricol_zoo.classical.axis import cross_sections
from gricol_zoo.classical.parts import find_bends, measure_parts
from gricol_zoo.errors import ImageError


def upright(waist=30, top=10, length=80, width=16):
    """Return an upright chromosome that is narrow in one row, and that row."""
    grey = np.zeros((100, 60))
    middle = 30
    for row in range(length):
        half = width / 2 - (4 if abs(row - waist) <= 2 else 0)
        grey[top + row, int(middle - half) : int(middle + half)] = 0.8
    return grey, top + waist


@pytest.mark.parametrize("turned", [False, True])
def test_a_bar_with_a_waist(turned):
    grey, waist = upright()
    if turned:
        grey, waist = grey[::-1], 99 - waist
    parts = measure_parts(grey)
    top, bottom = (10, 90)
    assert parts.box == (top, 22, bottom, 38)
    first, last = (bottom - 1, top) if turned else (top, bottom - 1)  # the short arm comes first, wherever it is
    assert parts.joints[0] == pytest.approx((29.5, first), abs=1.5)
    assert parts.joints[4] == pytest.approx((29.5, last), abs=1.5)
    assert parts.joints[2] == pytest.approx((29.5, waist), abs=3)
    assert ((parts.arms > 0) == (grey > 0)).all()
    short, long = np.nonzero(parts.arms == 1)[0], np.nonzero(parts.arms == 2)[0]
    assert (short.min() > long.max()) if turned else (short.max() < long.min())
    assert abs(len(short) / (len(short) + len(long)) - 30 / 80) < 0.05


def bent(at, angle):
    """Return 64 points on a line that turns once, by an angle in degrees, after a number of steps."""
    turn = np.radians(angle) * (np.arange(63) >= at)
    return np.concatenate([[[0, 0]], np.cumsum(np.stack([np.sin(turn), np.cos(turn)], 1), 0)])


def test_bends_are_where_the_line_turns_and_else_in_the_middles():
    straight = find_bends(bent(0, 0))
    assert straight[0] == pytest.approx(20, abs=1)  # of 8 .. 31 and of 32 .. 55
    assert straight[1] == pytest.approx(44, abs=1)
    for at in (12, 26):
        first, second = find_bends(bent(at, 60))
        assert first == pytest.approx(at, abs=1)
        assert second == pytest.approx(straight[1], abs=1)
        first, second = find_bends(bent(at, 60)[::-1])
        assert first == pytest.approx(straight[0], abs=1)
        assert second == pytest.approx(63 - at, abs=1)


def test_what_has_no_axis_is_refused():
    with pytest.raises(ImageError, match="blank"):
        measure_parts(np.zeros((40, 40)))


def walk(point, direction, mask, step):
    """Go step by step until a place is outside the mask or the longest way is gone; return the distance, half a step before."""
    last = len(np.arange(0, max(mask.shape), step)) - 1
    for count in range(last + 1):
        x, y = np.floor(np.array(point) + np.array(direction) * count * step + 0.5).astype(int)
        inside = 0 <= x < mask.shape[1] and 0 <= y < mask.shape[0] and mask[y, x]
        if not inside or count == last:
            return max(count - 0.5, 0) * step
    raise AssertionError


@pytest.mark.parametrize("kind", ["disk", "scattered", "full"])
def test_cross_sections_against_a_walk(kind):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:90, :70]
    masks = {
        "disk": (x - 35) ** 2 + (y - 45) ** 2 < 30**2,
        "scattered": rng.random((90, 70)) < 0.8,
        "full": np.ones((90, 70), bool),
    }
    line, angle = rng.uniform(-2, 72, (40, 2)), rng.uniform(0, 2 * np.pi, 40)
    normal = np.stack([np.cos(angle), np.sin(angle)], 1)
    against, along = cross_sections(line, normal, masks[kind])
    for index in range(len(line)):
        assert against[index] == walk(line[index], -normal[index], masks[kind], 0.25)
        assert along[index] == walk(line[index], normal[index], masks[kind], 0.25)
    assert (against.max() > 20) == (kind != "scattered")  # so that more than one block of steps is needed
