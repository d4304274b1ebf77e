"""The commands as a user meets them: exit codes, one line for a mistake, no traceback."""

import csv
import json
import subprocess
import sys

import pytest
from test_data import BAD_FILES

from gricol_zoo import DEFAULT_MODEL, __version__
from gricol_zoo.cli import main


def run(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


def test_list(capsys):
    assert run("list", "gricol_r50half*") == 0
    assert capsys.readouterr().out.split() == [f"gricol_r50half_{n}" for n in ("n2", "n3", "n3_nooverlap", "n4")]
    assert run("list", "--pretrained") == 0
    assert DEFAULT_MODEL in capsys.readouterr().out.split()


def test_info_in_three_formats(capsys):
    assert run("info", "gricol_r18half_n3_128") == 0
    assert "Gflops (multiply-adds), upper branch" in capsys.readouterr().out
    assert run("info", "gricol_r18half_n3_128", "--format", "json") == 0
    info = json.loads(capsys.readouterr().out)
    assert info["params_m"] == 3.528
    assert "one multiply-add = 1" in info["unit"]
    assert run("info", "gricol_r18half_n3_128", "--format", "csv") == 0
    row = next(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert row["name"] == "gricol_r18half_n3_128"
    assert float(row["gmacs_full"]) == info["gmacs_full"]


def test_version_and_module_entry():
    done = subprocess.run([sys.executable, "-m", "gricol_zoo", "--version"], capture_output=True, text=True)
    assert done.stdout == f"gricol-zoo {__version__}\n"


def test_predict_and_validate_with_the_packaged_weights(chromosomes, tmp_path, capsys):
    assert run("predict", chromosomes, "--out", tmp_path / "a" / "predictions.csv") == 0
    rows = list(csv.DictReader((tmp_path / "a" / "predictions.csv").open()))
    assert len(rows) == 30
    assert "30 images" in capsys.readouterr().err
    assert run("validate", "--data", chromosomes, "--out", tmp_path / "report.json") == 0
    report = json.loads((tmp_path / "report.json").read_text())
    agreed = sum(row["label"] == row["prediction"] for row in rows)
    assert report["accuracy"] == pytest.approx(agreed / 30)
    assert report["model"] == DEFAULT_MODEL
    assert len(report["weights_sha256"]) == 64
    assert report["seen_in_training"] == 0


def test_validate_a_part_of_a_split(chromosomes, tmp_path):
    lines = ["case,cell,part", *(f"c{i:02d},c{i:02d},{'test' if i < 2 else 'train'}" for i in range(10))]
    (tmp_path / "split.csv").write_text("\n".join(lines))
    options = ["--data", chromosomes, "--split", tmp_path / "split.csv", "--out", tmp_path / "r.json"]
    assert run("validate", *options) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["images"], report["cells"], report["part"], report["split"]) == (6, 2, "test", "split.csv")
    assert run("validate", *options, "--part", "val") == 2


def test_a_bad_image_is_a_row_and_the_command_succeeds(tmp_path, capsys):
    for name, (data, _) in BAD_FILES.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    assert run("predict", tmp_path, "--out", tmp_path / "p.csv") == 0
    assert f"{len(BAD_FILES)} could not be read" in capsys.readouterr().err


@pytest.fixture
def places(tmp_path, chromosomes):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "file").write_text("")
    return {"tmp": tmp_path, "good": chromosomes}


MISTAKES = [
    ("info gricol_r50half_n5", "Unknown model"),
    ("info gricol_r50half_n3.zband", "Unknown tag"),
    ("info org/repo", "hf-hub:org/repo"),
    ("list --pretraind", "unrecognized arguments: --pretraind"),
    ("frobnicate", "invalid choice: 'frobnicate'"),
    ("", "required: COMMAND"),
    ("predict {tmp}/empty --out {tmp}/p.csv", "holds no images"),
    ("predict {tmp}/nowhere --out {tmp}/p.csv", "No such file or folder"),
    ("predict {tmp}/text.csv --out {tmp}/p.csv", "no column 'path'"),
    ("predict {good} --out {tmp}/p.csv --model r50half", "No weights have been released"),
    ("predict {good} --out {tmp}/p.csv --model {tmp}/empty", "has no config.json"),
    ("predict {good} --out {tmp}/p.csv --batch-size 0", "expected at least 1, but got 0"),
    ("predict {good} --out {tmp}/file/p.csv", "file"),
    ("predict {good} --out {tmp}/p.csv --device warp", "The device 'warp' cannot be used"),
    ("predict {good}", "--out --shards is required"),
    ("validate --data {good} --out {tmp}/r.json --split {tmp}/none.csv", "No split file"),
    ("validate --data {good} --out {tmp}/r.json --split {tmp}/text.csv", "expected case,cell,part"),
    ("validate --data {good} --out {tmp}/r.json --layout tape", "Unknown layout 'tape'"),
    ("validate --data {good} --out {tmp}/r.json --dtype fp8", "invalid choice: 'fp8'"),
    ("train --data {good} --out {tmp}/run --model nothing", "Unknown model 'nothing'"),
    ("train --data {good} --out {tmp}/run --model r18half_128 --recipe heavy", "No recipe 'heavy'"),
    ("train --data {good} --out {tmp}/run --model r18half_128 --epochs none", "invalid whole number"),
    ("demo --bend 900 --out {tmp}/d.png", "300 degrees"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line or "nothing" for line, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_2(line, message, places, capsys):
    assert run(*line.format(**places).split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_missing_extra_is_named(monkeypatch, capsys, chromosomes, tmp_path):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert run("train", "--data", chromosomes, "--out", tmp_path / "run", "--model", "r18half_128") == 2
    assert "pip install 'gricol_zoo[train]'" in capsys.readouterr().err
