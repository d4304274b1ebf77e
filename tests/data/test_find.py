"""Preparation 2: the same chromosome gives the same canvas, whatever its camera, file and neighbours."""

import dataclasses
import hashlib

import numpy as np
import pytest
from helpers.crops import CAMERAS, KINDS, draw, framed, rows_of, with_gap, with_neighbour, with_noise, with_slope
from PIL import Image
from scipy import ndimage

from gricol_zoo import MODELS, GricolZooError, Preprocess
from gricol_zoo.data.arrays import fitting_scale, measure_extents
from gricol_zoo.data.find import box_of_one_piece, find_chromosome, fit_plane, grow, inner_box
from gricol_zoo.data.images import box_of, ring
from gricol_zoo.data.levels import to_levels
from gricol_zoo.data.pieces import Body, main_piece
from gricol_zoo.data.prepare import check_parts, prepare_data
from gricol_zoo.data.preprocess import place, place_alone, pose_of, prepare, resize, smooth, to_canvas
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import split_for
from gricol_zoo.data.table import ImageSet, Record, Store

SPEC = MODELS.get("r18half_192")
HOW, SIZE = SPEC.preprocess, SPEC.image_size
NAMES = ("1", "9", "13", "16", "21")
CLOSE = 3  # grey levels, as ``difference`` counts them
GRAIN = 9  # noise of 5 levels in the crop is 8 of them on a canvas whose contrast is 1.7 times the crop's


def difference(one, other):
    """Return the mean absolute difference of two canvases, over the pixels that are not black in both, in grey levels."""
    there = (one > 0) | (other > 0)
    return float(np.abs(one.astype(float) - other)[there].mean())


def nearest(one, other):
    """Return the smallest difference over a turn of 180 degrees and shifts by a pixel, in grey levels."""
    shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    return min(difference(one, np.roll(turned, by, (0, 1))) for turned in (other, other[::-1, ::-1]) for by in shifts)


def canvas_of(grey, how=HOW, scale=1.0):
    return to_canvas(np.ascontiguousarray(grey, np.float32), how, SIZE, scale)


