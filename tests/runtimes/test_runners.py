"""A model on another runtime: it gives the same answers as torch, or is refused."""

import argparse
import shutil

import numpy as np
import pytest
import torch
from helpers.awake import awake, one_name_per_lower_branch, small_model
from helpers.synthetic import tiny_set

from gricol_zoo import GricolZooError, create_model, optimize
from gricol_zoo.cli import main
from gricol_zoo.commands.common import runtime_option
from gricol_zoo.errors import CheckpointError
from gricol_zoo.inference.classifier import of_network
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.inference.precision import choose_dtype, has_bf16
from gricol_zoo.inference.workers import side_by_side
from gricol_zoo.runtimes import RUNTIMES, Runner, choose, make_runner, store
from gricol_zoo.runtimes.engines import ENGINES
from gricol_zoo.runtimes.runner import example_images, plain_form

OTHERS = sorted(ENGINES)


@pytest.fixture(scope="module")
def model():
    return create_model("r18half_192.qband", pretrained=True)


@pytest.fixture
def own(model, tmp_path, monkeypatch):
    """A cache for this test, with the model's file and the record of its check."""
    shutil.copytree(make_runner(model, "onnxruntime", "fp32")._file.parent, tmp_path / "runtimes")
    monkeypatch.setenv("GRICOL_ZOO_CACHE", str(tmp_path))
    return tmp_path / "runtimes"


@pytest.fixture
def unchecked(own, monkeypatch):
    """The same cache without the record of the check; the file is not written again."""
    for note in own.glob("*.json"):
        note.unlink()
    monkeypatch.setattr(store, "write_network", lambda net, file: None)
    return own


