"""Each field of the augmentation: switched off it does nothing; switched on it does what it says and nothing else."""

import dataclasses
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F

from gricol_zoo.data import clutter, light
from gricol_zoo.data.augment import Augment
from gricol_zoo.data.bends import ARC, KINK, bent_axis
from gricol_zoo.data.draws import Draws
from gricol_zoo.data.grids import FOREGROUND, affine_grid, extent_of, turn_and_turn_back
from gricol_zoo.data.preprocess import measure_pose, pose_of, to_canvas
from gricol_zoo.data.synthetic import load_profiles, random_look, render
from gricol_zoo.spec import Preprocess
from gricol_zoo.training.recipes import RECIPES, ROBUST_AUGMENT

NEW = ("strong_bend", "fit", "rotation", "specks", "neighbour", "blur_sd", "grain", "jpeg", "background")
SIZE = (192, 96)

# What the fields of the released recipes made of ``rods()`` before the others were added: four numbers each, see ``shadow``.
BEFORE = {
    "tilt": (-10.61, -28.42, -35.04, -12.09),
    "scale": (35.91, -15.51, -33.09, -16.21),
    "stretch": (-46.47, -40.42, -33.0, -33.43),
    "shift": (-42.55, 36.68, 27.04, -23.57),
    "bend": (2.73, -12.93, 109.35, 91.33),
    "arc": (-112.33, -32.97, -35.63, -25.82),
    "elastic": (19.41, -20.01, 60.9, 29.56),
    "flip": (-47.81, -43.81, -38.94, -34.07),
    "flip_arms": (-47.81, -42.06, -38.25, -33.47),
    "contrast": (-24.44, -56.95, -43.59, -49.34),
    "gamma": (-48.78, -39.1, -36.41, -25.72),
    "brightness": (-42.14, -10.26, -5.17, -15.47),
    "blur": (-47.81, -42.17, -38.25, -32.8),
    "noise": (-15.9, -40.49, -7.21, -29.39),
    "overlap": (-47.81, -40.63, -38.25, -26.2),
    "erase": (-47.81, -43.03, -38.25, -33.11),
    "light": (-23.15, -66.3, -68.87, -35.55),
    "light_finetune": (-44.46, -50.33, -48.71, -8.64),
    "large": (-23.15, -63.14, -68.87, -35.55),
}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def rods():
    rows, columns = torch.arange(96.0).view(-1, 1), torch.arange(64.0)
    rod = torch.exp(-(((columns - 31.5) / 9) ** 4)) * torch.exp(-(((rows - 47.5) / 34) ** 6))
    rod = rod * (0.6 + 0.3 * torch.sin(rows / 3) + columns / 640)
    return torch.stack([rod * (1 - index / 10) for index in range(4)])


def shadow(images):
    rows, columns = torch.arange(96.0).view(-1, 1), torch.arange(64.0)
    return (images * torch.cos(rows / 7 + columns / 5)).double().sum((1, 2)).tolist()


def bars(*lengths, width=24, size=SIZE):
    """Return upright bars with rounded sides, (n, H, W)."""
    rows, columns = torch.arange(size[0]).view(-1, 1), torch.arange(size[1])
    across = (1 - ((columns - (size[1] - 1) / 2).abs() / (width / 2)) ** 4).clamp_min(0)
    inside = [((rows - (size[0] - 1) / 2).abs() < length / 2) * across for length in lengths]
    return torch.stack(inside).float()


@pytest.fixture(scope="module")
def canvases():
    """Return 24 synthetic chromosomes, one of each class, (24, H, W) float 0..1."""
    rng = np.random.default_rng(0)
    how = Preprocess("upright", scale=1.5, pad_to=None, contrast="p99")
    drawn = [to_canvas(render(profile, random_look(rng), rng), how, SIZE) for profile in load_profiles().values()]
    return torch.from_numpy(np.stack(drawn)).float() / 255


@pytest.mark.parametrize("name", BEFORE)
def test_the_fields_of_released_recipes_draw_what_they_drew(name):
    strength = {"tilt": 20, "arc": 90}.get(name, 0.5)
    augment = RECIPES[name].augment if name in RECIPES else Augment(**{name: strength})
    assert shadow(augment(rods(), seeded(1))) == pytest.approx(BEFORE[name], abs=0.05)


