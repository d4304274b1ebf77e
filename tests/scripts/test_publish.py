"""Publishing to the local Hub: what is checked before, what is uploaded, and what is pinned afterwards."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.hub import TOKEN

import gricol_zoo
from gricol_zoo import create_model
from gricol_zoo.models.presets import read_table
from hub import keep
from hub import publish as script

FOLDER = ROOT / "hub"
NAME = "r18half_128.qband"
ARCH, _, TAG = NAME.rpartition(".")


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """The script, with a staging folder, a table and a place for kept files of its own."""
    shutil.copytree(FOLDER / NAME, tmp_path / "hub" / NAME)
    shutil.copy(script.TABLE, tmp_path / "weights.json")
    for name, value in (("HUB", tmp_path / "hub"), ("TABLE", tmp_path / "weights.json")):
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(keep, "KEPT", tmp_path / "kept")
    return script


def run(publish, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["publish.py", NAME, *arguments])
    publish.main()


@pytest.mark.parametrize("name", ["keep", "publish", "stage"])
def test_the_scripts_run_by_their_documented_commands(name):
    done = subprocess.run([sys.executable, "-m", f"hub.{name}", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"python -m hub.{name}" in done.stdout


def test_a_dry_run_shows_what_would_go_and_asks_nothing(publish, hub, monkeypatch, capsys):
    before = publish.TABLE.read_text()
    run(publish, monkeypatch, "--dry-run")
    shown = capsys.readouterr().out
    assert f"{NAME} -> gricol-zoo/{NAME}" in shown
    for file in ("README.md", "config.json", "model.safetensors"):
        assert file in shown
    assert "nothing was uploaded" in shown
    assert hub.log == []
    assert publish.TABLE.read_text() == before


def test_published_pinned_and_loaded_again(publish, hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    run(publish, monkeypatch)
    weights = read_table(publish.TABLE)[ARCH][TAG]
    assert weights.revision == hub.repos[f"gricol-zoo/{NAME}"].refs["main"]
    assert weights.revision in capsys.readouterr().out
    files = hub.repos[weights.repo].commits[weights.revision]
    for file in ("README.md", "config.json", "model.safetensors"):
        assert files[file] == (FOLDER / NAME / file).read_bytes()
    monkeypatch.setitem(gricol_zoo.WEIGHTS, ARCH, {TAG: weights.__class__(**{**vars(weights), "packaged": False})})
    monkeypatch.setattr("gricol_zoo.weights.checkout.checkouts", list)
    images = torch.randn(1, 1, 128, 96)
    expected = create_model(f"local-dir:{FOLDER / NAME}", pretrained=True)(images)
    for requests in (6, 0):
        hub.log.clear()
        model = create_model(NAME, pretrained=True)
        assert torch.equal(model(images), expected)
        assert len(hub.log) == requests
        assert model.hub_ref == f"{weights.repo}@{weights.revision}"
    run(publish, monkeypatch)  # nothing new: the same commit
    assert read_table(publish.TABLE)[ARCH][TAG].revision == weights.revision


def test_results_on_a_set_of_the_hub_go_along(publish, hub, monkeypatch):
    from yaml import safe_load

    from hub import card

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert card.eval_results(NAME) == ""  # neither set is on the Hub
    monkeypatch.setitem(card.HUB_SETS, TAG, ("someone/qband", "default"))
    file = publish.HUB / NAME / card.EVAL_RESULTS / f"{TAG}.yaml"
    file.parent.mkdir()
    file.write_text(card.eval_results(NAME) + " ")
    with pytest.raises(SystemExit, match="nothing was uploaded"):
        run(publish, monkeypatch, "--dry-run")
    file.write_text(card.eval_results(NAME))
    run(publish, monkeypatch)
    sent = hub.repos[f"gricol-zoo/{NAME}"].commits[read_table(publish.TABLE)[ARCH][TAG].revision][f".eval_results/{TAG}.yaml"]
    (entry,) = safe_load(sent)
    report = json.loads((ROOT / "benchmarks" / "results" / "released" / f"{NAME}.test.json").read_text())
    assert entry["dataset"] == {"id": "someone/qband", "task_id": "default"}
    assert entry["value"] == pytest.approx(report["accuracy"], abs=1e-6)


def test_what_comes_back_different_is_not_pinned(publish, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    before = publish.TABLE.read_text()
    monkeypatch.setattr(publish, "check", lambda name: [])
    monkeypatch.setattr(publish, "logits", lambda model: torch.rand(2, 24))
    with pytest.raises(SystemExit, match="nothing was pinned"):
        run(publish, monkeypatch)
    assert publish.TABLE.read_text() == before


def flip(folder):
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))


def other_card(folder):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("94.6 %", "99.6 %"))


def no_licence(folder):
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("license: apache-2.0\n", ""))


def a_pickle_too(folder):
    (folder / "pytorch_model.bin").write_bytes(b"")


def other_config(folder):
    config = json.loads((folder / "config.json").read_text())
    config["gricol_zoo"]["size"] += 1
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (flip, "has hash and size"),
        (other_card, "is not what `hub.card` writes"),
        (no_licence, "license: apache-2.0"),
        (a_pickle_too, "its files are"),
        (other_config, "its config says"),
    ],
)
def test_what_is_wrong_does_not_go(publish, hub, monkeypatch, capsys, harm, message):
    harm(publish.HUB / NAME)
    with pytest.raises(SystemExit, match="nothing was uploaded"):
        run(publish, monkeypatch)
    assert message in capsys.readouterr().out
    assert hub.log == []


def test_another_table_and_an_unknown_name(publish, hub, monkeypatch, capsys):
    publish.TABLE.write_text(publish.TABLE.read_text().replace('"size": 5644904', '"size": 5'))
    with pytest.raises(SystemExit, match="nothing was uploaded"):
        run(publish, monkeypatch)
    assert "weights.json says" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"hub/none\.qband is not staged"):
        run(publish, monkeypatch, "none.qband")
