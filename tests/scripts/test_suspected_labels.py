"""Suspected labels: planted errors are found, swaps first, and nothing else is found."""

import json

import numpy as np
import pytest

from benchmarks.released import suspected_labels as script
from gricol_zoo import GricolZooError
from gricol_zoo.data.rows import to_csv
from gricol_zoo.spec import CHROMOSOMES

CELLS = ("a", "b", "c", "d")


def write_run(folder, planted, protocol="by case or cell", sure=12.0):
    """Write a cross-validation whose networks are right except where a planted (cell, label) has another prediction."""
    folder.mkdir()
    question = {"protocol": protocol, "folds": 2, "model": "m"} | dict.fromkeys(
        ("data", "data_sha256", "folds_sha256", "init_sha256"), "x"
    )
    (folder / "crossval.json").write_text(json.dumps(question))
    rows, logits = [], {1: [], 2: []}
    for place, cell in enumerate(CELLS):
        for label in CHROMOSOMES:
            told, how = planted.get((cell, label), (label, sure))
            values = np.zeros(24, np.float32)
            values[CHROMOSOMES.index(told)] = how
            fold = 1 + place % 2
            logits[fold].append(values)
            rows.append(
                {"path": f"{cell}/{label}.png", "case": "", "cell": cell, "label": label, "prediction": told, "fold": fold}
            )
    for fold, values in logits.items():
        (folder / f"fold{fold}").mkdir()
        np.save(folder / f"fold{fold}" / "logits.npy", np.array(values))
    (folder / "predictions.csv").write_text(to_csv(rows))
    return folder


PLANTED = {
    ("c", "9"): ("10", 11.0),
    ("c", "10"): ("9", 12.0),
    ("a", "3"): ("5", 12.0),
    ("b", "5"): ("3", 11.5),  # in another cell: not a swap
    ("d", "1"): ("2", 3.0),  # not sure
    ("d", "2"): ("1", 12.0),  # so this one is single
}


def test_planted_ones_are_found_swaps_first(tmp_path):
    run = script.read_run(write_run(tmp_path / "run", PLANTED))
    found = script.suspected(run)
    assert [(row["kind"], row["path"]) for row in found] == [
        ("swap", "c/9.png"),
        ("swap", "c/10.png"),
        ("single", "a/3.png"),
        ("single", "d/2.png"),
        ("single", "b/5.png"),
    ]
    assert found[0]["with"] == "c/10.png"
    assert found[1]["with"] == "c/9.png"
    assert found[0]["probability"] == pytest.approx(np.exp(11) / (np.exp(11) + 23))
    assert found[0]["of_label"] == pytest.approx(1 / (np.exp(11) + 23))


def test_scores_with_and_without(tmp_path):
    run = script.read_run(write_run(tmp_path / "run", PLANTED))
    lines = {line["labels"]: line for line in script.scores(run, script.suspected(run))}
    shown = {name: (line["images"], round(line["accuracy"] * line["images"])) for name, line in lines.items()}
    assert shown == {
        "as they are": (96, 90),
        "swapped back": (96, 92),
        "without swaps": (94, 90),
        "without all suspected": (91, 90),
    }
    assert [line["perfect_cells"] for line in lines.values()] == [0, 1, 1, 3]


def test_an_image_is_in_one_swap_at_most(tmp_path):
    run = script.read_run(write_run(tmp_path / "run", {("a", "9"): ("10", 12.0), ("a", "10"): ("9", 12.0)}))
    extra = [{**run.rows[CHROMOSOMES.index("9")], "path": "a/9_b.png"}]
    run = run._replace(
        rows=[*run.rows, *extra], probabilities=np.concatenate([run.probabilities, run.probabilities[8:9] * 0.999])
    )
    found = script.suspected(run)
    assert [(row["kind"], row["path"]) for row in found] == [("swap", "a/9.png"), ("swap", "a/10.png"), ("single", "a/9_b.png")]


def test_image_level_is_refused(tmp_path):
    with pytest.raises(GricolZooError, match="Expected a cross-validation by case or cell"):
        script.read_run(write_run(tmp_path / "run", {}, protocol="image-level"))


def test_the_command(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", PLANTED)
    monkeypatch.setattr("benchmarks.common.record.RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "run")])
    script.main()
    assert "Swaps: 1; single images: 3; of 96 images." in (tmp_path / "results/released/suspected_labels.md").read_text()
    assert "without all suspected" in (tmp_path / "results/released/suspected_labels_scores.md").read_text()