@pytest.mark.parametrize("name", NEW)
def test_a_field_next_to_nothing_changes_nothing(name, canvases):
    torch.testing.assert_close(Augment(**{name: 1e-9})(canvases, seeded(0)), canvases, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NEW)
def test_a_field_repeats_with_its_generator_and_keeps_type_and_range(name, canvases):
    augment = Augment(**{name: 1.0}, scale=0.5 if name == "fit" else 0.0)
    one, two, other = (augment(canvases, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.shape == canvases.shape
    assert one.dtype == torch.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert (one != canvases).any((1, 2)).sum() >= 10


@pytest.mark.parametrize("name", [*NEW, *RECIPES])
def test_the_given_images_stay_as_they_are(name, canvases):
    augment = RECIPES[name].augment if name in RECIPES else Augment(**{name: 1.0})
    before = canvases.clone()
    augment(canvases, seeded(0))
    assert torch.equal(canvases, before)


@pytest.mark.parametrize("name", [*NEW, "all"])
def test_processes_that_share_a_batch_draw_what_one_would(name, canvases):
    # A neighbour is another image of the same process, so only its source differs.
    augment = dataclasses.replace(ROBUST_AUGMENT, neighbour=0) if name == "all" else Augment(**{name: 0.5})
    batch = canvases if name != "neighbour" else canvases[:1].expand(24, -1, -1)
    whole = augment(batch, seeded(5))
    for index in range(3):
        mine = augment(batch[index::3], seeded(5), index, 3)
        torch.testing.assert_close(mine, whole[index::3], rtol=0, atol=1e-5)


@pytest.mark.parametrize("recipe", ["robust", "robust_finetune"])
def test_the_recipes_hold_for_any_images(recipe, canvases):
    augment = RECIPES[recipe].augment
    assert augment.flip_arms == 0
    for images in (canvases, torch.zeros(5, 64, 48), torch.ones(5, 64, 48), torch.rand(1, 31, 17)):
        for seed in range(5):
            out = augment(images, seeded(seed))
            assert out.shape == images.shape
            assert out.isfinite().all()
            assert (out >= 0).all()
            assert (out <= 1).all()
    assert torch.equal(canvases, canvases.clone())


def test_images_are_not_changed_in_place(canvases):
    before = canvases.clone()
    Augment(**dict.fromkeys(NEW, 1.0))(canvases, seeded(0))
    assert torch.equal(canvases, before)


# Strong bends


@pytest.mark.parametrize("seed", range(4))
def test_a_strong_bend_lies_as_preparation_would_lay_it(canvases, seed):
    bent = Augment(strong_bend=1.0)(canvases, seeded(seed))
    area, before = (bent > FOREGROUND).sum((1, 2)), (canvases > FOREGROUND).sum((1, 2))
    assert (area / before - 1).abs().max() < 0.1
    for image in bent.numpy():
        assert max(image[0].max(), image[-1].max(), image[:, 0].max(), image[:, -1].max()) == 0
        rows, columns = np.nonzero(image > FOREGROUND)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(95.5, abs=1)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(47.5, abs=1)
        spread = np.linalg.eigvalsh(np.cov(rows, columns))
        if spread[1] > 1.5**2 * spread[0]:  # a rounder one has no clear axis
            assert math.degrees(measure_pose(image).angle) == pytest.approx(0, abs=3)


def test_bends_are_as_strong_as_said_and_go_either_way():
    numbers = torch.rand(4000, 5, generator=seeded(0))
    axis = bent_axis(torch.full((4000,), 160.0), torch.full((4000,), 12.0), numbers)
    turn = (axis.curvature[:, 1:-1].sum(1) * 160 / 63).abs()
    kinked = numbers[:, 0] < 0.5
    assert math.degrees(turn[~kinked].max()) == pytest.approx(200, abs=10)
    assert math.degrees(turn[kinked].max()) == pytest.approx(150, abs=10)
    assert turn.min() > math.radians(20)
    assert (axis.curvature.sum(1) > 0).float().mean() == pytest.approx(0.5, abs=0.05)
    steps = (axis.point[:, 1:] - axis.point[:, :-1]).norm(dim=2)
    assert (steps - 160 / 63).abs().max() < 0.1  # the axis keeps its length
    assert ARC > KINK


def test_what_is_short_and_thick_bends_less():
    numbers = torch.tensor([[0.9, 1.0, 0.0, 0.5, 0.5]]).expand(2, -1)
    axis = bent_axis(torch.tensor([160.0, 45.0]), torch.tensor([12.0, 12.0]), numbers)
    turn = axis.curvature.sum(1) * torch.tensor([160.0, 45.0]) / 63
    assert math.degrees(turn[1]) == pytest.approx(math.degrees(45 / (2.5 * 12)), rel=0.05)
    assert turn[1] < turn[0] / 2


def test_the_upper_end_stays_the_upper_one():
    images = bars(120, width=20).expand(64, -1, -1) * 0.5
    ends = images.clone()
    ends[:, :60] *= 2  # the upper end is the bright one
    ends[:, 60:130] *= 1.4
    bent = Augment(strong_bend=1.0)(ends, seeded(2))
    rows = torch.arange(192.0).view(1, -1, 1)
    top, bottom = (bent > 0.8).float(), ((bent > FOREGROUND) & (bent < 0.55)).float()
    # The dimmer end is measured apart from the rim of the rest: by its edge far from the bright end.
    upper = (rows * top).sum((1, 2)) / top.sum((1, 2))
    lower = (rows * bottom).sum((1, 2)) / bottom.sum((1, 2))
    assert (lower - upper > -2).all()
    assert (lower - upper > 20).float().mean() > 0.8


def test_bands_follow_the_normals_and_keep_their_thickness():
    images = bars(130, width=20).expand(48, -1, -1) * 0.3
    images = images.clone()
    images[:, 110:114, 38:58] = 1.0  # one band, four pixels high and twenty wide
    bent = Augment(strong_bend=1.0)(images, seeded(0))
    thickness, length = [], []
    for image in bent.numpy():
        rows, columns = np.nonzero(image > 0.6)
        spread = np.sqrt(np.linalg.eigvalsh(np.cov(rows, columns)) * 12)  # of a box: its sides
        thickness.append(spread[0])
        length.append(spread[1])
    assert np.median(thickness) == pytest.approx(4, abs=0.7)
    assert np.median(length) == pytest.approx(20, abs=1.5)
    assert max(length) < 23


def test_what_is_bent_is_shrunk_to_fit():
    images = bars(180, width=20, size=(192, 64)).expand(32, -1, -1)
    bent = Augment(strong_bend=1.0)(images, seeded(0))
    edge = torch.cat([bent[:, 0], bent[:, -1], bent[:, :, 0], bent[:, :, -1]], 1)
    assert edge.max() < FOREGROUND
    assert extent_of(bent).width.max() <= 62
    shrunk = (bent > FOREGROUND).sum((1, 2)) < 0.8 * (images > FOREGROUND).sum((1, 2))
    assert 3 < shrunk.sum() < 30


def test_bends_leave_the_others_as_they_are(canvases):
    bent = Augment(strong_bend=0.5)(canvases, seeded(1))
    same = ((bent - canvases).abs().amax((1, 2)) < 1e-4).sum()
    assert 6 <= same <= 18


# Pose


def test_fit_keeps_what_is_enlarged_on_the_canvas():
    images = bars(170).expand(40, -1, -1)
    fitted, cut = (Augment(scale=0.3, fit=fit)(images, seeded(0)) for fit in (1.0, 0.0))
    assert (cut[:, 0].amax(1) > FOREGROUND).any()
    assert (fitted[:, 0].amax(1) < FOREGROUND).all()
    box = extent_of(fitted)
    assert box.length.max() == pytest.approx(190, abs=1)
    inside = extent_of(cut).length < 188  # what already fitted is unchanged
    assert inside.sum() > 10
    torch.testing.assert_close(fitted[inside], cut[inside], atol=1e-4, rtol=0)


def test_the_fast_grid_is_torchs():
    theta = torch.randn(3, 2, 3, generator=seeded(0))
    torch.testing.assert_close(affine_grid(theta, (19, 8)), F.affine_grid(theta, [3, 1, 19, 8], align_corners=False))


def test_turning_there_and_back_only_softens():
    images = bars(150, 60)
    angle = torch.tensor([0.7, 2.0])
    turned = turn_and_turn_back(images.clone(), torch.tensor([0, 1]), angle)
    assert (turned.sum((1, 2)) / images.sum((1, 2)) - 1).abs().max() < 0.005
    assert (turned - images)[:, :, 40:56].abs()[:, 68:124].max() < 0.02
    assert 0.1 < (turned - images).abs().max() < 0.6
    assert torch.equal(turn_and_turn_back(images.clone(), torch.tensor([], dtype=torch.long), angle[:0]), images)
    torch.testing.assert_close(turn_and_turn_back(images.clone(), torch.tensor([0, 1]), 0 * angle), images, atol=1e-4, rtol=0)


def test_what_was_rotated_is_two_degrees_off():
    turned = Augment(rotation=1.0)(bars(150).expand(200, -1, -1), seeded(0))
    angles = np.degrees([pose_of(image > FOREGROUND).angle for image in turned.numpy()])
    assert np.std(angles) == pytest.approx(2, abs=0.3)
    assert abs(np.mean(angles)) < 0.5


# What is beside it


def test_specks_are_few_small_and_dim_and_near():
    images = bars(120).expand(100, -1, -1) * 0.2
    added = clutter.add_specks(images.clone(), Draws(seeded(0), 100), 1.0) - images
    assert added.min() >= 0
    assert added.max() <= clutter.SPECK_GREY * 2  # two may overlap
    area = (added > 0.1).sum((1, 2))
    assert area.max() < 6 * 20
    assert area.float().mean() > 3
    rows, columns = torch.nonzero(added.amax(0) > 0.1, as_tuple=True)
    assert rows.min() > 30
    assert rows.max() < 161
    assert columns.min() > 15
    chosen = clutter.add_specks(images.clone(), Draws(seeded(0), 100), 0.3) - images
    assert 15 < (chosen.amax((1, 2)) > 0.1).sum() < 45


def test_a_neighbour_is_a_piece_of_the_next_image():
    images = torch.cat([bars(110) * 0.5, bars(110) * 1.0]).repeat(50, 1, 1)
    joined, which = clutter.add_neighbours(images.clone(), Draws(seeded(0), 100), 1.0)
    assert which.tolist() == list(range(100))
    added = (joined - images).clamp_min(0)
    assert (joined >= images).all()
    dim = images.amax((1, 2)) < 0.6
    assert (added[dim] > 0.5 * 0.9).any((1, 2)).float().mean() > 0.7  # the bright neighbour of a dim one
    assert added[~dim].max() <= 0.5
    share = added[dim].sum((1, 2)) / images[1].sum()
    assert 0 < share.max() < 0.36
    assert (share > 0.02).float().mean() > 0.6
    alone, which = clutter.add_neighbours(images.clone(), Draws(seeded(0), 100), 0.2)
    others = torch.ones(100, dtype=torch.bool)
    others[which] = False
    assert 8 < len(which) < 35
    assert torch.equal(alone[others], images[others])


def test_a_neighbour_touches_and_the_two_are_centred():
    images = bars(100, width=20).expand(60, -1, -1)
    joined = Augment(neighbour=1.0)(images, seeded(0))
    box = extent_of(joined)
    assert box.middle.abs().max() <= 1.5
    assert (box.width > 26).sum() > 20
    touching = 0
    for image in joined.numpy():
        touching += ndimage.label(ndimage.binary_dilation(image > FOREGROUND, iterations=2))[1] == 1
    assert touching > 40


# Light, lens, camera and file


def test_half_of_the_images_are_blurred_and_stay_as_bright():
    images = bars(100).expand(200, -1, -1)
    blurred = light.blur_some(images.clone(), Draws(seeded(0), 200), 2.0)
    same = (blurred == images).all(2).all(1)
    assert same.sum() == pytest.approx(100, abs=20)
    middle = blurred[:, 90:102, 44:52].mean((1, 2)) / images[0, 90:102, 44:52].mean()
    assert middle.min() > 0.97
    assert middle.max() < 1.06


def test_blur_has_the_standard_deviation_that_is_drawn():
    images = torch.zeros(50, 41, 41)
    images[:, 20, 20] = 1
    blurred = light.blur_some(images.clone(), Draws(seeded(0), 50), 3.0)
    which = Draws(seeded(0), 50)
    chosen = which.chosen(0.5)
    deviation = which.rand(1)[chosen, 0] * 3
    weight = blurred[chosen] / blurred[chosen].sum((1, 2), keepdim=True)
    place = torch.arange(41.0) - 20
    for axis in (1, 2):
        measured = (weight.sum(3 - axis) * place**2).sum(1).sqrt()
        clear = deviation > 0.8  # below 0.8 the pixels are too coarse to measure it
        torch.testing.assert_close(measured[clear], deviation[clear], rtol=0.05, atol=0)


def test_grain_is_on_the_chromosome_alone_and_coarser_than_a_pixel():
    images = bars(150, width=60).clamp_max(0.5).expand(80, -1, -1)
    noise = light.add_grain(images.clone(), Draws(seeded(0), 80), 0.1) - images
    assert (noise[images <= light.RIM] == 0).all()
    inside = noise[:, 30:160, 24:72]
    sd = inside.std((1, 2))
    assert sd.max() == pytest.approx(0.1, abs=0.02)
    assert sd.min() < 0.01
    assert sd.mean() == pytest.approx(0.05, abs=0.012)
    for shift, low, high in ((1, 0.4, 0.95), (4, -0.1, 0.3)):
        common = (inside[:, :-shift] * inside[:, shift:]).mean((1, 2)) / inside.square().mean((1, 2))
        assert common.min() > low
        assert common.max() < high


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_jpeg_is_what_a_jpeg_file_does(quality, canvases, monkeypatch):
    monkeypatch.setattr(light, "BLOCK", 8)
    image = (canvases[3] * 200 + 20).round()
    buffer = io.BytesIO()
    Image.fromarray(image.byte().numpy()).save(buffer, "JPEG", quality=quality)
    real = torch.from_numpy(np.asarray(Image.open(buffer)).copy()).float()
    ours = light.quantise(image[None] / 255 - 128 / 255, torch.tensor([float(quality)]), [[0, 0]])[0] * 255 + 128
    lost = (real - image).abs().mean()
    assert (ours.clamp(0, 255) - real).abs().mean() < max(0.35, 0.05 * float(lost))
    assert (ours - image).abs().mean() == pytest.approx(float(lost), rel=0.15)


def test_jpeg_keeps_the_background_empty_and_low_quality_loses_more(canvases):
    images = canvases[:1].expand(60, -1, -1)
    squeezed = light.compress_some(images.clone(), Draws(seeded(0), 60), 1.0)
    near = F.max_pool2d((images > light.RIM).float(), 5, 1, 2) > 0
    assert (squeezed[~near] == 0).all()
    lost = (squeezed - images).abs().mean((1, 2))
    draws = Draws(seeded(0), 60)
    draws.chosen(1.0)
    assert torch.corrcoef(torch.stack([draws.rand(3)[:, 0], lost]))[0, 1] < -0.6
    assert lost.min() > 0.0005
    assert lost.max() < 0.03
    assert (images[0] > light.RIM).float().mean() > 0.02


def test_a_veil_is_weak_smooth_and_on_the_chromosome_alone(canvases):
    veiled = light.add_veil(canvases.clone(), Draws(seeded(0), 24), 1.0)
    added = veiled - canvases
    inside = canvases > light.RIM
    assert (added[~inside] == 0).all()
    assert 0.05 < added.abs().max() <= light.VEIL + 1e-6
    steps = added.diff(dim=1).abs()[inside[:, 1:] & inside[:, :-1]]
    assert steps.max() < 0.004