@pytest.mark.parametrize("runtime", OTHERS)
def test_it_answers_as_torch_does(runtime, model):
    runner = make_runner(model, runtime, "fp32")
    images = example_images(runner.model)[:5]
    with torch.inference_mode():
        logits, up = model.both(images)
    torch.testing.assert_close(runner(images), logits, rtol=1e-3, atol=1e-3)
    for got, expected in zip(runner.both(images), (logits, up), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    assert runner.spec == model.spec
    assert runner.name == model.name
    assert runner.dtype == "fp32"
    assert runner.model.classifier.weight.is_meta
    assert not model.classifier.weight.is_meta


def test_bf16_is_computed_in_or_refused(model):
    if not has_bf16():
        with pytest.raises(GricolZooError, match="no bf16 on this processor"):
            make_runner(model, "openvino", "bf16")
        return
    runner = make_runner(model, "openvino", "auto")
    images = example_images(runner.model)
    with torch.inference_mode():
        expected = model(images)
    assert runner.dtype == choose_dtype("auto") == "bf16"
    assert 1e-5 < (runner(images) - expected).abs().max() / expected.abs().max() < 0.05


@pytest.mark.parametrize("runtime", OTHERS)
def test_int8_is_another_file_and_the_same_classes(runtime, model):
    runner, plain = make_runner(model, runtime, "int8"), make_runner(model, runtime, "fp32")
    images = example_images(runner.model)
    assert runner.dtype == "int8"
    assert 1e-3 < runner.difference < 0.25
    assert (runner(images).argmax(1) == plain(images).argmax(1)).float().mean() > 0.9
    assert runner._file.stat().st_size < 0.3 * plain._file.stat().st_size


def test_int8_that_changes_classes_is_refused(model, monkeypatch, unchecked):
    right = store.quantize
    monkeypatch.setattr(store, "quantize", lambda plain, made, images: right(plain, made, images * 0 - 1))
    with pytest.raises(CheckpointError, match=r"in int8. A logit differs by .* of the images get another class"):
        make_runner(model, "onnxruntime", "int8")


def test_the_public_door_opens_every_runtime(model):
    assert optimize(model, "fp32", runtime="onnxruntime").runtime == "onnxruntime"
    assert isinstance(optimize(model, "fp32"), type(model))
    with pytest.raises(GricolZooError, match="`compile` only works with torch"):
        optimize(model, compile=True, runtime="openvino")
    with pytest.raises(GricolZooError, match="For int8 take another runtime"):
        optimize(model, "int8")


@pytest.mark.parametrize("runtime", OTHERS)
def test_any_batch_and_any_workers(runtime, model):
    runner = make_runner(model, runtime, "fp32")
    canvases = np.random.default_rng(0).integers(0, 255, (11, *model.spec.image_size), np.uint8)
    expected = predict_logits(model, canvases)
    for batch_size, workers in ((1, 1), (4, 2), (11, 1), (3, 5)):
        np.testing.assert_allclose(predict_logits(runner, canvases, batch_size, workers=workers), expected, atol=2e-3)


@pytest.mark.parametrize("runtime", OTHERS)
def test_what_it_cannot_is_said(runtime, model):
    runner = make_runner(model, runtime, "fp32")
    with pytest.raises(GricolZooError, match="only runs the lower branch"):
        runner.full(torch.zeros(1, 1, *model.spec.image_size))
    with pytest.raises(GricolZooError, match="no classifier"):
        make_runner(create_model("r18half_192", num_classes=0), runtime)
    with pytest.raises(GricolZooError, match="optimized for torch"):
        make_runner(make_runner(model, "torch"), runtime)


def test_unknown_and_absent_ones_are_said(model, monkeypatch):
    with pytest.raises(GricolZooError, match="one of torch, onnxruntime, openvino, auto, but got 'tensorrt'"):
        make_runner(model, "tensorrt")
    with pytest.raises(GricolZooError, match="onnxruntime computes in fp32 or int8 here, but bf16"):
        make_runner(model, "onnxruntime", "bf16")
    for runtime, engine in ENGINES.items():
        monkeypatch.setattr(type(engine), "version", lambda self: "")
        with pytest.raises(
            GricolZooError, match=rf"{runtime} is not installed. Run: pip install 'gricol_zoo\[{engine.extra}\]'"
        ):
            make_runner(model, runtime)
    assert not isinstance(make_runner(model, "auto"), Runner)  # torch is always there


def test_the_check_is_made_once(model, monkeypatch):
    make_runner(model, "onnxruntime", "fp32")
    monkeypatch.setattr("gricol_zoo.runtimes.runner.check", lambda *_: pytest.fail("checked again"))
    monkeypatch.setattr("gricol_zoo.runtimes.store.write_network", lambda *_: pytest.fail("written again"))
    assert 0 < make_runner(model, "onnxruntime", "fp32").difference < 1e-3


@pytest.mark.parametrize("change", ["version", "processor"])
def test_it_is_checked_again_where_something_else_computes(change, model, monkeypatch, own):
    checks = []
    monkeypatch.setattr("gricol_zoo.runtimes.runner.check", lambda *_: checks.append(1) or 0.0)
    if change == "version":
        monkeypatch.setattr(type(ENGINES["onnxruntime"]), "version", lambda self: "99.0")
    else:
        monkeypatch.setattr("gricol_zoo.runtimes.store.processor", lambda: "another")
    make_runner(model, "onnxruntime", "fp32")
    assert checks


@pytest.mark.slow
def test_an_altered_file_is_made_anew(model, own):
    runner = make_runner(model, "onnxruntime", "fp32")
    file = runner._file
    assert file.parent == own
    whole = file.read_bytes()
    place = whole.index(model.classifier.bias.detach().numpy().tobytes()[:8])
    file.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
    images = example_images(runner.model)[:2]
    torch.testing.assert_close(make_runner(model, "onnxruntime", "fp32")(images), runner(images))
    assert file.read_bytes() == whole


def test_one_that_answers_otherwise_is_refused(model, monkeypatch, unchecked):
    right = type(ENGINES["onnxruntime"]).open

    def wrong(self, *arguments):
        network = right(self, *arguments)
        return lambda images: [part[:, ::-1].copy() if part.ndim > 1 else part for part in network(images)]

    monkeypatch.setattr(type(ENGINES["onnxruntime"]), "open", wrong)
    with pytest.raises(CheckpointError, match="gives other answers than torch"):
        make_runner(model, "onnxruntime", "fp32")
    assert not list(unchecked.glob("*.json"))  # so it will be checked the next time
    monkeypatch.setattr(type(ENGINES["openvino"]), "version", lambda self: "")
    with pytest.warns(UserWarning, match="other answers"):
        assert not isinstance(make_runner(model, "auto", "fp32"), Runner)


def test_auto_takes_the_fastest_and_remembers_it(model, monkeypatch, own):
    speeds, timed = {"onnxruntime": 1.0, "openvino": 3.0}, []
    monkeypatch.setattr(choose, "seconds_of", lambda one, _: timed.append(one) or speeds.get(getattr(one, "runtime", ""), 2.0))
    assert make_runner(model, "auto", "fp32").runtime == "onnxruntime"
    assert len(timed) == 3
    assert make_runner(model, "auto", "fp32").runtime == "onnxruntime"
    assert len(timed) == 3
    monkeypatch.setattr(type(ENGINES["openvino"]), "version", lambda self: "")
    assert make_runner(model, "auto", "fp32").runtime == "onnxruntime"
    assert len(timed) == 5


def test_auto_tries_int8_where_the_precision_is_free(monkeypatch):
    best = choose_dtype("auto")
    free = [("torch", best), ("onnxruntime", "fp32"), ("onnxruntime", "int8"), ("openvino", best), ("openvino", "int8")]
    assert choose.candidates("auto") == free
    assert choose.candidates("fp32") == [("torch", "fp32"), ("onnxruntime", "fp32"), ("openvino", "fp32")]
    assert choose.candidates("int8") == [("onnxruntime", "int8"), ("openvino", "int8")]


def test_a_cache_that_cannot_be_written_is_said(model, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRICOL_ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(GricolZooError, match="Set GRICOL_ZOO_CACHE to a writable folder"):
        make_runner(model, "onnxruntime")


def test_weights_that_differ_have_files_of_their_own(model):
    other = create_model("r18half_192.qband", pretrained=True)
    assert store.digest_of(plain_form(other)) == store.digest_of(plain_form(model))
    with torch.no_grad():
        other.classifier.bias[0] += 1
    assert store.digest_of(plain_form(other)) != store.digest_of(plain_form(model))


def test_threads_share_an_open_file(model):
    runner = make_runner(model, "openvino", "fp32")
    images = example_images(runner.model)
    expected = runner(images)
    for got in side_by_side(lambda _: runner(images), range(8), 4):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert len(runner._open) <= 2


@pytest.mark.parametrize("runtime", OTHERS)
def test_commands_take_it_and_note_it(runtime, tmp_path, capsys):
    cell = tiny_set(tmp_path / "set", cells=3)
    rows = {}
    for which in ("torch", runtime):
        out = tmp_path / f"{which}.csv"
        assert main(["predict", str(cell), "--out", str(out), "--dtype", "fp32", "--runtime", which]) == 0
        rows[which] = [line.split(",")[4] for line in out.read_text().splitlines()]
    assert rows["torch"] == rows[runtime]
    assert main(["validate", "--data", str(cell), "--out", str(tmp_path / "r.json"), "--runtime", runtime, "--full"]) == 2
    assert "runs the lower branch alone" in capsys.readouterr().err


def test_a_classifier_says_what_computes(model):
    classifier = of_network(make_runner(model, "onnxruntime", "fp32"))
    assert classifier.runtime.startswith("onnxruntime 1.")
    assert classifier.dtype == "fp32"
    assert of_network(model).runtime == "torch"
    assert classifier.weights_sha256 == model.info.sha256


def test_the_words_of_the_commands_are_those_of_the_package():
    parser = argparse.ArgumentParser()
    runtime_option(parser)
    assert tuple(parser._option_string_actions["--runtime"].choices) == RUNTIMES


@pytest.mark.slow
@pytest.mark.parametrize("name", one_name_per_lower_branch())
def test_every_name_answers_as_torch_does(name):
    """Names that differ in their grid or head alone share a lower branch, which is all that a runtime has."""
    torch.manual_seed(0)
    model = awake(small_model(name))
    images = example_images(plain_form(model))[:7]
    with torch.no_grad():
        expected = model(images)
    bound = 1e-3 * float(expected.abs().max())
    assert (expected.amax(0) - expected.amin(0)).max() > 10 * bound  # or the check could not fail
    for runtime in OTHERS:
        runner = make_runner(model, runtime, "fp32")
        assert runner.difference < 1e-3
        for count in (1, 7):
            torch.testing.assert_close(runner(images[:count]), expected[:count], rtol=0, atol=bound)
