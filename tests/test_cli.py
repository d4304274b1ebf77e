"""The commands as a user runs them: exit codes, one line for a mistake, no traceback."""

import csv
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from helpers.bad_files import BAD_FILES
from helpers.commands import run
from helpers.models import OLD_MODEL, SMALL
from helpers.synthetic import tiny_set, write_cell
from PIL import Image

from gricol_zoo import DEFAULT_MODEL, __version__, create_model
from gricol_zoo.cli import _parser
from gricol_zoo.commands.predict import doubts
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.errors import QualityWarning
from gricol_zoo.karyotype.assign import MAX_CHROMOSOMES
from gricol_zoo.models.info import WeightsInfo


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


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """A folder with weights of the paper's preparation, which does not turn crops upright."""
    folder = tmp_path_factory.mktemp("paper") / "weights"
    create_model("r50half", **SMALL).save_pretrained(folder)
    return folder


@pytest.fixture
def places(tmp_path, chromosomes, paper):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "file").write_text("")
    (tmp_path / "one.png").write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path / "one.png")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    return {"tmp": tmp_path, "good": chromosomes, "paper": paper}


MISTAKES = [
    ("info gricol_r50half_n5", "Unknown model"),
    ("info gricol_r50half_n3.zband", "Unknown tag"),
    ("info org/repo", "hf-hub:org/repo"),
    ("list --pretraind", "unrecognized arguments: --pretraind"),
    ("frobnicate", "invalid choice: 'frobnicate'"),
    ("", "required: COMMAND"),
    ("predict {tmp}/empty --out {tmp}/p.csv", "contains no images"),
    ("predict {tmp}/nowhere --out {tmp}/p.csv", "No such file or folder"),
    ("predict {tmp}/text.csv --out {tmp}/p.csv", "no column 'path'"),
    ("predict {good} --out {tmp}/p.csv --model gricol_r50half_n2", "No pretrained weights exist"),
    ("predict {good} --out {tmp}/p.csv --model {tmp}/empty", "has no config.json"),
    ("predict {good} --out {tmp}/p.csv --batch-size 0", "expected at least 1, but got 0"),
    ("predict {good} --out {tmp}/file/p.csv", "file"),
    ("predict {good} --out {tmp}/p.csv --device warp", "The device 'warp' is not available"),
    ("predict {good}", "--out --shards is required"),
    ("validate --data {good} --out {tmp}/r.json --split {tmp}/none.csv", "No such split file"),
    ("validate --data {good} --out {tmp}/r.json --split {tmp}/text.csv", "no column 'case'. Columns found: a, b"),
    ("validate --data {good} --out {tmp}/r.json --layout tape", "Unknown layout 'tape'"),
    ("validate --data {good} --out {tmp}/r.json --dtype fp8", "invalid choice: 'fp8'"),
    ("train --data {good} --out {tmp}/run --model nothing", "Unknown model 'nothing'"),
    ("train --data {good} --out {tmp}/run --model r18half_128 --recipe heavy", "Unknown recipe 'heavy'"),
    ("train --data {good} --out {tmp}/run --model r18half_128 --epochs none", "invalid whole number"),
    ("demo --bend 900 --out {tmp}/d.png", "300 degrees"),
    *((f"predict {{good}} --out {{tmp}}/p.csv --scale {scale}", f"but got '{scale}'") for scale in ("0", "abc", "nan", "1e9")),
    ("predict {good} --shards {tmp}/shards --scale 0", "auto, none, or a number in 0.0625..16, but got '0'"),
    ("predict {good} --out {tmp}/p.csv --scale 0 --model {tmp}/empty", "but got '0'"),
    ("validate --data {good} --out {tmp}/r.json --scale abc", "auto, none, or a number in 0.0625..16, but got 'abc'"),
    ("karyotype {good} --out {tmp}/k --scale nan", "auto, none, or a number in 0.0625..16, but got 'nan'"),
    (
        "train --data {good} --out {tmp}/run --model r18half_128 --scale -1",
        "auto, none, or a number in 0.0625..16, but got '-1'",
    ),
    ("predict {good} --out {tmp}/p.csv --model {paper} --preparation 2", "uses crops without preparation, as in the paper"),
    ("validate --data {good} --out {tmp}/r.json --model {paper} --preparation 2", "Leave --preparation out"),
    ("karyotype {good} --out {tmp}/k --model {paper} --preparation 2", "Leave --preparation out"),
    ("predict {good} --out {tmp}/p.csv --preparation 3", "invalid choice: 3"),
    ("predict {good} --out {tmp}/p.csv --ground purple", "invalid choice: 'purple'"),
]


