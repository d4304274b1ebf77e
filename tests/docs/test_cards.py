"""Staged weights, the table of weights, the cards and the results files all say the same."""

import json
import re

import pytest
import torch
from helpers import ROOT

import gricol_zoo
from gricol_zoo.files import file_sha256
from gricol_zoo.models.presets import HUB_ORG, Weights, read_table
from gricol_zoo.weights.resolve import ASSETS
from hub import card, results, stage

HUB = ROOT / "hub"
RESULTS = ROOT / "benchmarks" / "results" / "released"
STAGED = sorted(folder.name for folder in HUB.iterdir() if (folder / "config.json").is_file())
PACKAGED = sorted(folder.name for folder in ASSETS.iterdir() if folder.is_dir())


def released(name):
    arch, _, tag = name.rpartition(".")
    return gricol_zoo.WEIGHTS[arch][tag]


def test_something_is_staged():
    assert STAGED


def test_the_table_lists_what_is_staged():
    assert sorted(gricol_zoo.list_models(pretrained=True)) == STAGED
    assert [name for name in STAGED if released(name).packaged] == PACKAGED
    assert gricol_zoo.DEFAULT_MODEL in PACKAGED


@pytest.mark.parametrize("name", STAGED)
def test_a_staged_folder_is_whole(name):
    file, weights = HUB / name / "model.safetensors", released(name)
    info = json.loads((HUB / name / "config.json").read_text())["gricol_zoo"]
    assert (file.stat().st_size, file_sha256(file)) == (weights.size, weights.sha256) == (info["size"], info["sha256"])
    assert weights.size < (12_000_000 if weights.packaged else 60_000_000)
    assert (
        info["training"]["recipe"]["seed"] == json.loads((ROOT / "benchmarks" / "recipes" / f"{name}.json").read_text())["seed"]
    )
    assert re.fullmatch(r"[0-9a-f]{7,40}", info["training"]["commit"])
    model = gricol_zoo.create_model(f"local-dir:{HUB / name}", pretrained=True, deployed=True)
    assert model.info["tag"] == name.rpartition(".")[2]
    assert model(torch.zeros(1, 1, *model.spec.image_size)).isfinite().all()


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_file_is_stored_once(name):
    for file in sorted(one.name for one in (ASSETS / name).iterdir()):
        assert (HUB / name / file).is_symlink()
        assert (HUB / name / file).resolve() == (ASSETS / name / file).resolve()
        assert (ASSETS / name / file).is_file()


@pytest.mark.slow
def test_cards_are_generated_from_the_results():
    for file, text in card.cards().items():
        assert file.read_text() == text, f"run python -m hub.card: {file} is not what it writes"


@pytest.mark.parametrize("name", STAGED)
def test_a_cards_figures_are_the_reports(name):
    text = (HUB / name / "README.md").read_text()
    report = json.loads((RESULTS / f"{name}.test.json").read_text())
    assert report["seen_in_training"] == (0 if (HUB / name / "pixels.bin").exists() else None)
    assert report["of_cells_in_training"] == 0
    assert report["weights_sha256"] == released(name).sha256
    low, high = report["accuracy_ci95"]
    interval = f"{100 * low:.1f} % to {100 * high:.1f} %"
    shown = f"| {100 * report['accuracy']:.1f} % | {interval} |"
    line = f"| test | lower | {report['images']} | {report['cells']} {shown}"
    assert line in text
    assert f"value: {report['accuracy']:.6f}" in text
    overview = (ROOT / "MODEL_CARD.md").read_text()
    assert f"| `{name}` |" in overview
    assert shown in overview
    for sentence in ("publicly available for download", "no licence text was found", "not a medical device"):
        assert sentence in text.replace("\n", " ")


@pytest.mark.parametrize("file", [ROOT / "MODEL_CARD.md", *(HUB / name / "README.md" for name in STAGED)], ids=str)
def test_a_card_has_what_the_checklists_ask_for(file):
    headings = re.findall(r"^## (.*)$", file.read_text(), re.MULTILINE)
    assert {"Intended use", "Out of scope", "Results", "Subgroups", "Limits"} < set(headings)
    assert any(heading.startswith("Data") for heading in headings)