@pytest.mark.parametrize("light", [False, True], ids=["dark ground", "light ground"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_the_canvas_is_the_same(camera, name, light):
    grey = draw(name)
    seen = CAMERAS[camera](grey)
    found = prepare((1 - seen if light else seen).astype(np.float32), HOW, SIZE)
    assert difference(canvas_of(grey), found.canvas) < CLOSE
    assert (found.light, found.others, found.shrunk) == (light, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_grey_ground_that_is_less_than_half_is_light(name):
    """White became 117 of 255: judged by its level alone, it would be a dark ground."""
    grey = draw(name)
    found = prepare((1 - grey) * np.float32(117 / 255), HOW, SIZE)
    assert difference(canvas_of(grey), found.canvas) < CLOSE
    assert found.light


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_noise_is_all_that_noise_adds(name, light):
    grey = draw(name)
    seen = with_noise(grey).astype(np.float32)
    clean, noisy = (prepare(crop, HOW, SIZE) for crop in (grey, 1 - seen if light else seen))
    assert difference(clean.canvas, noisy.canvas) < GRAIN
    assert noisy.length == pytest.approx(clean.length, abs=2)
    assert noisy.width == pytest.approx(clean.width, abs=2)
    assert noisy.others == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_grainy_ground_is_still_ground(name):
    """Noise of 5 levels is a twelfth of a faint chromosome's contrast: its largest grains are above the usual bound."""
    clean, noisy = (prepare(grey, HOW, SIZE) for grey in (draw(name), with_noise(0.4 * draw(name)).astype(np.float32)))
    assert (noisy.length, noisy.width) == pytest.approx((clean.length, clean.width), abs=8)
    assert noisy.others == 0


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_quarter_turns_are_exact(name, quarters):
    grey = draw(name)
    turned = canvas_of(np.rot90(grey, quarters))
    assert any(difference(canvas_of(grey), turned[::way, ::way]) < 0.1 for way in (1, -1))


@pytest.mark.parametrize("tilt", [30, 60, 90, 150])
@pytest.mark.parametrize("name", NAMES)
def test_a_turned_chromosome_is_brought_upright(name, tilt):
    """It is redrawn on other pixels, which moves its ends by up to one pixel."""
    straight, turned = (canvas_of(draw(name, tilt=each, noise=0)) for each in (0, tilt))
    assert nearest(straight, turned) < 8


@pytest.mark.parametrize("name", NAMES)
def test_a_mirrored_crop_is_a_mirrored_canvas(name):
    grey = draw(name)
    assert difference(canvas_of(grey)[:, ::-1], canvas_of(grey[:, ::-1])) < 0.1


@pytest.mark.parametrize(("scale", "minimum"), [(0.5, 6), (0.8, 8), (1.3, 9), (2, 12), (3, 16)])
@pytest.mark.parametrize("name", NAMES)
def test_another_resolution_is_undone_by_its_scale(name, scale, minimum):
    """A coarser crop has lost detail and does not get it back."""
    grey = draw(name)
    other = resize(grey, tuple(round(side / scale) for side in grey.shape))
    one, found = prepare(grey, HOW, SIZE), prepare(other, HOW, SIZE, scale)
    assert nearest(one.canvas, found.canvas) < minimum
    assert found.length * scale == pytest.approx(one.length, abs=2 * max(1, scale))


# What belongs to the chromosome


# The G group is drawn at twice its size: its chromosomes are so short that a gap of 6 pixels would be too much for them.
@pytest.mark.parametrize("gap", [3, 4, 5, 6])
@pytest.mark.parametrize(("name", "scale"), [("13", 1), ("14", 1), ("15", 1), ("21", 2), ("22", 2)])
def test_satellites_beyond_a_gap_are_kept(name, scale, gap):
    grey = draw(name, tilt=0, bend=0, scale=scale)
    low, high = rows_of(grey)
    apart = with_gap(grey, low + (high - low) // 6, gap)
    whole, found = prepare(grey, HOW, SIZE), prepare(apart, HOW, SIZE)
    assert found.length == pytest.approx(whole.length + gap, abs=1.5)
    assert found.canvas.sum(dtype=float) == pytest.approx(whole.canvas.sum(dtype=float), rel=0.03)
    beside = prepare(with_neighbour(apart), HOW, SIZE)
    assert difference(found.canvas, beside.canvas) < CLOSE


@pytest.mark.parametrize(("name", "gap"), [("1", 6), ("3", 6), ("9", 5), ("16", 4), ("20", 2)])
def test_an_arm_beyond_a_pale_centromere_is_kept(name, gap):
    grey = draw(name, tilt=0, bend=0)
    low, high = rows_of(grey)
    widths = (grey > 0.09).sum(1)
    waist = low + 8 + int(widths[low + 8 : high - 8].argmin())
    found = prepare(with_gap(grey, waist, gap), HOW, SIZE)
    assert found.length == pytest.approx(prepare(grey, HOW, SIZE).length + gap, abs=1.5)
    assert found.others == 0


@pytest.mark.parametrize("side", [-1, 1])
def test_a_piece_at_the_edge_is_the_neighbours(side):
    """The piece is in line and near the end; where the crop cuts through both, it belongs to the chromosome."""
    grey = np.zeros((80, 30), np.float32)
    grey[10:60, 10:20] = 1
    grey[66:80, 10:20] = 1
    grey = grey[::side]
    assert find_chromosome(grey).mask.shape[0] < 60
    cut = grey[10:] if side == 1 else grey[:-10]
    assert find_chromosome(cut).mask.shape[0] == 70


def test_a_piece_aside_or_far_beyond_is_another():
    main = np.zeros((120, 60), bool)
    main[20:60, 25:35] = True
    body = Body(*np.nonzero(main), main.shape)

    def owns(top, left, height=5, width=8):
        ys, xs = np.mgrid[top : top + height, left : left + width]
        return body.owns(ys.ravel(), xs.ravel())

    assert owns(65, 26)
    assert owns(10, 26)
    assert not owns(75, 26)  # 15 pixels beyond the end of 40
    assert not owns(65, 37)  # aside
    assert not owns(40, 45)  # beside
    assert not owns(0, 26, height=15)  # from the edge


def test_a_piece_in_the_bend_is_another():
    ys, xs = np.mgrid[:60, :60] - 30
    bent = (abs(np.hypot(xs, ys) - 20) < 4) & (xs < 5)
    inside = (np.hypot(xs - 2, ys) < 4).nonzero()
    assert not Body(*bent.nonzero(), bent.shape).owns(*inside)


def test_what_lies_beside_a_slanting_one_is_left_out():
    """It is inside the chromosome's box, but not part of it."""
    grey = draw("1", tilt=45)
    beside = grey.copy()
    beside[12:15, -15:-12] = beside[-15:-12, 12:15] = beside.max() / 2
    assert (beside != grey).sum() == 18
    assert difference(canvas_of(grey), canvas_of(beside)) < 0.5
    found = find_chromosome(beside)
    assert not found.value[~grow(found.mask, found.rim)].any()


def test_a_crumb_in_line_is_dirt():
    grey = draw("9", tilt=0, bend=0)
    low = rows_of(grey)[0]
    crumbs = grey.copy()
    crumbs[low - 8 : low - 7, 15:17] = 0.5
    assert np.array_equal(canvas_of(crumbs), canvas_of(grey))


@pytest.mark.parametrize(("one", "other"), [("1", "16"), ("9", "18"), ("13", "21")])
@pytest.mark.parametrize("light", [False, True])
def test_a_second_chromosome_is_counted_and_left_out(one, other, light):
    pair = [draw(name, tilt=8) for name in (one, other)]
    height = max(grey.shape[0] for grey in pair)
    beside = np.hstack([np.pad(grey, ((0, height - grey.shape[0]), (0, 0))) for grey in pair])
    found = prepare(1 - beside if light else beside, HOW, SIZE)
    assert found.others == 1
    assert nearest(canvas_of(pair[0]), found.canvas) < CLOSE


@pytest.mark.timeout(60)
def test_thousands_of_specks_take_no_time():
    specks = np.where(np.random.default_rng(0).random((1500, 1500)) < 0.0005, 1, 0).astype(np.float32)
    assert find_chromosome(specks).others > 100


# What fits


@pytest.mark.parametrize("bend", [90, 150, 210])
@pytest.mark.parametrize("name", ["1", "2", "3", "X"])
def test_a_bent_one_keeps_its_size(name, bend):
    straight, bent = (prepare(draw(name, bend=each), HOW, SIZE) for each in (0, bend))
    assert bent.shrunk == 1
    assert bent.length < straight.length
    assert bent.canvas.sum(dtype=float) == pytest.approx(straight.canvas.sum(dtype=float), rel=0.1)  # nothing is cut off


@pytest.mark.parametrize("zoom", [2, 3])
def test_what_is_too_large_is_shrunk_and_says_so(zoom):
    grey = draw("1")
    found = prepare(resize(grey, tuple(zoom * side for side in grey.shape)), HOW, SIZE)
    assert found.shrunk == pytest.approx((SIZE[0] - 2) / found.length / HOW.scale)
    assert found.shrunk < 0.8
    rows = np.nonzero((found.canvas > 40).any(1))[0]
    assert (rows[0], rows[-1]) == pytest.approx((1, SIZE[0] - 2), abs=2)


def test_shrinking_averages():
    """Bands finer than a canvas pixel become an even grey, not bands of another width."""
    grey = np.zeros((420, 60), np.float32)
    grey[10:410, 10:50] = (np.arange(10, 410) // 2 % 2)[:, None]
    body = canvas_of(grey, scale=1 / 8)[60:130, 46:50].astype(float)
    assert body.std() < 0.1 * body.mean()
    assert smooth(grey, 1.0) is grey
    weights = np.array([1, 2, 3, 4, 3, 2, 1]) / 16
    assert smooth(grey, 4.0)[200, 30] == pytest.approx(weights @ grey[197:204, 30])


def test_contrast_may_stay_what_it_was():
    grey = 0.2 + draw("9", gain=0.5)
    plain = canvas_of(grey, dataclasses.replace(HOW, contrast="as-is"))
    full = canvas_of(grey)
    assert 0.4 < plain.max() / 255 < 0.6
    np.testing.assert_allclose(plain[full < 255], full[full < 255] * find_chromosome(grey).top, atol=2)


def test_a_centred_one_is_not_turned():
    grey = draw("1", tilt=40, bend=0)
    found = prepare(grey, dataclasses.replace(HOW, orientation="centred", scale=1.0), SIZE)
    for axis in (0, 1):
        seen, true = (np.ptp(np.nonzero(inside.any(axis))[0]) for inside in (found.canvas > 46, grey > 0.09))
        assert seen == pytest.approx(true, abs=2)


# The ground


def test_the_ground_may_be_said():
    """A halo is stronger than the stain: without the option, the rule takes the halo for the chromosome."""
    dark = np.full((70, 50), 0.5, np.float32)
    dark[10:50, 20:30] = 0.3
    dark[58:64, 34:44] = 0.95
    assert not find_chromosome(dark).light
    found = find_chromosome(dark, "light")
    assert found.light
    assert found.mask.sum() == 400
    assert find_chromosome(1 - dark, "dark").mask.sum() == 400
    said = canvas_of(dark, dataclasses.replace(HOW, ground="light"))
    assert np.count_nonzero(said.any(1)) == pytest.approx(40 * HOW.scale, abs=6)
    assert np.count_nonzero(canvas_of(dark).any(1)) < 30


@pytest.mark.parametrize("ground", ["auto", "light", "dark"])
def test_a_ground_that_is_said_right_changes_nothing(ground):
    for light in (False, True):
        if ground in ("auto", "light" if light else "dark"):
            grey = 1 - draw("9") if light else draw("9")
            assert np.array_equal(canvas_of(grey, dataclasses.replace(HOW, ground=ground)), canvas_of(grey))


def test_a_frame_of_the_grounds_own_grey_is_none():
    grey = np.pad(draw("9"), 20)
    assert inner_box(grey) == (slice(None), slice(None))
    inside = inner_box(framed(0.5 + 0.4 * draw("9"), 0))
    assert [part.start for part in inside] == [12, 12]


def test_the_plane_is_of_least_squares():
    value = with_slope(draw("9", noise=0), 0.3).astype(np.float32)
    near = np.pad(draw("9", noise=0), 0) > 0.01
    ys, xs = np.nonzero(~near)
    columns = np.stack([np.ones(len(ys)), ys, xs], 1)
    level, down, across = np.linalg.lstsq(columns, value[~near].astype(float), rcond=None)[0]
    rows, places = np.mgrid[: value.shape[0], : value.shape[1]]
    np.testing.assert_allclose(
        fit_plane(value, np.sort(ring(value)), near, 0.8), level + down * rows + across * places, atol=1e-5
    )
    assert fit_plane(draw("9"), np.sort(ring(draw("9"))), near, 0.8) is None  # even
    assert fit_plane(value, np.sort(ring(value)), np.ones_like(near), 0.8) is None  # no ground seen


@pytest.mark.parametrize("steps", [1, 3])
def test_growing_is_a_dilation_by_a_square(steps):
    mask = np.random.default_rng(0).random((30, 20)) < 0.02
    expected = ndimage.binary_dilation(mask, np.ones((2 * steps + 1, 2 * steps + 1)))
    assert np.array_equal(grow(mask, steps), expected)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.8])
def test_a_box_of_one_piece_is_of_one_piece(density):
    rng, seen = np.random.default_rng(0), set()
    for number in range(300):
        mask = rng.random(rng.integers(1, 9, 2)) < density
        if number % 2:  # one run per row; some do not touch the next
            first, place = rng.integers(0, 6, (len(mask), 1)), np.arange(9)
            mask = (place >= first) & (place < first + rng.integers(1, 5, (len(mask), 1)))
        one = ndimage.label(mask, np.ones((3, 3)))[1] == 1
        box = box_of_one_piece(mask)
        assert box is None or (one and box == box_of(mask))
        assert not number % 2 or (box is not None) == one
        seen.add((number % 2, box is not None))
    assert len(seen) == 4
    assert box_of_one_piece(np.zeros((4, 3), bool)) is None


def test_one_piece_is_left_as_it_is():
    value = draw("9")
    mask = value > 0.1
    kept, near, others = main_piece(value, mask, mask)
    assert kept is mask
    assert (near is mask, others) == (True, 0)


@pytest.mark.parametrize("size", [(192, 96), (191, 96), (192, 95), (64, 48)])
@pytest.mark.parametrize("tilt", [0, 25, -75])
def test_the_quick_way_to_a_canvas_gives_the_same(tilt, size):
    found = find_chromosome(draw("9", tilt=tilt))
    pose = pose_of(found.mask)
    for scale in (0.15, 0.5, 0.8, 1.6):
        value = smooth(found.value, 1 / scale)
        assert np.array_equal(place_alone(value, pose, scale, size, found.rim), to_levels(place(value, pose, scale, size)))


# What is hardly a crop


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (3, 3), (1, 50), (50, 1), (2, 50), (60, 40), (250, 250)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_any_crop_gives_a_canvas(kind, shape):
    grey = KINDS[kind](shape).astype(np.float32)
    with np.errstate(all="raise"):
        for ground in ("auto", "light", "dark"):
            for orientation in ("upright", "centred"):
                found = prepare(grey, dataclasses.replace(HOW, ground=ground, orientation=orientation), SIZE)
                assert (found.canvas.shape, found.canvas.dtype) == (SIZE, np.uint8)
                assert 0 < found.shrunk <= 1
                assert kind != "one value" or (found.length, found.canvas.max()) == (0, 0)


# Preparation 1

WAYS = {
    "upright": (Preprocess("upright", 1.5, None, "p99"), (128, 96)),
    "centred": (Preprocess("centred", 1.5, None), (128, 96)),
    "as-is": (Preprocess(), (448, 456)),
}
# Made by the code with which the weights of preparation 1 were trained.
CANVASES = {
    "upright": "24197d50b6f29bae5fecd5d795deb0c687513ee69efc0570fe4bfc274cf44050",
    "centred": "31f1386071971e6340832a9dee59e39c867d923b1bb777111e32d969fe94a3da",
    "as-is": "876f192ca603afef898f71563dabd85681e32aaa8e2ee77f6d373c01ec36dae3",
}


def blocks(number):
    """A crop in integers, identical on any machine: a banded bar in one of five directions, on dark or light ground."""
    across, down = ((0, 1), (3, 4), (-5, 12), (4, 3), (1, 0))[number % 5]
    unit = round((across**2 + down**2) ** 0.5)
    length, half, margin = 20 + 5 * number, 5 + number % 3, 6 + number % 4
    side = length + 2 * margin
    ys, xs = np.mgrid[:side, :side] * 2 - side + 1  # half pixels from the middle
    along, aside = xs * across + ys * down, xs * down - ys * across
    inside = (abs(along) < length * unit) & (abs(aside) < 2 * half * unit)
    bands = 90 + (along // unit * 37 + number * 11) % 120
    bands = np.minimum(bands, (length * unit - abs(along)) * (2 + number % 4) // unit)  # faint ends
    grains = (xs * 7 + ys * 13 + xs * ys) % 5
    grey = np.where(inside, 20 + bands, 8 + number % 7) + grains
    return ((255 - grey if number % 2 else grey) / 255).astype(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_preparation_1_is_what_it_was(way):
    how, size = WAYS[way]
    assert how.version == 1
    canvases = b"".join(to_canvas(blocks(number), how, size).tobytes() for number in range(20))
    assert hashlib.sha256(canvases).hexdigest() == CANVASES[way]


# What a training measures


def ovals(folder, *crops):
    """Write one crop for each list of ovals, (top, left, length, width); return the set."""
    for index, crop in enumerate(crops):
        ys, xs = np.mgrid[:90, :80] + 0.5
        grey = np.zeros((90, 80), bool)
        for top, left, length, width in crop:
            grey |= ((ys - top) * 2 / length - 1) ** 2 + ((xs - left) * 2 / width - 1) ** 2 < 1
        Image.fromarray(np.uint8(grey) * 200).save(folder / f"{index}.png")
    return ImageSet("ovals", [Record(f"{index}.png", "1") for index in range(len(crops))], Store(folder))


def test_extents_are_lengths_and_widths(tmp_path):
    images = ovals(tmp_path, [(10, 20, 40, 10)], [(5, 30, 24, 12)], [(12, 9, 60, 8)])
    (tmp_path / "1.png").write_bytes(b"no image")
    np.testing.assert_allclose(measure_extents(images, HOW), [(40, 10), (60, 8)])
    with pytest.raises(GricolZooError, match="shows a chromosome"):
        measure_extents(ImageSet("none", images.records[1:2], images.store), HOW)


def test_a_neighbour_is_not_measured(tmp_path):
    images = ovals(tmp_path, [(20, 15, 50, 10), (5, 70, 30, 20)])
    np.testing.assert_allclose(measure_extents(images, HOW), [(50, 10)])
    assert measure_extents(images, dataclasses.replace(HOW, version=1))[0, 1] > 20


@pytest.mark.parametrize(("maximum", "side"), [(20, 0), (80, 1)])
def test_scale_makes_199_of_200_fit_both_ways(maximum, side):
    """Whether length or width decides depends on how wide they are."""
    rng = np.random.default_rng(0)
    extents = np.stack([rng.uniform(20, 110, 2000), rng.uniform(10, maximum, 2000)], 1)
    scale = fitting_scale(extents, SIZE, 2)
    free = np.array(SIZE) - 2
    assert (extents * scale <= free).mean(0).min() >= 0.995
    exact = free[side] / np.percentile(extents[:, side], 99.5)
    assert exact - 0.01 < scale <= exact
    assert round(100 * scale) == pytest.approx(100 * scale)


def test_a_training_measures_scale_and_length(chromosomes):
    images, split, _ = split_for(open_images(chromosomes), 0)
    parts = check_parts(images, split)
    spec, canvases = prepare_data(parts, SPEC, set())
    extents = measure_extents(parts["train"], HOW)
    assert spec.preprocess.length == pytest.approx(np.median(extents[:, 0]), abs=0.01)
    assert spec.preprocess.scale == fitting_scale(extents, SIZE, 2)
    assert canvases["train"].shape == (len(parts["train"]), *SIZE)
    assert spec.preprocess.mean == pytest.approx(canvases["train"].mean() / 255, abs=1e-4)
    given, _ = prepare_data(parts, SPEC.replace(preprocess={"scale": 1.2, "length": 33.0}), {"scale", "length"})
    assert (given.preprocess.scale, given.preprocess.length) == (1.2, 33.0)
    assert prepare_data(parts, MODELS.get("r18half_128"), set())[0].preprocess.length == 0