LONG = "n" * 300
MISTAKES += [
    (f"predict {{good}} --out {{tmp}}/{LONG}.csv", "nnn...: File name too long"),
    (f"predict {{tmp}}/{LONG}.png --out {{tmp}}/p.csv", "nnn...: File name too long"),
    (f"karyotype {{tmp}}/{LONG} --out {{tmp}}/k", "nnn...: File name too long"),
    ("predict {good} --out {tmp}/round", "round: Too many levels of symbolic links"),
    ("predict {tmp}/text.csv --out {tmp}/text.csv", "--out would overwrite the input"),
    ("explain {tmp}/one.png --out {tmp}/link.png", "--out would overwrite the input"),
    ("validate --data {good} --split {tmp}/text.csv --out {tmp}/text.csv", "--out would overwrite the input"),
    ("demo --out {tmp}/demo.txt", "Expected a picture file such as demo.png"),
    ("predict {good} {good}/ --out {tmp}/p.csv", "is given twice. Remove one"),
    ("embed --data {tmp}/text.csv --out {tmp}/text.png", "--out would overwrite the input"),
    ("predict {tmp}/empty --out {tmp}/empty/manifest.csv", "would write manifest.csv into the data"),
    ("embed --data {tmp}/empty --out {tmp}/empty/map.png", "would write map.png into the data"),
    ("embed --data {tmp}/empty --out {tmp}/empty/manifest.svg", "would write manifest.csv into the data"),
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


def test_a_refused_scale_leaves_no_run_behind(chromosomes, tmp_path):
    assert run("predict", chromosomes, "--shards", tmp_path / "shards", "--scale", "abc") == 2
    assert not (tmp_path / "shards").exists()


def lines_of(capsys):
    """The warnings on stderr, as grep finds them: a progress bar, which rewrites its own line, does not hide them."""
    said = capsys.readouterr().err.split("\n")
    assert not [line for line in said if "warning: " in line and not line.startswith("warning: ")]
    return [line for line in said if line.startswith("warning: ")]


def test_weights_that_know_nothing_say_so_once_a_run(chromosomes, tmp_path, capsys):
    said = "warning: not checked: no reference in these weights"
    for command in (
        ["predict", chromosomes, "--out", tmp_path / "p.csv"],
        ["predict", chromosomes, "--shards", tmp_path / "shards"],
        ["karyotype", chromosomes, "--out", tmp_path / "k"],  # ten cells
    ):
        assert run(*command, "--model", OLD_MODEL) == 0
        assert lines_of(capsys).count(said) == 1
    assert run("predict", chromosomes, "--out", tmp_path / "p.csv", "--model", DEFAULT_MODEL) == 0
    assert said not in lines_of(capsys)


def test_images_with_a_warning_are_counted(chromosomes, tmp_path, capsys):
    images = tmp_path / "images"
    shutil.copytree(chromosomes / "images" / "c00", images)
    first = sorted(images.iterdir())[0]
    assert run("predict", images, "--out", tmp_path / "p.csv", "--model", OLD_MODEL) == 0
    assert [line for line in lines_of(capsys) if "with warnings, see" in line] == []
    for n in range(2):
        shutil.copy(first, images / f"z{n}.png")
        for where in (["--out", tmp_path / "p.csv"], ["--shards", tmp_path / f"s{n}"]):
            assert run("predict", images, *where, "--model", OLD_MODEL) == 0
            said = f"warning: {n + 1} image{'s' * n} with warnings, see the column `warnings` of {where[1]}"
            assert [line for line in lines_of(capsys) if "with warnings, see" in line] == [said]


@pytest.mark.parametrize(
    ("review", "readable", "expected", "says"),
    [
        (9, 9, 0.1, False),  # too few images
        (30, 100, 0.1, False),
        (31, 100, 0.1, True),
        (39, 100, 0.2, False),
        (41, 100, 0.2, True),
        (100, 100, None, False),  # the weights do not say what is usual
        (0, 0, 0.1, False),
    ],
)
def test_many_doubts_are_said(review, readable, expected, says):
    info = WeightsInfo({} if expected is None else {"val": {"review_fraction": expected}})
    said = doubts(review, readable, info)
    assert len(said) == says
    if says:
        assert said[0].startswith(f"{review / readable:.0%} of the images need review, against {expected:.0%}")


@pytest.mark.filterwarnings("ignore:something else")
def test_only_warnings_of_quality_are_lines_of_their_own(monkeypatch, capsys, chromosomes, tmp_path):
    def noisy(paths, layout):
        warnings.warn("a\nname\nof lines", QualityWarning, stacklevel=2)
        warnings.warn("a\nname\nof lines", QualityWarning, stacklevel=2)  # of another image, in the same words
        warnings.warn("something else", UserWarning, stacklevel=2)
        raise SystemExit(7)

    monkeypatch.setattr("gricol_zoo.inference.predict.open_paths", noisy)
    assert run("predict", chromosomes, "--out", tmp_path / "p.csv") == 7
    said = capsys.readouterr().err
    assert said.count("warning: a name of lines\n") == 2
    assert "warning: something else" not in said


def test_scale_auto_says_what_it_could_not_tell(chromosomes, measured, tmp_path, capsys):
    assert run("predict", chromosomes, "--out", tmp_path / "p.csv", "--model", measured, "--scale", "auto") == 0
    few = "too few crops to estimate it (needs at least 20 of one cell or case)"
    assert [line for line in lines_of(capsys) if "scale taken" in line] == [
        f"warning: c00/c00, c01/c01, c02/c02 and 7 more cells: scale taken as 1: {few}"
    ]
    assert run("predict", chromosomes, "--out", tmp_path / "p.csv", "--model", OLD_MODEL, "--scale", "auto") == 0
    assert "warning: scale not checked, 1 was used: these weights have no reference length" in lines_of(capsys)


def test_another_ground_is_said_and_kept(chromosomes, tmp_path):
    options = ["--data", chromosomes, "--out", tmp_path / "r.json", "--model", OLD_MODEL]
    assert run("validate", *options, "--ground", "dark", "--preparation", "2", "--scale", "1.0") == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["ground"], report["preparation"], report["scale"]) == ("dark", 2, 1.0)
    right = report["accuracy"]
    assert run("validate", *options, "--ground", "light", "--preparation", "2") == 0
    wrong = json.loads((tmp_path / "r.json").read_text())
    assert wrong["ground"] == "light"
    assert wrong["accuracy"] < right


