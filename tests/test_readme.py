"""What README shows runs as it stands."""

import json
import re
from pathlib import Path

import pytest
import timm
import torch
from conftest import SMALL
from hub_server import TOKEN

import gricol_zoo
import gricol_zoo.timm_bridge
from gricol_zoo.data.rows import read_csv

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_python_blocks_run(index, hub, tmp_path, monkeypatch):
    saved = gricol_zoo.create_model("gricol_r18half_n3_128", **SMALL)
    saved.save_pretrained(tmp_path / "runs" / "first")
    hub.commit("you/yours", {file.name: file.read_bytes() for file in (tmp_path / "runs" / "first").iterdir()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    names = {
        "gricol_zoo": gricol_zoo,
        "timm": timm,
        "default": gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True),
        "model": gricol_zoo.create_model("hf-hub:you/yours", pretrained=True),
        "images": torch.randn(2, 1, *SMALL["image_size"]),
        "labels": torch.tensor([0, 1]),
        "epoch": 0,
    }
    exec(compile(BLOCKS[index], f"README block {index}", "exec"), names)


def test_ci_runs_the_same_test_command():
    command = re.search(r"Test it:\n\n```sh\n(.*?)\n```", README)[1]
    assert command in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("table", ["table2_grid_size", "table3_comparison"])
def test_the_papers_tables_in_readme_are_the_committed_results(table):
    shown, _, conditions = (ROOT / "benchmarks" / "results" / f"{table}.light.qband.md").read_text().partition("\n\n")
    assert shown in README
    assert "8 epochs" in conditions
    assert "874 unseen images" in conditions


def test_what_readme_says_of_bends_is_committed():
    page = (ROOT / "benchmarks" / "results" / "bend.md").read_text()
    said = README.split("## Does the grid weaken bending?")[1].split("##")[0].replace("\n", " ")
    found = re.findall(r"(synthetic|warped|real) ([+-]\d\.\d \([+-]\d\.\d to [+-]\d\.\d\))", said)
    assert len(found) == 6
    for part, interval in found:
        assert f"{part} {interval}" in page


def test_what_readme_says_of_overlap_is_committed():
    results = ROOT / "benchmarks" / "results"
    gap = {row["test"]: row for row in read_csv(results / "table1_tests.light.qband.csv")}["bootstrap by case or cell"]
    said = "worth {:.1f}\npoints over no overlap ({:.1f} to {:.1f} by bootstrap over cells"
    assert said.format(*(float(gap[key]) for key in ("difference", "low", "high"))) in README


def test_the_accuracy_in_readme_is_the_committed_report():
    report = json.loads((ROOT / "benchmarks" / "results" / f"{gricol_zoo.DEFAULT_MODEL}.test.json").read_text())
    low, high = report["accuracy_ci95"]
    assert f"{100 * report['accuracy']:.1f} %" in README
    assert f"{100 * low:.1f} % to {100 * high:.1f} %" in README
    name, tag = gricol_zoo.DEFAULT_MODEL.split(".")
    assert report["weights_sha256"] == gricol_zoo.WEIGHTS[name][tag].sha256
    assert report["seen_in_training"] == 0


def test_the_cross_validations_in_readme_are_the_committed_ones():
    rows = {row["protocol"]: float(row["accuracy"]) for row in read_csv(ROOT / "benchmarks" / "results" / "crossval.csv")}
    assert f"{100 * rows['by case or cell']:.1f} % by cell and {100 * rows['image-level']:.1f} % image-level" in README
    row = read_csv(ROOT / "benchmarks" / "results" / "crossval_gap.csv")[0]
    gap = {key: 100 * float(row[key]) for key in ("difference", "low", "high")}
    assert f"a gap of {gap['difference']:.1f} points ({gap['low']:.1f} to {gap['high']:.1f} by bootstrap over cells)" in README


def test_the_karyotypes_in_readme_are_the_committed_ones():
    assert (ROOT / "benchmarks" / "results" / "karyotype.md").read_text().strip() in README


def test_the_classical_systems_in_readme_are_the_committed_ones():
    rows = [row for row in read_csv(ROOT / "benchmarks" / "results" / "classical.csv") if row["orientation"] == "as-is"]
    first = {name: next(row for row in rows if row["name"] == name) for name in ("poletti2012", "wang2009")}
    shown = [f"{100 * float(row[key]):.1f}" for row in first.values() for key in ("accuracy", "low", "high")]
    single = "{} % ({} to {} by cell) and {} % ({} to {})".format(*shown)
    together = "{:.1f} % and {:.1f} %".format(*(100 * float(row["reassigned"]) for row in first.values()))
    assert f"{single} by single images, {together} with the\ncell assigned together" in README


def test_the_out_of_fold_figures_in_readme_are_the_committed_ones():
    rows = read_csv(ROOT / "benchmarks" / "results" / "classical_crossval.csv")
    one, two = (next(row for row in rows if row["name"] == name) for name in ("poletti2012", "wang2009"))
    assert [int(one[key]) for key in ("images", "cells")] == [4370, 95]
    keys = ("accuracy", "low", "high", "reassigned", "reassigned_low", "reassigned_high")
    first, second = ([f"{100 * float(row[key]):.1f}" for key in keys] for row in (one, two))
    assert "`poletti2012` {} % ({} to {} by cell), {} % ({} to {}) assigned together".format(*first) in README
    assert "`wang2009` {} % ({} to {}) and {} % ({} to {})".format(*second) in README


def test_what_readme_says_of_cheaper_grids_is_committed():
    results = ROOT / "benchmarks" / "results"
    assert (results / "cheaper_grids.light.qband.md").read_text().partition("\n\n")[0] in README
    row = next(row for row in read_csv(results / "cheaper_grids.light.qband.csv") if row["system"] == "gricol_cut3")
    said = "{:.1f} points\nbetter ({:.1f} to {:.1f} by bootstrap over cells)"
    assert said.format(*(float(row[key]) for key in ("difference", "gap_low", "gap_high"))) in README
    assert f"cost {100 * float(row['part']):.0f} % of the Gflops" in README


SPEED = (ROOT / "docs" / "SPEED.md").read_text()
MEASURED = ("speed", "speed_ratios", "speed_profile", "speed_batch", "predict_speed", "predict_memory", "predict_overlap")
MEASURED += ("predict_parity", "training_step", "training_step_profile", "scaling", "startup")
MEASURED += ("export_speed", "export_ratios", "export_profile", "export_accuracy", "shards", "processes")


@pytest.mark.parametrize("name", MEASURED)
def test_speed_tables_are_the_committed_results(name):
    assert (ROOT / "benchmarks" / "results" / f"{name}.md").read_text().strip() in SPEED
    assert (ROOT / "benchmarks" / "results" / f"{name}.csv").read_text().count("\n") >= 2


@pytest.mark.parametrize("name", ["predict_speed", "speed_ratios", "shards"])
def test_speed_tables_in_readme_too(name):
    assert (ROOT / "benchmarks" / "results" / f"{name}.md").read_text().strip() in README
