"""The benchmark measures correctly: known times, known memory, known multiply-adds."""

import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import SMALL

import gricol_zoo
from benchmarks.speed.training_step import naive_loss
from gricol_zoo.benchmark import models
from gricol_zoo.benchmark.machine import CONVOLUTIONS, best_convolution, peak_steps
from gricol_zoo.benchmark.models import Subject, cost_of, inference_step, training_step
from gricol_zoo.benchmark.peers import on_runtime
from gricol_zoo.benchmark.rows import benchmark, to_markdown
from gricol_zoo.benchmark.timing import Spread, peak_memory_of, spread, time_in_turn
from gricol_zoo.cli import main
from gricol_zoo.data.rows import to_csv
from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.flops import count_forward
from gricol_zoo.runtimes.engines import ENGINES

MEBIBYTE = 2**20


def test_times_are_medians_of_steps_taken_in_turn():
    order = []

    def step(name, seconds):
        order.append(name)
        time.sleep(seconds)

    times = time_in_turn({"a": lambda: step("a", 0.05), "b": lambda: step("b", 0.1)}, rounds=3, warm_up=1, minimum=0.01)
    assert order == ["a", "b"] + ["a", "b"] * 3
    assert times["a"].rounds == 3
    assert 0.05 <= times["a"].median < 0.1 <= times["b"].median


def test_a_short_step_is_repeated_within_a_round(monkeypatch):
    clock, calls = [0.0], []

    def step():
        calls.append(1)
        clock[0] += 0.001

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    found = time_in_turn({"a": step}, rounds=2, warm_up=1, minimum=0.05)
    assert len(calls) == 1 + 2 * 50
    assert found["a"].median == pytest.approx(0.001)


def test_spread_is_median_and_quartiles():
    values = [0.5, 0.1, 0.9, 0.3, 0.7]
    assert spread(values) == Spread(0.5, 0.3, 0.7, 5)


