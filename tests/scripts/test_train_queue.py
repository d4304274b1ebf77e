"""A queue of trainings: killed at any time, it ends with the weights of an uninterrupted one, and it lists what is left."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock
from helpers import ROOT
from helpers.synthetic import tiny_set

from benchmarks.make import train_queue
from gricol_zoo.errors import ConfigError
from gricol_zoo.training.state import CHECKPOINT_FILE

TINY = {
    "model": "r18half_128",
    "recipe": "light",
    "epochs": 2,
    "seed": 0,
    "recipe_changes": {"batch_size": 6, "precision": "fp32"},
    "changes": {"image_size": [32, 24], "cell_size": [16, 16]},
    "data": "set",
}
QUEUE = [{**TINY, "name": "first"}, {**TINY, "name": "second", "seed": 1, "init": "first"}]


@pytest.fixture
def folder(tmp_path):
    tiny_set(tmp_path / "set")
    (tmp_path / "queue.json").write_text(json.dumps(QUEUE))
    return tmp_path


def read(folder, queue):
    (folder / "queue.json").write_text(json.dumps(queue))
    return train_queue.read_queue(folder / "queue.json")


def weights(runs):
    return {name: (runs / name / "model.safetensors").read_bytes() for name in ("first", "second")}


def run(folder, runs, monkeypatch, *more):
    arguments = [str(folder / "queue.json"), "--data", str(folder), "--runs", str(runs), "--device", "cpu", *more]
    monkeypatch.setattr(sys, "argv", ["x", *arguments])
    return train_queue.main()


def test_it_trains_what_is_left_and_says_what_is(folder, monkeypatch, capsys):
    runs = folder / "runs"
    assert run(folder, runs, monkeypatch, "--list") == 1
    said = ["first: 2 of 2 epochs left", "second: waits for first", "left: first, second"]
    assert capsys.readouterr().out.splitlines() == said
    stopped = run(folder, runs, monkeypatch, "--time-limit", "0")  # after one step
    assert stopped == 1
    assert (runs / "first" / CHECKPOINT_FILE).exists()
    assert capsys.readouterr().out.splitlines()[-1] == "left: first, second"
    assert run(folder, runs, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == ["first: done", "second: done", "left: nothing"]
    first, second = (json.loads((runs / name / "config.json").read_text())["gricol_zoo"] for name in ("first", "second"))
    assert second["training"]["init_sha256"] == first["sha256"]
    before = weights(runs)
    assert run(folder, runs, monkeypatch) == 0  # nothing to do
    assert weights(runs) == before


def test_what_fails_is_passed_over(folder, monkeypatch, capsys):
    bad = {**QUEUE[0], "name": "bad", "data": "nowhere"}
    (folder / "queue.json").write_text(json.dumps([bad, {**QUEUE[0], "epochs": 1}, {**QUEUE[1], "init": "bad"}]))
    assert run(folder, folder / "runs", monkeypatch) == 1
    shown = capsys.readouterr().out
    assert "bad: failed: No such file or folder" in shown
    assert "first: done" in shown
    assert shown.splitlines()[-2:] == ["second: waits for bad", "left: bad, second"]


def test_two_processes_do_not_train_the_same(folder, monkeypatch, capsys):
    (folder / "runs").mkdir()
    with FileLock(folder / "runs" / ".first.lock"):
        assert run(folder, folder / "runs", monkeypatch) == 1
    assert "first: another process is training it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ({}, "to be a list of objects"),
        ([1], "to be a list of objects"),
        ([{**QUEUE[0], "epochs": "2"}], "training 1: expected 'epochs' to be a int, but got '2'"),
        ([QUEUE[0], {**QUEUE[1], "name": "first"}], "training 2: expected a unique short name"),
        ([{**QUEUE[0], "name": "../x"}], "expected a unique short name"),
        ([{**QUEUE[0], "lr": 1}], "'lr' is unknown"),
        ([{**QUEUE[0], "init": None}], "'init' is unknown, or cannot be None"),
    ],
)
def test_mistakes_are_named(folder, queue, message):
    with pytest.raises(ConfigError, match=message):
        read(folder, queue)


def start(folder, runs):
    command = [sys.executable, "-m", "benchmarks.make.train_queue", folder / "queue.json", "--data", folder, "--runs", runs]
    return subprocess.Popen(
        [*command, "--device", "cpu", "--checkpoint-every", "0"], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True
    )


def kill_when(process, happened):
    """Kill a process, by a signal that it cannot catch, once something has happened, unless it ends before."""
    while process.poll() is None and not happened():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_killed_it_ends_with_the_same_weights(folder):
    undisturbed, killed = folder / "undisturbed", folder / "killed"
    assert start(folder, undisturbed).wait() == 0
    first, second = killed / "first", killed / "second"
    for happened in (
        (first / "commit.txt").exists,  # while it reads the images
        (first / CHECKPOINT_FILE).exists,  # in the first epoch
        (first / "model.safetensors").exists,  # while it is written
        (second / CHECKPOINT_FILE).exists,
    ):
        kill_when(start(folder, killed), happened)
    last = start(folder, killed)
    shown, _ = last.communicate()
    assert last.returncode == 0
    assert shown.splitlines()[-1] == "left: nothing"
    assert weights(killed) == weights(undisturbed)
