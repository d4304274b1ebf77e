"""Classical systems in the commands for networks: cross-validation, list, info, karyotype, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from helpers.synthetic import tiny_set
from PIL import Image

from gricol_zoo.classical.classifier import as_classifier
from gricol_zoo.classical.crossval import reassigned_scores
from gricol_zoo.classical.model import fit
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.classical.saving import load, save
from gricol_zoo.classical.system import Settings
from gricol_zoo.cli import main
from gricol_zoo.data.folds import assign_folds
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.evaluation.compare import compare_runs
from gricol_zoo.evaluation.out_of_fold import COLUMNS, hash_folds
from gricol_zoo.evaluation.report import evaluate, score
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.predict import predict_rows
from gricol_zoo.spec import CHROMOSOMES

BAD = "images/c03/5_a.png"


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """30 images of 10 cells, one of which shows nothing."""
    folder = tiny_set(tmp_path_factory.mktemp("set"))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)).save(folder / BAD)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("crossval")
    for system in CLASSICAL:
        assert run("crossval", "--data", data, "--model", system, "--folds", 2, "--out", out / system) == 0
    return out


@pytest.mark.parametrize("system", CLASSICAL)
def test_pooled_scores_are_those_of_the_rows(finished, data, system):
    images, rows = open_images(data), read_csv(finished / system / "predictions.csv")
    report = json.loads((finished / system / "report.json").read_text())
    assert list(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == [record.path for record in images.records]
    assert [row["path"] for row in rows if row["error"]] == [BAD]
    bad = next(row for row in rows if row["path"] == BAD)
    assert (bad["prediction"], bad["probability"], bad["review"]) == ("", "", "")
    assert report["images"] == 30
    assert report["accuracy"] == pytest.approx(np.mean([row["label"] == row["prediction"] for row in rows]))
    assert report["accuracy"] <= 29 / 30
    assert report["per_class"]["5"]["recall"] <= 0.9  # nine of its ten images could be right
    assert report["inference"] == system
    folds = read_csv(finished / system / "folds.csv")
    assert sum(int(fold["images"]) for fold in folds) == 30
    assert sum(int(fold["train_images"]) for fold in folds) < 30  # val parts and the bad one are not trained on


@pytest.mark.parametrize("system", CLASSICAL)
def test_each_row_is_what_the_system_of_its_fold_says(finished, data, system):
    images, rows = open_images(data), read_csv(finished / system / "predictions.csv")
    for fold in ("1", "2"):
        own = [index for index, row in enumerate(rows) if row["fold"] == fold and not row["error"]]
        model = load(finished / system / f"fold{fold}")
        assert not set(model.info["training"]["groups"]) & {rows[index]["case"] for index in own}
        said = model.predict_probabilities(images.subset(own))
        assert [CHROMOSOMES[i] for i in said.argmax(1)] == [rows[index]["prediction"] for index in own]
        assert [float(rows[index]["probability"]) for index in own] == pytest.approx(said.max(1).tolist(), abs=1e-4)


def test_folds_are_those_of_networks_and_runs_are_paired(finished, data):
    images = open_images(data)
    question = json.loads((finished / "wang2009" / "crossval.json").read_text())
    assert question["folds_sha256"] == hash_folds(images.records, assign_folds(images, 2, seed=0))
    assert question["data_sha256"] == images.sha256()
    both = compare_runs(finished / "poletti2012", finished / "wang2009")
    assert both["same_folds"]
    assert both["images"] == 30


def test_stopped_and_resumed_gives_the_same(finished, data, tmp_path, capsys):
    shutil.copytree(finished / "wang2009", tmp_path / "run")
    (tmp_path / "run" / "fold2" / "logits.npy").unlink()
    (tmp_path / "run" / "report.json").unlink()
    asked = ["crossval", "--data", data, "--model", "wang2009", "--folds", 2, "--out", tmp_path / "run"]
    assert run(*asked) == 2
    assert "Give --resume" in capsys.readouterr().err
    assert run(*asked, "--resume", "--seed", 1) == 2
    assert "its training_seed is" in capsys.readouterr().err
    assert run(*asked, "--resume") == 0
    said = capsys.readouterr()
    assert "fold 1 of" not in said.err
    assert f"1 of 30 images could not be measured: {BAD}" in said.err
    assert "with the classes of each cell assigned together" in said.out
    for name in ("predictions.csv", "folds.csv", "report.json"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / "wang2009" / name).read_bytes()
    assert run(*asked, "--resume") == 0  # nothing is left to do; the error of the one image is still known
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == (finished / "wang2009" / "predictions.csv").read_bytes()


def test_reassigned_by_hand():
    """Two cells: in one a third 1 becomes the missing 2; in the other an image has no prediction, which counts as an error."""
    sure = np.full((7, 24), 1e-4)
    sure[:3, 0], sure[2, 1], sure[3, 1] = 0.9, 0.3, 0.9
    sure[2, 0] = 0.6
    sure[4:, 4] = 0.9
    logits = np.log(sure / sure.sum(1, keepdims=True))
    logits[6] = np.nan
    truth = np.array([0, 0, 1, 1, 4, 4, 4])
    records = [Record(str(i), case="p", cell="a" if i < 4 else "b") for i in range(7)]
    images = ImageSet("two", records, Store(None, []))
    found = reassigned_scores(logits, truth, images)
    assert found["accuracy"] == pytest.approx(6 / 7)
    assert (found["perfect_cells"], found["perfect_cells_fraction"], found["unassigned"]) == (1, 0.5, 0)
    single = score(logits, truth, records, CHROMOSOMES)
    assert single["accuracy"] == pytest.approx(5 / 7)
    assert single["per_class"]["5"] == {"images": 3, "precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8)}
    assert single["macro_f1"] == pytest.approx(np.mean([0.8, 2 / 3, 0.8]))  # of 1, 2 and 5
    assert single["ece"] == pytest.approx(score(logits[:6], truth[:6], records[:6], CHROMOSOMES)["ece"])
    nameless = ImageSet("two", [Record(str(i)) for i in range(7)], Store(None, []))
    assert reassigned_scores(logits, truth, nameless) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    images = open_images(tiny_set(folder / "set", cells=6, classes=("1", "2", "21")))
    save(fit("poletti2012", images, val=images, settings=Settings(hidden=8, alpha=0.01)), folder / "run")
    return folder


TRAINING = {
    "--epochs": "3",
    "--init": "r18half_128",
    "--change": "grid=2",
    "--recipe": "paper",
    "--device": "cuda",
    "--time-limit": "60",
}
REFUSED = [("train", option, value) for option, value in {**TRAINING, "--checkpoint-every": "9"}.items()]
REFUSED += [("train", flag, None) for flag in ("--resume", "--grad-checkpointing", "--compile")]
REFUSED += [("crossval", option, value) for option, value in TRAINING.items()]
REFUSED += [("validate", "--device", "cuda"), ("validate", "--dtype", "bf16"), ("validate", "--full", None)]
REFUSED += [("predict", "--device", "cuda"), ("predict", "--dtype", "bf16"), ("train", "--scale", "2")]
REFUSED += [(command, "--preparation", "2") for command in ("validate", "predict", "karyotype")]
REFUSED += [(command, "--ground", "light") for command in ("validate", "predict", "karyotype")]
REFUSED += [("validate", "--scale", "auto"), ("predict", "--scale", "2"), ("karyotype", "--scale", "0.5")]
REFUSED += [("predict", "--batch-size", "4"), ("predict", "--workers", "2")]
REFUSED += [("karyotype", "--device", "cuda"), ("karyotype", "--dtype", "bf16")]


@pytest.mark.parametrize(("command", "option", "value"), REFUSED)
def test_options_of_networks_are_refused_in_one_line(command, option, value, trained, tmp_path, capsys):
    data = trained / "set"
    given = [data] if command in ("predict", "karyotype") else ["--data", data]
    model = "poletti2012" if command in ("train", "crossval") else trained / "run"
    more = [option] if value is None else [option, value]
    assert run(command, *given, "--model", model, "--out", tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert f"{option}{' bf16' if value == 'bf16' else ''} only applies to neural networks; " in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_shards_are_of_networks(trained, tmp_path, capsys):
    assert run("predict", trained / "set", "--model", trained / "run", "--shards", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error == f"gricol-zoo: --shards only applies to neural networks; '{trained / 'run'}' is a classical system.\n"
    assert not (tmp_path / "out").exists()


def test_what_networks_are_predicted_and_scored_by_takes_a_system(trained):
    images, model = open_images(trained / "set"), load(trained / "run")
    mixed = images.subset([*range(0, len(images), 2), *range(1, len(images), 2)])  # no cell's images are adjacent
    classifier = as_classifier(model, "run")
    expected = model.predict_logits(mixed)
    rows = [row for batch in predict_rows(classifier, mixed, batch_size=2) for row in batch]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        softmax(expected, model.info["temperature"]).max(1).tolist(), abs=1e-4
    )
    assert [row for batch in predict_rows(classifier, mixed, start=5) for row in batch] == rows[5:]
    report, logits = evaluate(classifier, mixed, name="run")
    assert (logits == expected).all()
    assert (report["inference"], report["dtype"], report["preparation"]) == ("poletti2012", "fp64", None)
    assert report["of_cells_in_training"] == len(mixed)


@pytest.mark.parametrize("name", ["poletti2012", "folder"])
@pytest.mark.parametrize("command", ["embed", "explain", "serve"])
def test_commands_of_networks_refuse_in_one_line(command, name, trained, tmp_path, capsys):
    model = trained / "run" if name == "folder" else name
    image = next((trained / "set" / "images" / "c00").iterdir())
    rest = {
        "embed": ["--data", trained / "set", "--out", tmp_path / "a.png", "--neighbours", 2],
        "explain": [image, "--out", tmp_path / "a.png"],
        "serve": ["--port", 0],
    }[command]
    assert run(command, *rest, "--model", model) == 2
    error = capsys.readouterr().err
    assert "is a classical system, but this command only takes neural networks" in error
    assert error.count("\n") == 1


def test_list_and_info(trained, capsys):
    assert run("list") == 0
    assert set(CLASSICAL) <= set(capsys.readouterr().out.split())
    assert run("list", "*2012") == 0
    assert capsys.readouterr().out.split() == ["poletti2012"]
    assert run("list", "--pretrained", "*2012") == 0
    assert capsys.readouterr().out == ""
    for name in (*CLASSICAL, trained / "run"):
        assert run("info", name, "--format", "json") == 0
        info = json.loads(capsys.readouterr().out)
        sizes = [[int(n) for n in part.split(":")[1].split("-")] for part in info["networks"].split()]
        assert info["params"] == sum(a * b + b + b * c + c for a, b, c in sizes)
        assert {size[0] for size in sizes} == {info["features"]}
        assert "unit" not in info
    assert run("info", "wang2009") == 0
    assert "parameters" in capsys.readouterr().out
    assert info["system"] == "poletti2012"
    model = load(trained / "run").networks["classes"]
    held = [*model.weights, *model.biases]
    assert info["params"] == sum(array.size for array in held)


def test_karyotype_takes_a_trained_folder_and_verifies(trained, tmp_path, capsys):
    cell = trained / "set" / "images" / "c00"
    assert run("karyotype", cell, "--model", trained / "run", "--out", tmp_path / "cell") == 0
    record = json.loads((tmp_path / "cell" / "karyotype.json").read_text())
    images = open_images(cell)
    model = load(trained / "run")
    expected = softmax(model.predict_logits(images), model.info["temperature"])
    assert [item["path"] for item in record["chromosomes"]] == [r.path for r in images.records]
    for item, values in zip(record["chromosomes"], expected, strict=True):
        assert [item["probabilities"][name] for name in CHROMOSOMES] == pytest.approx(values.tolist(), abs=1e-6)
    assert record["model"]["weights_sha256"] == model.info["sha256"]
    assert record["options"]["dtype"] == "fp64"
    assert run("verify", tmp_path / "cell" / "karyotype.json") == 0
    save(fit("poletti2012", open_images(trained / "set"), settings=Settings(hidden=4, epochs=1)), tmp_path / "other")
    assert run("verify", tmp_path / "cell" / "karyotype.json", "--model", tmp_path / "other") == 1
    assert "the weights were" in capsys.readouterr().out
