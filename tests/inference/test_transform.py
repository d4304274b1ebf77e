"""From any image to a tensor and to an answer, in one line each."""

import io
import math
import pickle

import numpy as np
import pytest
import torch
from helpers.bad_files import BAD_FILES
from helpers.models import SMALL
from helpers.synthetic import write_cell
from PIL import Image

import gricol_zoo
from gricol_zoo import GricolZooError, ImageError, Prediction, classify, create_model, create_transform, optimize
from gricol_zoo.data.arrays import as_batch, load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.inference.predict import predict_rows

MODELS = {
    "preparation 1": ("gricol_r18half_n3_128", {}),
    "preparation 2": ("r18half_192", SMALL),
    "the paper's": ("r50half", SMALL),
    "three channels": ("r18half_128", {"in_chans": 3, **SMALL}),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    name, changes = MODELS[request.param]
    return create_model(name, deployed=True, **changes).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five crops."""
    folder = tmp_path_factory.mktemp("crops")
    write_cell(folder / "all")
    for n in range(5):
        (folder / "all" / f"crop {n:02d}.png").rename(folder / f"{n}.png")
    return [folder / f"{n}.png" for n in range(5)]


def pixels(file):
    return np.asarray(Image.open(file))


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def expected(model, files):
    """What the network gets from these files when they are read as a set."""
    images = open_images(files[0].parent).subset(range(5))
    return as_batch(load_canvases(images, model.spec), model.spec)


WAYS = {
    "path": lambda file: file,
    "name": str,
    "bytes": lambda file: file.read_bytes(),
    "bytearray": lambda file: bytearray(file.read_bytes()),
    "PIL": Image.open,
    "PIL, RGB": lambda file: Image.open(file).convert("RGB"),
    "PIL, RGBA": lambda file: Image.open(file).convert("RGBA"),
    "PIL, palette": lambda file: Image.open(file).convert("P"),
    "array": pixels,
    "array of one channel": lambda file: pixels(file)[..., None],
    "array, RGB": lambda file: np.repeat(pixels(file)[..., None], 3, 2),
    "array upside down, its strides negative": lambda file: pixels(file)[::-1].copy()[::-1],
    "floats in 0..1": lambda file: pixels(file) / 255,
    "halves": lambda file: (pixels(file) / 255).astype(np.float16),
    "TIFF": lambda file: saved(Image.open(file), "TIFF"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_tensor(way, model, files, expected):
    transform = create_transform(model)
    for file, tensor in zip(files, expected, strict=True):
        found = transform(WAYS[way](file))
        assert (found.shape, found.dtype, found.is_contiguous()) == (tensor.shape, torch.float32, True)
        torch.testing.assert_close(found, tensor, rtol=0, atol=0.03 if way == "halves" else 1e-6)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64, np.uint32, ">u2"])
def test_a_12_bit_camera(dtype, files):
    model = create_model("r18half_192", deployed=True, **SMALL)
    levels = (pixels(files[0]).astype(np.uint16) * 16 + 15).astype(dtype)
    levels.flat[0] = 4095
    first = create_transform(model)(levels)
    again = create_transform(model)(saved(Image.fromarray(levels.astype(np.uint16)), "TIFF"))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.testing.assert_close(first, create_transform(model)(levels / 4095.0), rtol=0, atol=0.05)


def test_an_orientation_is_followed_as_in_a_file(files):
    model = create_model("r50half", deployed=True, **SMALL)
    image = Image.open(files[1]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    data = saved(image, "JPEG", exif=exif, quality=95)
    by_file, by_image = create_transform(model)(data), create_transform(model)(Image.open(io.BytesIO(data)))
    torch.testing.assert_close(by_image, by_file)
    plain = create_transform(model)(saved(image, "JPEG", quality=95))
    assert not torch.allclose(by_file, plain)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "F", "I"]
)
def test_every_mode_of_pil(mode, files):
    model = create_model("r18half_192", deployed=True, **SMALL)
    grey = Image.open(files[0])
    via = {"La": "LA", "PA": "P", "RGBa": "RGBA", "HSV": "RGB", "LAB": "RGB"}.get(mode)
    image = (grey.convert(via) if via else grey).convert(mode)
    found = create_transform(model)(image)
    if mode not in ("1", "La", "HSV"):
        assert (found - create_transform(model)(grey)).abs().mean() < 0.1
    assert torch.isfinite(found).all()


def test_it_may_be_pickled(model, files, expected):
    transform = pickle.loads(pickle.dumps(create_transform(model)))
    torch.testing.assert_close(transform(files[2]), expected[2])


def test_the_scale_undoes_a_camera(files):
    model = create_model("r18half_192", deployed=True, **SMALL)
    image = Image.open(files[0])
    twice = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
    usual = create_transform(model)(image)
    near, far = (create_transform(model, scale)(twice) for scale in (0.5, 1.0))
    assert (near - usual).abs().mean() < 0.1 < (far - usual).abs().mean()


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf, 1e9, 10**400, "2", "auto", None, True])
def test_a_scale_that_no_camera_has(scale, files):
    model = create_model("r18half_192", deployed=True, **SMALL)
    with pytest.raises(GricolZooError, match="Expected the scale"):
        create_transform(model, scale)
    with pytest.raises(GricolZooError, match="Expected the scale"):
        classify(model, files, scale=scale)


def cut(file):
    data = saved(Image.open(file).convert("RGB").resize((300, 300)), "JPEG")
    return Image.open(io.BytesIO(data[: len(data) // 2]))


HOPELESS = {
    "None": lambda file: None,
    "a number": lambda file: 5,
    "a list": lambda file: [[0, 1], [1, 0]],
    "a tensor": lambda file: torch.zeros(3, 4),
    "no such file": lambda file: file / "x.png",
    "a folder": lambda file: file.parent,
    "a name that no file can have": lambda file: "a\0b.png",
    "nothing": lambda file: b"",
    "no image": lambda file: b"no image",
    "cut off": cut,
    "five channels": lambda file: np.zeros((4, 4, 5), np.uint8),
    "floats in RGB": lambda file: np.zeros((4, 4, 3)),
    "one row": lambda file: np.zeros(4, np.uint8),
    "four axes": lambda file: np.zeros((1, 4, 4, 3), np.uint8),
    "no pixel data": lambda file: np.zeros((0, 4), np.uint8),
    "no columns": lambda file: np.zeros((4, 0, 3), np.uint8),
    "an empty image": lambda file: Image.new("L", (0, 0)),
    "complex": lambda file: np.zeros((4, 4), complex),
    "objects": lambda file: np.full((4, 4), None),
    "texts": lambda file: np.full((4, 4), "1"),
    "dates": lambda file: np.zeros((4, 4), "datetime64[s]"),
    "NaN": lambda file: np.full((4, 4), np.nan),
    "one NaN": lambda file: np.where(np.eye(4) > 0, np.nan, 1),
    "infinite": lambda file: np.where(np.eye(4) > 0, np.inf, 1),
    "huge floats": lambda file: np.where(np.eye(4) > 0, 1e300, 1),
    "huge integers": lambda file: np.where(np.eye(4) > 0, 2**40, 1),
    "huge unsigned integers": lambda file: np.where(np.eye(4) > 0, np.uint64(2**63), np.uint64(1)),
    "huge negative integers": lambda file: np.where(np.eye(4) > 0, -(2**40), 1),
    "blank": lambda file: np.full((9, 9), 7, np.uint8),
    **{name: lambda file, data=data: data for name, (data, _) in BAD_FILES.items()},
}


@pytest.mark.parametrize("name", HOPELESS)
def test_a_bad_image_is_an_error_and_the_others_go_on(name, files):
    model = create_model("r18half_192", deployed=True, **SMALL)
    with pytest.raises(ImageError) as error:
        create_transform(model)(HOPELESS[name](files[0]))
    first, bad, last = classify(model, [files[0], HOPELESS[name](files[0]), files[1]])
    assert bad == Prediction(error=str(error.value).splitlines()[0])
    assert bad.error
    assert (first.error, last.error) == ("", "")
    assert None not in (first.label, last.probability, last.polarity)


@pytest.fixture(scope="module")
def telling(files):
    """A model with polarity whose answers differ between images, calibrated and with a threshold."""
    model = create_model("r18half_192", **SMALL).eval()
    with torch.no_grad():
        torch.nn.init.normal_(model.classifier.weight, std=30.0)
        features = model.forward_features(torch.stack([create_transform(model)(file) for file in files])).mean((0, 2, 3))
        model.classifier.bias.copy_(-model.classifier.weight @ features)  # remove what all images have in common
    model.info = {"temperature": 2.0, "review_threshold": 0.3}
    return model


def test_answers_are_those_of_the_logits(telling, files):
    answers = classify(telling, files, batch_size=2)
    images = torch.stack([create_transform(telling)(file) for file in files])
    with torch.no_grad():
        logits, up = telling.both(images)
    probabilities = (logits.double() / 2).softmax(1)
    assert len({answer.label for answer in answers}) > 1
    for answer, p, arm in zip(answers, probabilities, up, strict=True):
        (first, second), places = p.topk(2)
        assert (answer.label, answer.second) == tuple(gricol_zoo.CHROMOSOMES[place] for place in places)
        assert (answer.probability, answer.second_probability) == pytest.approx((float(first), float(second)), abs=1e-4)
        assert answer.polarity == pytest.approx(float(arm), abs=1e-4)
        assert answer.review == (answer.probability < 0.3)
        assert (answer.warnings, answer.error) == ((), "")


def test_answers_are_those_of_predict(telling, files):
    rows = next(predict_rows(telling, open_images(files[0].parent).subset(range(5)), dtype="fp32"))
    for row, answer in zip(rows, classify(telling, files), strict=True):
        assert (row["prediction"], row["second"], row["review"]) == (answer.label, answer.second, answer.review)
        assert float(row["probability"]) == pytest.approx(answer.probability, abs=1e-3)
        assert row["turned"] == (answer.polarity < 0.5)


@pytest.mark.parametrize("way", ["path", "name", "bytes", "bytearray", "PIL", "array"])
def test_a_single_image_is_a_list_of_one(way, telling, files):
    (answer,) = classify(telling, WAYS[way](files[3]))
    (again,) = classify(telling, iter([files[3]]))
    assert answer.label == again.label
    assert answer.probability == pytest.approx(again.probability)
    assert classify(telling, []) == []


def test_what_the_weights_do_not_know_is_none(files):
    model = create_model("r18half_128", deployed=True, **SMALL).eval()
    (answer,) = classify(model, files[0])
    assert (answer.polarity, answer.review) == (None, None)
    one = create_model("r18half_128", deployed=True, num_classes=1, class_names=("x",), **SMALL)
    (answer,) = classify(one, files[0])
    assert (answer.label, answer.probability, answer.second, answer.second_probability) == ("x", 1.0, None, None)
    with pytest.raises(GricolZooError, match="no classifier"):
        classify(create_model("r18half_128", deployed=True, num_classes=0, **SMALL), files)


def test_a_model_is_left_as_it_was(telling, files):
    telling.train()
    telling.backbone.eval()  # as in a fine-tuning with frozen statistics
    modes = [module.training for module in telling.modules()]
    before = {name: value.clone() for name, value in telling.state_dict().items()}
    first = classify(telling, files)
    assert [module.training for module in telling.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in telling.state_dict().items())
    telling.eval()
    assert [answer.label for answer in classify(telling, files)] == [answer.label for answer in first]
    fast = classify(optimize(telling, "fp32"), files)
    assert [answer.label for answer in fast] == [answer.label for answer in first]


def test_warnings_come_with_the_answer(measured, files):
    model = create_model(f"local-dir:{measured}", pretrained=True, deployed=True)
    assert model.info.reference is not None
    crop = pixels(files[0])
    height = max(crop.shape)
    several = np.concatenate([np.pad(crop, ((0, height - crop.shape[0]), (6, 6)))] * 3, 1)
    usual, many, large, paged = classify(model, [files[0], several, np.kron(crop, np.ones((3, 3), np.uint8)), two_pages(files)])
    assert usual.warnings == ()
    assert many.warnings[0] == "several chromosomes in one crop: cut them apart"
    assert any(warning.startswith("larger than any chromosome") for warning in large.warnings)
    assert paged.warnings == ("only the first of 2 pages was used",)
    (again,) = classify(model, np.kron(crop, np.ones((3, 3), np.uint8)), scale=1 / 3)
    assert again.warnings == ()
    assert again.label == usual.label


def two_pages(files):
    stream = io.BytesIO()
    first, second = (Image.open(file) for file in files[:2])
    first.save(stream, "TIFF", save_all=True, append_images=[second])
    return stream.getvalue()
