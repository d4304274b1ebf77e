"""A graph makes the same canvas as numpy and Pillow."""

import dataclasses
import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.crops import CAMERAS, KINDS, draw, rows_of, with_gap, with_noise

from gricol_zoo import GricolZooError, create_model
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.export.canvas import CanvasInGraph
from gricol_zoo.spec import Preprocess

UPRIGHT = Preprocess(orientation="upright", scale=1.5, pad_to=None, contrast="p99")
ALONE = dataclasses.replace(UPRIGHT, version=2)
WAYS = {
    "paper": (Preprocess(), (448, 456)),
    "light": (UPRIGHT, (128, 96)),
    "light, enlarged": (dataclasses.replace(UPRIGHT, scale=4.0), (96, 64)),
    "upright, contrast as is": (dataclasses.replace(UPRIGHT, contrast="as-is"), (128, 96)),
    "centred": (dataclasses.replace(UPRIGHT, orientation="centred"), (128, 96)),
    "centred, contrast as is": (dataclasses.replace(UPRIGHT, orientation="centred", contrast="as-is"), (61, 47)),
    "resized": (Preprocess(pad_to=None), (97, 40)),
    "stretched and resized": (Preprocess(pad_to=None, contrast="p99"), (30, 80)),
    "padded small": (Preprocess(pad_to=(60, 40)), (90, 70)),
    "padded odd": (Preprocess(pad_to=(41, 77), contrast="p99"), (64, 64)),
    "stretched, stated ground": (Preprocess(pad_to=None, contrast="p99", ground="light"), (30, 80)),
    "alone": (ALONE, (128, 96)),
    "alone, enlarged": (dataclasses.replace(ALONE, scale=4.0), (95, 64)),
    "alone, contrast as is": (dataclasses.replace(ALONE, contrast="as-is"), (128, 96)),
    "alone, centred": (dataclasses.replace(ALONE, orientation="centred"), (128, 97)),
    "alone, stated light ground": (dataclasses.replace(ALONE, ground="light"), (61, 47)),
    "alone, stated dark ground": (dataclasses.replace(ALONE, ground="dark"), (61, 47)),
}


def crops():
    """Chromosomes at angles in all quadrants, on dark and light ground, small and large, wide and tall."""
    random, profiles = np.random.default_rng(0), load_profiles()
    made = [render(profiles[name], Look(tilt=tilt, bend=bend, noise=0.02), random) for name, tilt, bend in TURNS]
    made += [1 - made[0], np.kron(made[1], np.ones((2, 2))), made[2][:, ::-1].T, made[3][::2, ::2]]
    return [np.ascontiguousarray(each, np.float32) for each in made]