def fill(mebibytes):
    """Return a step that briefly holds that much memory."""
    litter = [np.ones(MEBIBYTE // 4, np.uint8) for _ in range(800)]  # 200 MiB, freed before the step
    del litter
    return lambda: float(np.ones(mebibytes * MEBIBYTE, np.uint8).sum())


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux reports the peak of a step")
@pytest.mark.parametrize("mebibytes", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_peak_memory_is_what_a_step_holds(mebibytes):
    assert peak_memory_of(fill, mebibytes) == pytest.approx(mebibytes, abs=25)


def test_peaks_count_their_own_multiply_adds():
    steps, gmacs = peak_steps("fp32")
    assert gmacs["matrix 2048"] == pytest.approx(8.590, abs=0.001)
    assert set(CONVOLUTIONS) < set(steps) == set(gmacs)
    times = {name: Spread(1.0, 1.0, 1.0, 1) for name in steps}
    assert best_convolution(times, gmacs) == max(gmacs[name] for name in CONVOLUTIONS)
    times["conv 1x1 128-256x28x28"] = Spread(0.001, 0.001, 0.001, 1)
    assert best_convolution(times, gmacs) == pytest.approx(1000 * 8 * 128 * 256 * 28 * 28 / 1e9)


def test_costs_agree_with_count():
    cost = cost_of(Subject("gricol_r18half_n3_128"))
    counted = gricol_zoo.count(gricol_zoo.create_model("gricol_r18half_n3_128"))
    assert cost["gmacs"] == pytest.approx(counted.lower)
    assert cost["params"] == pytest.approx(counted.params_deployed)
    assert cost["size"] == (1, 128, 96)


def test_count_forward_of_one_convolution():
    gmacs, macts = count_forward(torch.nn.Conv2d(3, 8, 3, padding=1, bias=False).eval(), torch.zeros(1, 3, 10, 20))
    assert gmacs * 1e9 == pytest.approx(3 * 8 * 9 * 200)
    assert macts * 1e6 == pytest.approx(8 * 200)


@pytest.mark.parametrize(("name", "in_chans"), [("r18half_128", 0), ("timm/resnet18", 1)])
def test_forms_agree_on_what_they_compute(name, in_chans):
    plain, fast = (inference_step(Subject(name, form, in_chans=in_chans), 2)() for form in ("as is", "optimized"))
    assert not torch.equal(fast, plain)
    torch.testing.assert_close(fast, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "runtime"), [("r18half_128", "openvino"), ("timm/resnet10t", "onnxruntime")])
def test_ours_and_timms_run_on_another_runtime(name, runtime):
    plain = inference_step(Subject(name, "as is"), 2)()
    there = inference_step(Subject(name, "optimized", "fp32", runtime=runtime), 2)()
    assert not torch.equal(there, plain)
    torch.testing.assert_close(there, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


@pytest.mark.slow
def test_a_network_that_answers_otherwise_there_is_refused(monkeypatch):
    monkeypatch.setattr(ENGINES["onnxruntime"], "open", lambda *_: lambda images: [np.ones((len(images), 4), np.float32)])
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    with pytest.raises(GricolZooError, match="gives other answers than torch"):
        on_runtime(net, torch.randn(2, 1, 8, 8), "onnxruntime", "fp32")


def test_auto_is_the_fastest_of_what_is_there(monkeypatch):
    asked = []
    monkeypatch.setattr(models, "inference_step", lambda one, _: asked.append(one) or one)
    seconds = {("torch", "fp32"): 3, ("onnxruntime", "fp32"): 2, ("openvino", "fp32"): 1}
    times = lambda steps, rounds: {key: spread([seconds[one.runtime, one.dtype]]) for key, one in steps.items()}  # noqa: E731
    monkeypatch.setattr(models, "time_in_turn", times)
    best = models.settled(Subject("r18half_128", "optimized", "fp32", runtime="auto"), 2)
    assert (best.runtime, best.dtype, len(asked)) == ("openvino", "fp32", 3)


def test_a_runtime_is_for_optimized_models_and_inference(capsys):
    with pytest.raises(GricolZooError, match="only runs optimized models on the processor"):
        Subject("r18half_128", "as is", runtime="openvino")
    assert main(["benchmark", "r18half_128", "--bench", "train", "--runtime", "openvino"]) == 2
    assert "only applies to inference" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["as is", "optimized"])
def test_a_training_step_trains(form, monkeypatch):
    seen = {}
    load = gricol_zoo.benchmark.models.load
    monkeypatch.setattr(gricol_zoo.benchmark.models, "load", lambda subject: seen.setdefault("it", load(subject)))
    step = training_step(Subject("gricol_r18half_n3_128", form), 2)
    model = seen["it"][0]
    before = {key: value.clone() for key, value in model.named_parameters()}
    for _ in range(3):  # in the first step, batch-norms that start at zero keep their blocks out
        step()
    assert all(not torch.equal(value, before[key]) for key, value in model.named_parameters())


def test_rows_have_timms_columns_and_their_conditions():
    rows = benchmark([Subject("r18half_128"), Subject("timm/resnet10t", in_chans=1)], ["infer", "train"], 2, 2, memory=False)
    row = rows[0]
    for column in (
        "infer_samples_per_sec",
        "infer_step_time",
        "infer_batch_size",
        "infer_img_size",
        "infer_gmacs",
        "infer_macts",
    ):
        assert column in row
    for column in ("train_samples_per_sec", "train_step_time", "train_batch_size", "train_img_size", "param_count"):
        assert column in row
    assert row["infer_samples_per_sec"] == pytest.approx(2000 / row["infer_step_time"], rel=0.01)
    assert row["infer_gmacs_per_sec"] == pytest.approx(row["infer_gmacs"] * row["infer_samples_per_sec"], rel=0.01)
    assert row["infer_peak_fraction"] == pytest.approx(row["infer_gmacs_per_sec"] / row["conv_peak_gmacs_per_sec"], rel=0.01)
    assert (row["threads"], row["torch"], row["rounds"]) == (torch.get_num_threads(), torch.__version__, 2)
    assert rows[1]["in_chans"] == 1
    assert list(csv.DictReader(io.StringIO(to_csv(rows))))[1]["model"] == "timm/resnet10t"


def test_markdown_leaves_out_what_no_row_has():
    text = to_markdown([{"model": "a", "infer_samples_per_sec": 12.34}, {"model": "b"}])
    assert text == "| model | images/s |\n| --- | --- |\n| a | 12.3 |\n| b |  |\n"


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = tmp_path / "new" / "speed.csv"
    short = ["--batch-size", "2", "--rounds", "1", "--no-memory"]
    assert main(["benchmark", "r18half_128", *short, "--runtime", "torch", "openvino", "--out", str(out)]) == 0
    assert capsys.readouterr().out == out.with_suffix(".md").read_text()
    rows = [(row["form"], row["runtime"]) for row in csv.DictReader(out.open())]
    assert rows == [("as is", "torch"), ("optimized", "torch"), ("optimized", "openvino")]


@pytest.mark.parametrize("name", ["r18haf_128", "timm/no_such_model"])
def test_a_misspelt_name_is_one_line(name, capsys):
    assert main(["benchmark", name, "--rounds", "1"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert name.removeprefix("timm/") in said.err


def test_the_naive_reference_is_the_same_loss():
    model = gricol_zoo.create_model("gricol_r50half_n3", **SMALL).eval()  # fixed batch-norm statistics, so that both ways agree
    images, labels = torch.randn(2, 1, *SMALL["image_size"]), torch.tensor([3, 7])
    loss = gricol_zoo.GridLoss(beta=0.03, ramp_epoch=2)
    for epoch in (0.0, 1.0, 5.0):
        expected = gricol_zoo.TrainingTask(model, loss)(images, labels, epoch)
        torch.testing.assert_close(naive_loss(model, images, labels, epoch, 0.03, 2), expected)
