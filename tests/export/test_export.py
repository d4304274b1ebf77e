"""An exported model gives the same answers as in Python, for every name; a file that would not is refused and removed."""

import json

import numpy as np
import onnx
import pytest
import torch
from helpers.awake import awake, lower_branch_of, small_model
from helpers.models import SMALL, WITH_TRUNK
from helpers.synthetic import tiny_set
from torch import nn

from gricol_zoo import GricolZooError, create_model, list_models, optimize
from gricol_zoo.cli import main
from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.preprocess import prepare
from gricol_zoo.export import check as checks
from gricol_zoo.export import export_model, open_exported
from gricol_zoo.export import write as exporting
from gricol_zoo.export.check import canvases_of, synthetic_crops
from gricol_zoo.export.graph import PortableModel, file_metadata, trace
from gricol_zoo.export.int8 import Int8, quantize

NAME = "gricol_r18half_n3_128.qband"
VARIANTS = {"gricol_r50half_n2", "gricol_r50half_n4", "gricol_r50half_n3_nooverlap", "gril_r50half"}  # of gricol_r50half_n3
SLOW = {
    "cirnet",
    "cirnet_pooled",
    "bcnn_vgg16",
    "gricol_r50half_n3",
    "r50half",
    "resnet50",
    "siamese2017",
    *VARIANTS,
    *WITH_TRUNK,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Models and their files, by what is exported; names of one family share them."""
    known, folder = {}, tmp_path_factory.mktemp("exported")

    def make(name):
        model = awake(small_model(name))
        key = lower_branch_of(model.spec)
        if key not in known:
            portable = PortableModel(model)
            program, file = trace(portable), folder / f"{len(known)}.onnx"
            exporting.write_onnx(program, file, file_metadata(portable, "onnx"))
            known[key] = model, program, open_exported(file, threads=1)
        return known[key]

    return make


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in list_models()]
)
def test_every_name_answers_alike_in_onnx_runtime_and_as_pt2(name, made):
    model, program, onnx_model = made(name)
    canvases = canvases_of(model, synthetic_crops(7))
    with torch.no_grad():
        expected = model(as_batch(canvases, model.spec)).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()  # or the check could not fail
    module, bound = program.module(), 1e-4 * max(1.0, float(np.abs(expected).max()))
    for batch in (1, 2, 7):
        np.testing.assert_allclose(onnx_model.logits(canvases[:batch]), expected[:batch], atol=bound, rtol=0)
        got = module(torch.from_numpy(canvases[:batch]))
        np.testing.assert_allclose(got[0] if model.polarity else got, expected[:batch], atol=bound, rtol=0)


@pytest.fixture(scope="module")
def model():
    return create_model(NAME, pretrained=True)


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    """Its ONNX file, which takes canvases."""
    file = tmp_path_factory.mktemp("plain") / "model.onnx"
    export_model(model, file)
    return file


@pytest.mark.parametrize(
    ("format", "crops"),
    [
        ("onnx", False),
        pytest.param("onnx", True, marks=pytest.mark.slow),
        ("pt2", False),
        pytest.param("pt2", True, marks=pytest.mark.slow),
    ],
)
def test_a_file_says_what_it_is_and_answers_alike(model, format, crops, tmp_path):
    file = tmp_path / "new" / f"model.{format}"
    found = export_model(model, file, format, crops=crops)
    assert (found.images, found.changed) == (48, 0)
    exported = open_exported(file)
    assert exported.labels == model.spec.labels
    assert exported.image_size == (128, 96)
    assert exported.takes_crops == crops
    assert exported.info["model"] == "gricol_r18half_n3_128"
    assert exported.info["weights_sha256"] == model.info["sha256"]
    assert float(exported.info["temperature"]) == model.info["temperature"]
    assert json.loads(exported.info["preprocess"])["orientation"] == "upright"
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    crop = synthetic_crops(1, seed=5)
    given = crop[0] if crops else canvases_of(model, crop)[0]
    with torch.no_grad():
        expected = model(as_batch(canvases_of(model, crop), model.spec)).numpy()
    np.testing.assert_allclose(exported.logits(np.stack([given] * 3)), np.repeat(expected, 3, 0), atol=2e-2 if crops else 1e-4)
    assert exported.inputs == tuple(json.loads(exported.info["inputs"])) == (("images", "scale") if crops else ("images",))
    if crops:
        assert_scales(model, exported, crop[0])


def assert_scales(model, exported, crop):
    """Check scales: each image's answer is Python's for its own scale, one scale holds for all, mistakes are named."""
    how, size, scales = model.spec.preprocess, model.spec.image_size, (0.6, 1.0, 1.5)
    canvases = np.stack([prepare(crop, how, size, scale).canvas for scale in scales])
    with torch.no_grad():
        expected = model(as_batch(canvases, model.spec)).numpy()
    crops, bound = np.stack([crop] * 3), 5e-3 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[2]).max() > 10 * bound  # or the check could not fail
    np.testing.assert_allclose(exported.logits(crops, scales), expected, atol=bound)
    np.testing.assert_allclose(exported.logits(crops, 0.6), np.repeat(expected[:1], 3, 0), atol=bound)
    for wrong in ([1.0, 2.0], [[1.0]] * 3):
        with pytest.raises(GricolZooError, match=r"one for each of 3 images, but got shape \("):
            exported.logits(crops, wrong)
    for wrong in (0, -1.0, float("nan"), [1.0, 1.0, float("inf")]):
        with pytest.raises(GricolZooError, match="Expected `scale` to be positive, but got"):
            exported.logits(crops, wrong)


@pytest.mark.slow  # `test_canvas.py` has the same canvas as torch computes it
@pytest.mark.parametrize("ending", ["pt2", "onnx"])
def test_preparation_2_and_polarity_in_one_file(ending, tmp_path):
    model = awake(create_model("r18half_192", polarity=True))
    file = tmp_path / f"model.{ending}"
    found = export_model(model, file, ending, crops=True, check=synthetic_crops(12))
    assert (found.images, found.changed, found.turned) == (12, 0, 0)
    exported, crop = open_exported(file), synthetic_crops(1, seed=5)[0]
    assert json.loads(exported.info["preprocess"])["version"] == 2
    assert_scales(model, exported, crop)
    for scale in (None, 0.7):
        logits, up = exported.both(crop[None], scale)
        assert (logits.shape, up.shape) == ((1, 24), (1,))
        np.testing.assert_array_equal(exported.logits(crop[None], scale), logits)
        canvas = prepare(crop, model.spec.preprocess, model.spec.image_size, scale or 1.0).canvas
        with torch.no_grad():
            _, expected = model.both(as_batch(canvas[None], model.spec))
        np.testing.assert_allclose(up, expected, atol=0.02)


def test_a_file_without_a_scale_says_so():
    from gricol_zoo.export.reader import ExportedModel

    info = {"labels": "[]", "image_size": "[9, 9]", "input": "crops"}  # an older file, which names no inputs
    exported = ExportedModel(info, lambda given, wanted: [np.full((len(given["images"]), 2), float(len(given)))])
    assert exported.inputs == ("images",)
    assert exported.logits(np.zeros((3, 9, 9))).tolist() == [[1, 1]] * 3
    with pytest.raises(GricolZooError, match="takes no `scale`: it does not contain the preparation of rotated"):
        exported.logits(np.zeros((3, 9, 9)), 1.0)
    paper = create_model("r50half", **SMALL)
    assert [PortableModel(paper, crops).inputs for crops in (False, True)] == [["images"], ["images"]]


def test_int8_is_int8_and_nearly_as_good(model, tmp_path):
    found = export_model(model, tmp_path / "m.onnx", "int8", check=synthetic_crops(48, 1), calibrate=synthetic_crops(64, 2))
    assert found.difference > 1e-3  # it was rounded
    assert found.changed <= 1
    graph = onnx.load(tmp_path / "m.onnx").graph
    kinds = {each.name: each.data_type for each in graph.initializer}
    stored = [each for each in graph.node if each.op_type == "DequantizeLinear" and each.input[0] in kinds]
    weights = [each for each in stored if kinds[each.input[0]] == onnx.TensorProto.INT8]
    convolutions = sum(each.op_type == "Conv" for each in graph.node)
    assert len(weights) == convolutions == 21
    assert {each.op_type for each in graph.node} >= {"Conv", "Gemm", "QuantizeLinear"}  # the classifier stays in fp32
    for each in weights:  # seven bits of eight: no overflow where the processor adds products of bytes in 16 bits
        values = onnx.numpy_helper.to_array(next(one for one in graph.initializer if one.name == each.input[0]))
        assert np.abs(values).max() <= 64
    assert (tmp_path / "m.onnx").stat().st_size < 3.5e6
    assert open_exported(tmp_path / "m.onnx").info["precision"] == "int8"


def parameters_of(file):
    """Return an int8 file's weights (int8), and the scales of its activations by name."""
    graph = onnx.load(file).graph
    values = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    activations = [each for each in graph.node if each.op_type == "QuantizeLinear"]
    return [each for each in values.values() if each.dtype == np.int8], {
        each.input[0]: values[each.input[1]] for each in activations
    }


@pytest.mark.slow
def test_each_choice_of_int8_does_something(model, plain, tmp_path):
    canvases = canvases_of(model, synthetic_crops(24, 2))  # three batches of the calibration
    found = {}
    for how in (Int8(), Int8(seven_bits=False), Int8(mean_ranges=False), Int8(operators=("Conv",))):
        quantize(plain, tmp_path / "int8.onnx", canvases, how)
        found[how] = parameters_of(tmp_path / "int8.onnx")
    usual, extreme = found[Int8()][1], found[Int8(mean_ranges=False)][1]
    assert max(np.abs(each).max() for each in found[Int8(seven_bits=False)][0]) == 127
    assert usual.keys() == extreme.keys()
    assert all(usual[name] <= extreme[name] for name in usual)
    assert sum(usual[name] < 0.99 * extreme[name] for name in usual) > len(usual) / 2
    assert len(found[Int8(operators=("Conv",))][1]) != len(usual)


@pytest.fixture
def tampered(plain, monkeypatch):
    """Let every export write a file that gives other answers."""
    graph = onnx.load(plain)
    bias = next(each for each in graph.graph.initializer if each.name.endswith("classifier.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.1), bias.name))
    monkeypatch.setattr(exporting, "trace", lambda portable: None)
    monkeypatch.setattr(exporting, "write_onnx", lambda program, file, info: onnx.save(graph, file))


@pytest.mark.slow
@pytest.mark.usefixtures("tampered")
def test_a_file_that_answers_otherwise_is_refused_and_not_kept(model, tmp_path, capsys):
    with pytest.raises(GricolZooError, match=r"does not match the Python model.*differ by up to 0.1.*Nothing was written"):
        export_model(model, tmp_path / "m.onnx")
    assert main(["export", NAME, "--out", str(tmp_path / "m.onnx")]) == 2
    assert "does not match the Python model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tampered")
def test_a_file_from_before_stays_where_the_new_one_is_refused(model, tmp_path):
    file = tmp_path / "m.onnx"
    file.write_bytes(b"before")
    with pytest.raises(GricolZooError):
        export_model(model, file)
    assert file.read_bytes() == b"before"


def test_a_comparison_says_how_far_apart_logits_are(model):
    crops = synthetic_crops(9)
    with torch.no_grad():
        expected = model(as_batch(canvases_of(model, crops), model.spec)).numpy()
    seen = []

    class Exported:
        takes_crops = False

        def logits(self, images):
            start = sum(seen)
            seen.append(len(images))
            return expected[start : start + len(images)] + off[start : start + len(images)]

    off = np.zeros_like(expected)
    off[8, 3], off[2, 5] = 30, 20  # in another batch each
    found = checks.compare(model, Exported(), crops)
    assert found.images == 9
    assert found.difference == pytest.approx(30, abs=1e-4)
    assert found.rms == pytest.approx(((30**2 + 20**2) / expected.size) ** 0.5, rel=1e-4)
    assert found.scale == pytest.approx(np.abs(expected).max(), rel=1e-4)
    assert (found.changed, found.after[8], found.after[2]) == (2, 3, 5)


@pytest.mark.parametrize(
    ("agreement", "refused"),
    [
        ((0.0, [1, 2], [1, 2]), False),
        ((0.004, [1, 2], [1, 3]), False),  # a tie within the tolerance
        ((0.006, [1, 2], [1, 2]), True),
        ((0.004, [1, 2], [3, 3]), True),
        ((float("nan"), [1, 2], [1, 2]), True),
    ],
)
def test_what_is_refused(agreement, refused):
    class Exported:
        info = {"precision": "fp32", "input": "canvases"}  # noqa: RUF012

    difference, before, after = agreement
    found = checks.Agreement(difference, 0.0, 5.0, np.array(before), np.array(after))
    if refused:
        with pytest.raises(GricolZooError, match="does not match the Python model"):
            checks.check_agreement(found, Exported())
    else:
        checks.check_agreement(found, Exported())


class Undecided(nn.Module):
    """A backbone whose control flow depends on its input."""

    num_features = 4

    def __init__(self, in_chans):
        super().__init__()
        self.layer = nn.Conv2d(in_chans, 4, 3)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else self.layer(-x)


def test_what_cannot_be_exported_says_why(tmp_path, monkeypatch):
    from gricol_zoo import BACKBONES

    monkeypatch.setitem(BACKBONES._items, "undecided", Undecided)
    with pytest.raises(GricolZooError, match=r"cannot be exported. torch.export failed: "):
        export_model(create_model("r18half_128", backbone="undecided").eval(), tmp_path / "m.onnx")


def test_mistakes_in_python(model, tmp_path):
    with pytest.raises(GricolZooError, match="one of onnx, pt2, int8, but got 'tflite'"):
        export_model(model, tmp_path / "m.onnx", "tflite")
    with pytest.raises(GricolZooError, match=r"ends in \.pt2 for pt2, but got 'm\.onnx'"):
        export_model(model, tmp_path / "m.onnx", "pt2")
    with pytest.raises(GricolZooError, match="int8 needs images"):
        export_model(model, tmp_path / "m.onnx", "int8")
    with pytest.raises(GricolZooError, match="int8 cannot include the preprocessing"):
        export_model(model, tmp_path / "m.onnx", "int8", crops=True, calibrate=synthetic_crops(1))
    with pytest.raises(GricolZooError, match="Export the original model"):
        export_model(optimize(model, "fp32"), tmp_path / "m.onnx")
    (tmp_path / "no.onnx").write_bytes(b"no")
    for file, said in (("no.onnx", "is not a readable model exported by gricol_zoo"), ("nowhere.pt2", "No such file")):
        with pytest.raises(GricolZooError, match=said):
            open_exported(tmp_path / file)


def test_the_command_on_images_with_known_classes(tmp_path, capsys):
    data = tiny_set(tmp_path / "set")
    split = tmp_path / "split.csv"
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    split.write_text("case,cell,part\n" + "".join(f"c{i:02d},c{i:02d},{part}\n" for i, part in enumerate(parts)))
    out = tmp_path / "m.onnx"
    given = ["--data", str(data), "--split", str(split), "--out", str(out), "--images", "5"]
    assert main(["export", NAME, "--format", "int8", *given]) == 0
    said = capsys.readouterr().err
    assert f"{out}: on 5 images of {data} (val), logits differ by at most " in said
    assert said.count(" % ") == 2
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NAME, "--format", "int8"], "Give --data and --split"),
        ([NAME, "--split", "s.csv"], "Give --data, or"),
        (["gricol_r50half_n2"], "No pretrained weights exist for 'gricol_r50half_n2'"),
        (["poletti2012"], "classical"),
        ([NAME, "--format", "tflite"], "invalid choice"),
        (["gricol_r19"], "Unknown model"),
    ],
)
def test_mistakes_at_the_command_line(arguments, said, tmp_path, capsys):
    out = tmp_path / "m.onnx"
    try:
        code = main(["export", *arguments, "--out", str(out)])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_library_is_named(tmp_path, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", NAME, "--out", str(tmp_path / "m.onnx")]) == 2
    assert "pip install 'gricol_zoo[export]'" in capsys.readouterr().err