def with_tip_apart(grey):
    """A satellite beyond a gap."""
    low, high = rows_of(grey)
    return with_gap(grey, low + (high - low) // 6, 5)


def cut_off(grey):
    """Both ends are outside the crop, and there is a gap near one."""
    low, high = rows_of(grey)
    return with_gap(grey, low + 12, 6)[low + 4 : high]


SCENES = CAMERAS | {
    "noise": with_noise,
    "noise on a faint one": lambda grey: with_noise(0.4 * grey),
    "a tip apart": with_tip_apart,
    "ends cut off": cut_off,
    "another one beside it": lambda grey: np.hstack([grey, np.pad(grey, ((5, 0), (0, 4)))[: len(grey)] * 0.9]),
    "all at once": lambda grey: CAMERAS["black frame"](CAMERAS["slope of 10 %"](CAMERAS["specks"](with_noise(grey)))),
}
TURNS = [("1", 0, 0), ("1", 40, 30), ("5", -40, 0), ("9", 89, 0), ("16", 135, 20), ("21", -100, 0), ("X", 180, 10)]


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_canvas_of_python(way):
    how, size = WAYS[way]
    net, unequal, pixels = CanvasInGraph(how, size), 0, 0
    for crop in crops():
        expected = to_canvas(crop, how, size).astype(int)
        got = net(torch.from_numpy(crop)[None])
        assert got.dtype == torch.float32
        assert torch.equal(got, got.round())
        apart = np.abs(got[0].numpy() - expected)
        assert apart.max() <= 1
        unequal, pixels = unequal + int((apart > 0).sum()), pixels + apart.size
    assert unequal / pixels < 2e-3


@pytest.mark.parametrize("way", WAYS)
def test_images_of_a_batch_do_not_see_each_other(way):
    how, size = WAYS[way]
    same = [crop for crop in crops() if crop.shape == crops()[0].shape] + [crops()[0] * 0.5]
    batch = torch.from_numpy(np.stack([*same, same[0][::-1]]))
    net = CanvasInGraph(how, size)
    assert torch.equal(net(batch), torch.cat([net(each[None]) for each in batch]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bright", [0, 1, 2, 3])
def test_nearly_blank_crops(way, bright):
    """Fewer than three pixels of foreground are not a chromosome that could be turned."""
    how, size = WAYS[way]
    crop = np.full((30, 21), 0.1, np.float32)
    crop[10 : 10 + bright, 7] = 0.9
    if bright:
        expected = to_canvas(crop, how, size).astype(int)
        assert np.abs(CanvasInGraph(how, size)(torch.from_numpy(crop)[None])[0].numpy() - expected).max() <= 1
    else:
        assert CanvasInGraph(how, size)(torch.from_numpy(crop)[None]).isfinite().all()  # `read_grey` refuses it before


def assert_alike(crops, how, size, scales=(1.0,)):
    """Check that graph and Python make the same canvases; a thousandth of the pixels may be one level off."""
    net, unequal, pixels = CanvasInGraph(how, size), 0, 0
    for crop, scale in zip(crops, itertools.cycle(scales)):
        crop = np.ascontiguousarray(crop, np.float32)
        apart = np.abs(net(torch.from_numpy(crop)[None], torch.tensor([scale]))[0].numpy() - to_canvas(crop, how, size, scale))
        assert apart.max() <= 1
        unequal, pixels = unequal + int((apart > 0).sum()), pixels + apart.size
    assert unequal <= 1e-3 * pixels


@pytest.mark.parametrize("light", [False, True], ids=["dark ground", "light ground"])
@pytest.mark.parametrize("camera", SCENES)
def test_a_chromosome_is_found_as_in_python(camera, light):
    """Bent, tilted, of many sizes; on even or sloping ground, in a frame; with noise, dirt, a neighbour, separate parts."""
    looks = [{}, {"tilt": 70, "bend": 60, "scale": 0.6}, {"tilt": 0, "bend": 0, "scale": 1.8}, {"bend": 200, "tilt": -40}]
    seen = [SCENES[camera](draw(name, **look)) for name, look in zip(("1", "9", "13", "18", "21", "3"), itertools.cycle(looks))]
    assert_alike([1 - grey if light else grey for grey in seen], ALONE, (128, 96), (1.0, 0.5, 0.75, 1.3, 2.0, 3.0))


@pytest.mark.parametrize("way", ["light", "centred", "alone", "alone, centred"])
def test_each_image_of_a_batch_may_have_a_scale(way):
    how, size = WAYS[way]
    crop, scales = crops()[1], (0.5, 0.7, 1.0, 1.4, 3.0)
    net, batch = CanvasInGraph(how, size), torch.from_numpy(np.stack([crop] * len(scales)))
    got = net(batch, torch.tensor(scales)).numpy()
    for canvas, scale in zip(got, scales, strict=True):
        assert np.abs(canvas - to_canvas(crop, how, size, scale)).max() <= 1
    assert torch.equal(net(batch)[0], net(batch[:1], torch.ones(1))[0])
    with pytest.raises(GricolZooError, match="Leave `scale` out"):
        CanvasInGraph(*WAYS["paper"])(batch, torch.tensor(scales))


@pytest.mark.parametrize("shape", [(8, 8), (9, 60), (60, 8), (90, 70)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hardly_a_crop(kind, shape):
    if kind != "one value":
        assert_alike([KINDS[kind](shape)], ALONE, (128, 96))


@pytest.mark.parametrize("way", ["light", "alone"])
def test_what_is_as_wide_as_long_stands(way):
    square = np.zeros((40, 40), np.float32)
    square[10:30, 10:30] = 1
    assert_alike([square], *WAYS[way])


OFTEN = ["padded small"]  # `test_export.py` also covers "alone" in a file


@pytest.mark.parametrize("way", [way if way in OFTEN else pytest.param(way, marks=pytest.mark.slow) for way in WAYS])
def test_in_onnx_runtime_at_sizes_that_were_not_exported(way, tmp_path):
    how, size = WAYS[way]
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    program = torch.export.export(CanvasInGraph(how, size), (torch.rand(2, 83, 61),), dynamic_shapes=(dims,), strict=False)
    file = tmp_path / "canvas.onnx"
    torch.onnx.export(program, (), str(file), dynamo=True, opset_version=18, input_names=["images"], verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for crop in [*crops(), np.random.default_rng(0).random((300, 260)).astype(np.float32)]:
        for batch in (1, 3):
            (got,) = session.run(None, {"images": np.stack([crop] * batch)})
            assert np.abs(got - to_canvas(crop, how, size)).max() <= 1


def test_released_weights_see_the_same_pixels():
    model = create_model("gricol_r18half_n3_128.qband", pretrained=True)
    net = CanvasInGraph(model.spec.preprocess, model.spec.image_size)
    for crop in crops():
        expected = to_canvas(crop, model.spec.preprocess, model.spec.image_size)
        assert (net(torch.from_numpy(crop)[None])[0].numpy() != expected).mean() < 1e-3
