"""Helpers of the benchmark scripts whose mistakes would end up in a table: what is kept, shown and skipped."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from benchmarks.common import record
from benchmarks.common.weights import unseen
from benchmarks.make import train_weights
from benchmarks.paper import ablations
from benchmarks.released import karyotype
from benchmarks.speed import preparation_speed
from gricol_zoo import create_model
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.errors import LeakError
from gricol_zoo.weights.pixels import pack

FOLDER = ROOT / "benchmarks"


def test_rows_of_models_that_were_not_scored_now_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    columns = {"name": ("model", ""), "accuracy": ("accuracy", ".2f")}
    record.write("released/trust", [{"name": "a", "accuracy": 0.5}, {"name": "b", "accuracy": 0.25}], columns)
    assert [(row["name"], row["accuracy"]) for row in record.kept("released/trust", ["b"])] == [("a", 0.5)]
    record.write("released/trust", [*record.kept("released/trust", ["b"]), {"name": "b", "accuracy": 1}], columns)
    assert "| a | 0.50 |\n| b | 1.00 |" in (tmp_path / "released" / "trust.md").read_text()
    assert record.kept("released/nothing", []) == []
    other = record.kept("released/trust", [("a", "0.5")], lambda row: (row["name"], row["accuracy"]))
    assert [row["name"] for row in other] == ["b"]


def test_the_ablations_page_shows_both_seeds_and_the_difference():
    first, second = list(ablations.MODEL_LINES)[:2]
    row = {"epochs": "3", "val_loss": "0.3", "seconds": "60"}
    rows = [
        {**row, "line": first, "seed": "1", "lower": "0.92", "full": "0.93", "merged": "0.91"},
        {**row, "line": first, "seed": "0", "lower": "0.90", "full": "0.93", "merged": "0.91"},
        {**row, "line": second, "seed": "0", "lower": "0.88", "full": "", "merged": ""},
    ]
    page = ablations.page(rows)
    assert f"| {first} | 90.0, 92.0 | 91.00 | +0.00 | 93.0, 93.0 | 91.0, 91.0 | 0.300 | 1.0 |" in page
    assert f"| {second} | 88.0 | 88.00 | -3.00 |" in page
    assert "3 epochs of" in page


def test_the_committed_page_is_that_of_the_committed_rows():
    rows = ablations.done()
    assert ablations.PAGE.read_text() == ablations.page(rows)
    assert {(row["line"], row["seed"]) for row in rows} == {(line, seed) for line in ablations.LINES for seed in "01"}
    assert {row["part"] for row in rows} == {"val"}


def test_lines_differ_in_one_thing_from_what_exists():
    for line in ablations.LINES.values():
        ablations.recipe_of(line, 3, 0)
        from gricol_zoo import MODELS

        MODELS.get(line.model).replace(**line.changes)
        assert sum(map(bool, (line.changes, line.recipe, line.augment, not line.pretrained))) <= 1


def test_what_was_trained_on_is_not_scored(chromosomes):
    images, model = open_images(chromosomes), create_model("r18half_192.qband", pretrained=True, deployed=True)
    assert len(unseen(images, model)) == 30
    model.training_pixels = pack([images.pixel_hash(images.records[4])])
    with pytest.raises(LeakError, match=f"trained on 1 of these 30.*such as {images.records[4].path}"):
        unseen(images, model)


def test_a_finished_run_and_a_kept_start_are_not_trained_again(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(
        train_weights, "train", lambda *a, init, **k: trained.append((a[4].name, Path(init).parent.name)) or True
    )
    monkeypatch.setattr(train_weights, "open_set", lambda *a: None)
    assert train_weights.run("r18half_128.qband", tmp_path, tmp_path / "runs", float("inf"))
    assert trained == [("r18half_128.qband", "starts")]
    (tmp_path / "runs" / "r18half_128.qband" / "config.json").write_text("{}")
    assert train_weights.run("r18half_128.qband", tmp_path, tmp_path / "runs", float("inf"))
    assert len(trained) == 1
    assert json.loads((FOLDER / "recipes" / "r18half_128.qband.json").read_text())["init"] == "r18half_128.pki3_start"


def test_results_name_no_place_of_a_machine(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qband.zip").touch()
    given = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"), "--rounds", "3", "starts/a"]
    assert [record.portable(argument) for argument in given] == [
        "--data",
        "FOLDER",
        "--runs",
        "runs",
        "--rounds",
        "3",
        "starts/a",
    ]
    for file in record.RESULTS.rglob("*.csv"):
        for row in read_csv(file):
            command = row.get("command") or ""
            assert not re.search(r"(^|\s)/", command), (file.name, command)


def normal_cell(sure=0.9):
    classes = np.array([*range(22), *range(22), 22, 23])
    probabilities = np.full((46, 24), (1 - sure) / 23)
    probabilities[np.arange(46), classes] = sure
    return probabilities, classes


def test_longer_folds_replace_shorter_ones():
    keys = {karyotype.name_and_cells({"name": "x", "what": f"Q-band, out of fold (5 folds, {n} epochs)"}) for n in (6, 40)}
    assert len(keys) == 1
    assert keys != {karyotype.name_and_cells({"name": "x", "what": "Q-band, test part"})}


def test_the_costs_are_what_was_fitted():
    from gricol_zoo.karyotype import Costs

    best = min(read_csv(record.RESULTS / "released" / "karyotype_costs.csv"), key=lambda row: float(row["edits"]))
    assert Costs() == Costs(*(float(best[key]) for key in ("extra", "missing", "unassigned")))
    assert best["part"] == "val"


def test_cells_are_scored_as_counted_by_hand():
    probabilities, classes = normal_cell()
    wrong = probabilities.copy()
    wrong[3] = 0.2 / 22
    wrong[3, [3, 7]] = 0.3, 0.5  # a 4 that is classified as 8: the cell corrects it
    lost = np.delete(np.arange(46), 5)
    score = karyotype.score([(wrong, classes), (wrong[lost], classes[lost])], karyotype.Costs())
    assert (score["cells"], score["images"], score["unassigned"]) == (2, 91, 0)
    assert (score["single_cells_with_error"], score["cells_with_error"]) == (2, 0)
    assert (score["single_edits"], score["edits"]) == (1, 0)
    assert (score["single_exact_counts"], score["exact_counts"]) == (0, 2)
    assert score["single_accuracy"] == pytest.approx(89 / 91)
    assert score["accuracy"] == 1


def test_departures_are_what_they_are_called():
    probabilities, classes = normal_cell()
    keys = [f"c/{cell}" for cell in range(2) for _ in range(46)]
    half = np.full((92, 24), 1 / 24)
    found = list(karyotype.situations(keys, np.vstack([probabilities] * 2), np.tile(classes, 2), half))
    sizes = {"as_is": 46, "lost": 45, "added": 47, "strange": 47}
    assert {kind for kind, _ in found} == set(sizes)
    for kind, (rows, truth) in found:
        assert len(rows) == len(truth) == sizes[kind]
        assert (truth == karyotype.UNASSIGNED).sum() == (kind == "strange")
        if kind != "strange":
            assert (rows.argmax(1) == truth).all()
        else:
            assert rows[-1].max() < 0.05


def test_confidence_is_compared_with_what_is_right():
    probabilities, classes = normal_cell()
    (row,) = karyotype.reliability([(probabilities, classes)], karyotype.Costs())
    assert row["chromosomes"] == 46
    assert row["right"] == 1
    assert row["low"] <= row["mean"] <= row["high"]


def test_a_commit_that_looks_like_a_number_stays_a_text():
    from benchmarks.common.record import numbers

    row = numbers({"commit": "10e3066", "weights_sha256": "1e5", "images": "7", "accuracy": "0.5", "set": "Q-band"})
    assert row == {"commit": "10e3066", "weights_sha256": "1e5", "images": 7, "accuracy": 0.5, "set": "Q-band"}


def test_another_checkout_is_measured_by_its_own_package(tmp_path, monkeypatch):
    """Also from the root of this one, whose package would otherwise come first."""
    (tmp_path / "gricol_zoo").mkdir()
    (tmp_path / "gricol_zoo" / "__init__.py").write_text("")
    (tmp_path / "gricol_zoo" / "__main__.py").write_text("print('the other')")
    monkeypatch.chdir(ROOT)
    said = preparation_speed.run(tmp_path, "-c", "import gricol_zoo; print(gricol_zoo.__file__)")
    assert Path(said.strip()) == tmp_path / "gricol_zoo" / "__init__.py"
    assert preparation_speed.run(tmp_path, "-m", "gricol_zoo").strip() == "the other"