def test_every_cell_is_in_the_table(tmp_path, capsys):
    write_cell(tmp_path / "one cell")
    assert run("karyotype", tmp_path / "one cell", "--out", tmp_path / "out", "--model", OLD_MODEL) == 0
    (row,) = csv.DictReader((tmp_path / "out" / "cells.csv").open())
    assert ",".join(row).startswith("case,cell,draft,images,unassigned,unreadable,doubtful,scale,warnings,checked,")
    assert (row["cell"], row["draft"], row["images"], row["warnings"]) == ("one cell", "46,XY", "46", "")


def test_every_option_has_a_help_text():
    commands = next(action for action in _parser()._actions if action.metavar == "COMMAND").choices
    missing = [
        f"{name} {'/'.join(action.option_strings) or action.dest}"
        for name, command in commands.items()
        for action in command._actions
        if not action.help
    ]
    assert not missing


def small_cell(folder, count=3):
    folder.mkdir(parents=True)
    for number, (_, _, grey) in enumerate(render_cell(0)[:count]):
        Image.fromarray((grey * 255).astype(np.uint8)).save(folder / f"crop{number}.png")
    return folder


@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("ascii", marks=pytest.mark.slow)])
def test_a_code_page_stops_nothing(encoding, tmp_path):
    for name in ("\u7ec6\u80de1", "\u7ec6\u80de2"):
        small_cell(tmp_path / "set" / name)
    command = [sys.executable, "-m", "gricol_zoo", "karyotype", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\\u7ec6\\u80de1: ")
    assert len(list((tmp_path / "out").rglob("karyotype.json"))) == 2
    assert [row["cell"] for row in read_csv(tmp_path / "out" / "cells.csv")] == ["\u7ec6\u80de1", "\u7ec6\u80de2"]


def test_a_cell_that_fails_leaves_the_others_done(tmp_path, capsys):
    small_cell(tmp_path / "set" / "a")
    small_cell(tmp_path / "set" / "c")
    (tmp_path / "set" / "b").mkdir()
    for number in range(MAX_CHROMOSOMES + 1):
        (tmp_path / "set" / "b" / f"{number}.png").write_bytes(b"")
    assert run("karyotype", tmp_path / "set", "--out", tmp_path / "out") == 2
    assert "1 of 3 cells failed, the others are done: b: Expected about 46" in capsys.readouterr().err
    rows = {row["cell"]: row for row in read_csv(tmp_path / "out" / "cells.csv")}
    assert sorted(rows) == ["a", "b", "c"]
    assert rows["b"]["warnings"].startswith("failed: Expected about 46")
    assert (rows["a"]["images"], rows["c"]["images"], rows["b"]["draft"]) == ("3", "3", "")
    assert (tmp_path / "out" / "c" / "karyogram.png").is_file()


def test_one_case_has_no_interval_and_that_is_said(tmp_path, capsys):
    folder = tiny_set(tmp_path / "set", cells=1)
    assert run("validate", "--data", folder, "--out", tmp_path / "r.json") == 0
    said = capsys.readouterr().out
    assert "(no interval: at least two cases or cells are needed)" in said
    assert "nan" not in said


def test_pages_that_are_left_out_are_said(tmp_path, capsys):
    folder = small_cell(tmp_path / "set", 2)
    pages = [Image.open(file) for file in sorted(folder.iterdir())] * 23
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    for command in ("predict", "karyotype"):
        assert run(command, folder, "--out", tmp_path / command) == 0
        assert "warning: 45 pages of a file left out: only the first page is read" in capsys.readouterr().err
    images = open_images(folder)
    with pytest.warns(QualityWarning, match=r"stack\.tif: only the first of 46 pages was used"):
        read_once(images).grey(images.records[2])


@pytest.mark.parametrize("name", ["predict", "validate", "karyotype", "verify", "embed", "export", "train", "crossval"])
def test_every_command_that_reads_data_takes_a_layout(name, capsys):
    assert run(name, "--help") == 0
    assert "--layout" in capsys.readouterr().out


def test_a_guess_is_said_and_its_labels_are_not_made_up(tmp_path, capsys):
    for cell in "12":
        small_cell(tmp_path / "set" / cell)
    assert run("predict", tmp_path / "set", "--out", tmp_path / "p.csv") == 0
    assert "may be classes (--layout folders) or cells (--layout unlabelled)" in capsys.readouterr().err
    assert {(row["label"], row["cell"]) for row in read_csv(tmp_path / "p.csv")} == {("", "1"), ("", "2")}
    assert run("predict", tmp_path / "set", "--layout", "folders", "--out", tmp_path / "p.csv") == 0
    assert {row["label"] for row in read_csv(tmp_path / "p.csv")} == {"1", "2"}
    assert run("validate", "--data", tmp_path / "set", "--out", tmp_path / "r.json") == 2
    assert run("train", "--data", tmp_path / "set", "--model", "r18half_128", "--out", tmp_path / "t") == 2
    assert capsys.readouterr().err.count("may be classes (--layout folders)") == 2
    assert run("karyotype", tmp_path / "set", "--out", tmp_path / "k") == 0
    assert [row["cell"] for row in read_csv(tmp_path / "k" / "cells.csv")] == ["1", "2"]


@pytest.mark.parametrize("suffix", ["jfif", "webp", "gif", "jp2"])
def test_a_single_image_of_any_format_is_a_row(suffix, tmp_path):
    file = tmp_path / f"a.{suffix}"
    grey = Image.fromarray((render_cell(0)[0][2] * 255).astype(np.uint8))
    grey.save(file, "JPEG" if suffix == "jfif" else None)
    assert run("predict", file, "--out", tmp_path / "p.csv") == 0
    (row,) = read_csv(tmp_path / "p.csv")
    refused = {"webp": "is a WebP file", "gif": "is a GIF file", "jp2": "is a JPEG 2000 file"}
    assert row["error"].startswith(refused.get(suffix, ""))
    assert bool(row["prediction"]) == (suffix == "jfif")


def test_weights_without_calibration_say_so(tmp_path, capsys):
    create_model("r18half_128").save_pretrained(tmp_path / "plain")
    folder = small_cell(tmp_path / "set")
    assert run("predict", folder, "--model", tmp_path / "plain", "--out", tmp_path / "p.csv") == 0
    said = capsys.readouterr().err
    assert "3 images, not calibrated, none marked for review" in said
    assert "to review" not in said
    assert {row["review"] for row in read_csv(tmp_path / "p.csv")} == {""}
    assert run("predict", folder, "--model", tmp_path / "plain", "--shards", tmp_path / "s") == 0
    assert "3 images, not calibrated, none marked for review" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_goes_on_when_its_reader_has_gone(stream, tmp_path):
    for cell in "ab":
        small_cell(tmp_path / "set" / cell)
    out, into = os.pipe()
    os.close(out)
    command = [sys.executable, "-u", "-m", "gricol_zoo", "karyotype", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: into})
    os.close(into)
    assert done.returncode == 0, done.stderr
    rows = read_csv(tmp_path / "out" / "cells.csv")
    assert [row["cell"] for row in rows] == ["a", "b"]
    assert not any(row["warnings"].startswith("failed") for row in rows)


def test_labels_of_no_class_are_not_counted_as_wrong(tmp_path, capsys):
    folder = small_cell(tmp_path / "set", 3)
    (folder / "manifest.csv").write_text("path,label,cell\ncrop0.png,1,a\ncrop1.png,mar,a\ncrop2.png,1,a\n")
    assert run("karyotype", folder, "--out", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "2 labelled images: " in said.out
    assert "warning: a: labels that the model does not know are not compared: mar\n" in said.err