@pytest.mark.parametrize("name", STAGED)
def test_a_cards_subgroups_are_all_of_the_images(name):
    report, text = json.loads((RESULTS / f"{name}.test.json").read_text()), (HUB / name / "README.md").read_text()
    rows = re.findall(r"^\| ([A-G]) \| (.*) \| (\d+) \| ([\d.]+) % \| (\w+) \| ([\d.]+) % \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == list("ABCDEFG")
    assert sorted(", ".join(row[1] for row in rows).split(", ")) == sorted(report["per_class"])
    assert sum(int(row[2]) for row in rows) == report["images"]
    right = sum(int(row[2]) * float(row[3]) for row in rows) / report["images"]
    assert right == pytest.approx(100 * report["accuracy"], abs=0.05)
    for _, classes, _, _, weakest, minimum in rows:
        recalls = {one: report["per_class"][one]["recall"] for one in classes.split(", ")}
        assert f"{100 * min(recalls.values()):.1f}" == minimum == f"{100 * recalls[weakest]:.1f}"


def test_a_result_of_other_weights_is_refused():
    with pytest.raises(SystemExit, match="of other weights"):
        results.check({"weights_sha256": "0" * 64}, gricol_zoo.DEFAULT_MODEL)


def test_a_card_names_the_sets_that_its_start_was_trained_on():
    assert "(trained on the train part of Pki-3 (G-banded))" in card.sections.training("r18half_192.qband")
    both = "(trained on the train parts of Pki-3 (G-banded) and BioImLab Q-band)"
    assert both in card.sections.training("gricol_r50half_n3.qband")


def test_staging_anew_replaces_links_to_packaged_files(tmp_path):
    run, target, packaged = tmp_path / "run", tmp_path / "target", tmp_path / "packaged.safetensors"
    gricol_zoo.create_model("r18half_128", image_size=(32, 32), cell_size=(16, 16)).save_pretrained(run)
    (run / "commit.txt").write_text("abc\n")
    packaged.write_text("of the version before")
    target.mkdir()
    (target / "model.safetensors").symlink_to(packaged)
    info = stage.stage(run, target, "qband")
    assert packaged.read_text() == "of the version before"
    assert file_sha256(target / "model.safetensors") == info["sha256"]
    assert (info["tag"], info["training"]["commit"]) == ("qband", "abc")


def test_staging_keeps_the_table_and_what_is_packaged(tmp_path, monkeypatch):
    for part in ("hub", "assets"):
        (tmp_path / part).mkdir()
    table = tmp_path / "weights.json"
    table.write_text("{}")
    for name, value in (("HUB", tmp_path / "hub"), ("ASSETS", tmp_path / "assets"), ("TABLE", table)):
        monkeypatch.setattr(stage, name, value)

    def enter(name, packaged):
        (tmp_path / "hub" / name).mkdir(exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            (tmp_path / "hub" / name / file).write_text(name)
        stage.enter(name, {"size": 7, "sha256": "0" * 64}, packaged)
        weights = read_table(table)
        kept = [f"{arch}.{tag}" for arch, tags in weights.items() for tag in tags if tags[tag].packaged]
        assert sorted(kept) == sorted(folder.name for folder in (tmp_path / "assets").iterdir())
        return kept, weights

    assert enter("b.pki3", packaged=True)[0] == ["b.pki3"]
    assert enter("b.qband", packaged=True)[0] == ["b.qband", "b.pki3"]
    kept, weights = enter("a.qband", packaged=True)
    assert kept == ["a.qband", "b.qband", "b.pki3"]
    assert (tmp_path / "assets" / "a.qband" / "config.json").read_text() == "a.qband"
    assert weights["b"]["qband"] == Weights(f"{HUB_ORG}/b.qband", "", 7, "0" * 64, packaged=True)
    assert list(weights["b"]) == ["qband", "pki3"]  # the first is the default
    assert enter("a.qband", packaged=False)[0] == ["b.qband", "b.pki3"]
