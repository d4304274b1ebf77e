"""Training from a set of images to a folder: what it writes, how it stops, how it resumes."""

import csv
import dataclasses
import errno
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.synthetic import tiny_set

from gricol_zoo import GricolZooError, create_model
from gricol_zoo.cli import main
from gricol_zoo.commands.common import STOPPED
from gricol_zoo.data.augment import mix
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split, split_for
from gricol_zoo.training.recipes import LIGHT, PAPER, Recipe, get_recipe
from gricol_zoo.training.train import learning_rate, make_optimizer, train, update_average

QUICK = dataclasses.replace(LIGHT, epochs=2, batch_size=8, precision="fp32")
MODEL = "r18half_128"


@pytest.fixture(scope="module")
def trained(chromosomes, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    images, split, name = split_for(open_images(chromosomes), 0)
    assert train(images, split, MODEL, QUICK, out, device="cpu", split_name=name)
    return out


def test_what_a_training_writes(trained):
    model = create_model(f"local-dir:{trained}", pretrained=True)
    assert model.name == MODEL
    info = model.info
    assert info["training"]["recipe"] == json.loads(json.dumps(QUICK.to_dict()))
    assert info["training"]["images"] == 18
    assert len(info["training"]["groups"]) == 6
    assert 0 < info["temperature"] <= 20
    assert 0 <= info["review_threshold"] <= 1
    assert model.spec.preprocess.mean != 0.5  # measured on the train part
    rows = list(csv.DictReader((trained / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])


def test_the_split_that_was_made_is_kept(trained, chromosomes):
    images, split, _ = split_for(open_images(chromosomes), 0)
    assert read_split(trained / "split.csv") == split
    assert apply_split(images, split)["test"].records


def test_an_image_level_split_is_not_kept_as_one_of_cells(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", split_name="image-level, of a test")
    assert not (tmp_path / "run" / "split.csv").exists()


def test_a_used_folder_is_refused_without_resume(trained, chromosomes):
    images, split, _ = split_for(open_images(chromosomes), 0)
    with pytest.raises(GricolZooError, match="already has a run"):
        train(images, split, MODEL, QUICK, trained, device="cpu")


def test_a_checkpoint_of_another_run_is_named(trained, chromosomes):
    images, split, _ = split_for(open_images(chromosomes), 0)
    with pytest.raises(GricolZooError, match=r"its model is 'r18half_128', not 'gril_r18half_128'"):
        train(images, split, "gril_r18half_128", QUICK, trained, resume=True, device="cpu")
    with pytest.raises(GricolZooError, match=r"its recipe is lr 0.002, not 0.5"):
        train(images, split, MODEL, dataclasses.replace(QUICK, lr=0.5), trained, resume=True, device="cpu")


def test_a_cut_checkpoint_is_named(trained, chromosomes, tmp_path):
    data = (trained / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    images, split, _ = split_for(open_images(chromosomes), 0)
    with pytest.raises(GricolZooError, match="truncated"):
        train(images, split, MODEL, QUICK, tmp_path, resume=True, device="cpu")


@pytest.mark.slow  # `test_a_mixed_training_learns` is quicker
def test_a_network_learns_a_dozen_images_by_heart(tmp_path):
    images, split, _ = split_for(open_images(tiny_set(tmp_path / "set", cells=8, classes=("1", "16", "21"))), 0)
    recipe = dataclasses.replace(PAPER, epochs=30, batch_size=6, precision="fp32")
    train(images, split, MODEL, recipe, tmp_path / "run", device="cpu")
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert float(rows[-1]["train_loss"]) < 0.1


def test_a_training_of_another_precision_may_have_gone_before(chromosomes, tmp_path):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()
    Accelerator(cpu=True, mixed_precision="bf16")
    images, split, _ = split_for(open_images(chromosomes), 0)
    assert train(images, split, MODEL, dataclasses.replace(QUICK, epochs=1), tmp_path / "run", device="cpu")


def test_labels_other_than_chromosomes(tmp_path):
    folder = tiny_set(tmp_path / "set", cells=6)
    text = (folder / "manifest.csv").read_text().replace(",21,", ",marker,")
    (folder / "manifest.csv").write_text(text)
    images, split, _ = split_for(open_images(folder), 0)
    train(images, split, MODEL, dataclasses.replace(QUICK, epochs=1), tmp_path / "run", device="cpu")
    assert create_model(f"local-dir:{tmp_path / 'run'}", pretrained=True).spec.labels == ("1", "5", "marker")


def arguments(data, out, *more):
    base = ["train", "--data", str(data), "--out", str(out), "--device", "cpu"]
    return [*base, "--model", "gricol_r18half_n3_128", *more]


def progress(checkpoint):
    try:
        state = torch.load(checkpoint, weights_only=True)
        return state["epoch"], state["step"]
    except (FileNotFoundError, RuntimeError, EOFError):
        return -1, 0


@pytest.fixture
def recipe_file(tmp_path):
    recipe = dataclasses.replace(QUICK, epochs=2, batch_size=4)
    (tmp_path / "recipe.json").write_text(json.dumps(recipe.to_dict()))
    return tmp_path / "recipe.json"


@pytest.mark.slow
def test_killed_in_mid_epoch_and_resumed_is_bit_equal(chromosomes, tmp_path, recipe_file):
    options = ["--recipe", str(recipe_file), "--checkpoint-every", "0"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(arguments(chromosomes, whole, *options)) == 0
    command = [sys.executable, "-m", "gricol_zoo", *arguments(chromosomes, broken, *options)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums in the same order
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while progress(broken / "checkpoint.pt") < (0, 2) and time.monotonic() < deadline:
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    epoch, step = progress(broken / "checkpoint.pt")
    assert (0, 2) <= (epoch, step) < (2, 0)
    assert not (broken / "model.safetensors").exists()
    assert main(arguments(chromosomes, broken, *options, "--resume")) == 0
    assert (broken / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ends = [[row["train_loss"] for row in csv.DictReader((run / "log.csv").open())] for run in (whole, broken)]
    assert ends[0] == ends[1]


def test_time_limit_stops_cleanly_and_resume_finishes(chromosomes, tmp_path, recipe_file, capsys):
    options = ["--recipe", str(recipe_file), "--epochs", "1"]
    assert main(arguments(chromosomes, tmp_path / "run", *options, "--time-limit", "0")) == STOPPED
    assert "not finished: stopped at epoch 1, step 1; continue with --resume" in capsys.readouterr().err
    assert main(arguments(chromosomes, tmp_path / "run", *options, "--resume")) == 0
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_schedules():
    cosine = Recipe(epochs=10, schedule="cosine", warmup_epochs=2, lr=1.0)
    assert learning_rate(cosine, 0) < 0.02
    assert learning_rate(cosine, 1) == pytest.approx(0.5, abs=0.01)
    assert learning_rate(cosine, 2) == 1.0
    assert learning_rate(cosine, 6) == pytest.approx(0.5)
    assert learning_rate(cosine, 10) == pytest.approx(0)
    assert {learning_rate(PAPER, epoch) for epoch in (0, 100, 199.9)} == {1e-3}


def test_average_against_a_loop():
    model = torch.nn.BatchNorm1d(2)
    average = {key: value.clone() for key, value in model.state_dict().items()}
    expected = np.zeros(2)
    for step in range(30):
        value = np.array([step, -step], float)
        model.bias.data = torch.tensor(value, dtype=torch.float32)
        model.num_batches_tracked += 1
        update_average(average, model, 0.9, step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * value
    np.testing.assert_allclose(average["bias"].numpy(), expected, rtol=1e-5)
    assert average["num_batches_tracked"] == 30


def test_vectors_do_not_decay():
    groups = make_optimizer(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), LIGHT).param_groups
    assert [len(group["params"]) for group in groups] == [1, 3]
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]


def test_recipes(tmp_path):
    assert get_recipe("paper") == PAPER == Recipe(200, 28, "adam", 1e-3)
    assert get_recipe("light", epochs=3, seed=None).epochs == 3
    (tmp_path / "r.json").write_text(json.dumps(LIGHT.to_dict()))
    assert get_recipe(str(tmp_path / "r.json")) == LIGHT
    (tmp_path / "bad.json").write_text('{"epoch": 3}')
    for name, message in (
        ("heavy", "Unknown recipe 'heavy'"),
        (str(tmp_path / "bad.json"), "Unknown option `epoch` of Recipe"),
    ):
        with pytest.raises(GricolZooError, match=message):
            get_recipe(name)
    with pytest.raises(GricolZooError, match="`optimizer` to be one of adam, adamw"):
        Recipe(optimizer="sgd")


def test_checkpointing_ends_with_the_same_weights(trained, chromosomes, tmp_path):
    images, split, name = split_for(open_images(chromosomes), 0)
    train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", split_name=name, grad_checkpointing=True)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_checkpointing_and_compiling_exclude_each_other(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    with pytest.raises(GricolZooError, match="Choose one"):
        train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", grad_checkpointing=True, compile=True)


@pytest.mark.slow
def test_a_compiled_training_learns(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", compile=True)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])


def test_mixing_against_a_loop():
    images, labels = torch.rand(5, 4, 3), torch.tensor([0, 2, 1, 2, 0])
    mixed, target = mix(images, labels, 3, 0.4, seed=7)
    keep = np.random.default_rng(7).beta(0.4, 0.4)
    for i in range(5):
        expected = keep * images[i] + (1 - keep) * images[i - 1]
        torch.testing.assert_close(mixed[i], expected.float(), rtol=1e-5, atol=1e-6)
        assert target[i].sum() == pytest.approx(1)
        share = {int(labels[i]): 0.0, int(labels[i - 1]): 0.0}
        share[int(labels[i])] += keep
        share[int(labels[i - 1])] += 1 - keep
        for index, value in share.items():
            assert float(target[i, index]) == pytest.approx(value, abs=1e-6)


def test_a_mixed_training_learns(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    train(images, split, MODEL, dataclasses.replace(QUICK, epochs=4, mixup=0.2), tmp_path / "run", device="cpu")
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_a_loss_that_is_no_number_stops_at_the_last_good_checkpoint(chromosomes, tmp_path, monkeypatch):
    images, split, _ = split_for(open_images(chromosomes), 0)
    module = importlib.import_module("gricol_zoo.training.train")
    step = module.train_step

    def poisoned(job, batch, epoch, number):
        if (epoch, number) == (1, 1):
            next(job.run.task.parameters()).data.fill_(float("nan"))
        return step(job, batch, epoch, number)

    monkeypatch.setattr(module, "train_step", poisoned)
    with pytest.raises(GricolZooError, match=r"epoch 2, step 2: the loss became infinite or NaN. The last good checkpoint"):
        train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", checkpoint_every=0)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 1)
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_weights_that_are_no_numbers_are_not_saved(chromosomes, tmp_path, monkeypatch):
    """An infinite gradient spoils the weights after a loss that was still finite."""
    images, split, _ = split_for(open_images(chromosomes), 0)
    module = importlib.import_module("gricol_zoo.training.train")
    step = module.train_step

    def spoiling(job, batch, epoch, number):
        loss = step(job, batch, epoch, number)
        next(job.run.task.parameters()).data.fill_(float("inf"))
        return loss

    monkeypatch.setattr(module, "train_step", spoiling)
    with pytest.raises(GricolZooError, match=r"the weights became infinite or NaN. There is no checkpoint yet"):
        train(images, split, MODEL, QUICK, tmp_path / "run", device="cpu", checkpoint_every=0)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(chromosomes, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--data", str(chromosomes), "--model", MODEL, "--out", str(out), "--device", "cpu", "--epochs", "2"]
    assert main([*arguments, "--time-limit", "0"]) == STOPPED
    before = (out / "checkpoint.pt").read_bytes()
    write = Path.write_bytes

    def full(self, data):
        if "checkpoint" in self.name:
            write(self, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    capsys.readouterr()
    assert main([*arguments, "--resume", "--checkpoint-every", "0"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"gricol-zoo: {out / 'checkpoint.pt'}: No space left on device; the previous file is unchanged"
    assert (out / "checkpoint.pt").read_bytes() == before
    assert [file.name for file in out.iterdir() if file.name.startswith(".")] == []


def test_missing_classes_are_named(chromosomes, tmp_path, capfd):
    images, split, _ = split_for(open_images(chromosomes), 0)
    held = {key for key, part in split.items() if part == "val"}
    kept = images.subset(i for i, r in enumerate(images.records) if r.label != "5" or (r.case, r.cell) in held)
    train(kept, split, MODEL, dataclasses.replace(QUICK, epochs=1), tmp_path / "run", device="cpu")
    assert "warning: the train part has no image of 5" in capfd.readouterr().err


def test_changes_reach_the_model(chromosomes, tmp_path, capsys):
    out = tmp_path / "run"
    base = ["train", "--data", str(chromosomes), "--model", "gricol_r18half_n3_128", "--epochs", "1", "--device", "cpu"]
    changes = ["--change", "grid=2", "--change", "head_options.gate=channel", "--change", "preprocess.orientation=as-is"]
    assert main([*base, "--out", str(out), *changes]) == 0
    spec = create_model(f"local-dir:{out}", pretrained=True).spec
    assert (spec.grid, spec.head_options, spec.preprocess.orientation) == (2, {"gate": "channel"}, "as-is")
    assert spec.preprocess.contrast == "p99"
    wrong = {
        "grid": "FIELD=VALUE",
        "gird=2": "`gird`",
        "preprocess.scales=2": "`scales`",
        "drop_rate=high": "`drop_rate` to be a number",
        "image_size=1.5": "`image_size`",
        "preprocess=upright": "`preprocess` to be",
        "preprocess.scale=big": "`scale` to be a number",
        "backbone=5": "`backbone` to be a name",
        "head_options=2": "`head_options` to be a mapping",
        "head_options.gates=2": "no option 'gates'",
        "backbone=resnet": "resnet",
    }
    capsys.readouterr()
    for text, message in wrong.items():
        assert main([*base, "--out", str(tmp_path / "no"), "--change", text]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1
    assert main([*base, "--out", str(tmp_path / "no"), "--change", "grid=2", "--change", "grid.x=3"]) == 2
    assert "contradicts" in capsys.readouterr().err
    assert main([*base, "--out", str(tmp_path / "no"), "--init", "typo"]) == 2
    assert not (tmp_path / "no").exists()


def test_what_is_set_by_hand_is_not_measured(chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    changes = {"preprocess": {"scale": 1.25, "mean": 0.5}}
    train(images, split, MODEL, dataclasses.replace(QUICK, epochs=1), tmp_path / "run", changes=changes, device="cpu")
    how = create_model(f"local-dir:{tmp_path / 'run'}", pretrained=True).spec.preprocess
    assert (how.scale, how.mean) == (1.25, 0.5)
    assert how.std != 0.25


def test_a_start_may_move_but_not_change(trained, chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    run, recipe = tmp_path / "run", dataclasses.replace(QUICK, epochs=1)
    train(images, split, MODEL, recipe, run, init=str(trained), device="cpu", time_limit=0)
    shutil.copytree(trained, tmp_path / "moved")
    with pytest.raises(GricolZooError, match="its init is"):
        train(images, split, MODEL, recipe, run, resume=True, device="cpu")
    assert train(images, split, MODEL, recipe, run, init=str(tmp_path / "moved"), resume=True, device="cpu")


def test_starting_from_a_control(trained, chromosomes, tmp_path):
    images, split, _ = split_for(open_images(chromosomes), 0)
    start = dataclasses.replace(QUICK, epochs=1, lr=1e-9)
    train(images, split, "gricol_r18half_n3_128", start, tmp_path / "run", init=str(trained), device="cpu")
    grid, control = (create_model(f"local-dir:{path}", pretrained=True) for path in (tmp_path / "run", trained))
    torch.testing.assert_close(grid.backbone.conv1.weight, control.backbone.conv1.weight)
    assert grid.info["training"]["init_sha256"] == control.info["sha256"]
    assert grid.info["temperature_full"] != grid.info["temperature"]  # each is fitted to its own logits
    assert control.info["temperature_full"] == control.info["temperature"]
