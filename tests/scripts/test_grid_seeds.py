"""The grid with several seeds: which trainings are compared, and that the table is what its predictions say."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.paper import grid_seeds
from gricol_zoo.data.rows import to_csv

CONTROL, GRID = grid_seeds.CONTROL, "gricol_r18half_n3_192"
HITS = {(CONTROL, 0): 0.9, (CONTROL, 1): 0.8, (GRID, 0): 0.7, (GRID, 1): 0.6, (GRID, 2): 0.5}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Made-up results: 200 images of 10 cells, and each training right with a probability of its own."""
    for name in ("RUNS", "PREDICTIONS"):
        monkeypatch.setattr(grid_seeds, name, tmp_path / f"{name}.csv")
    rng = np.random.default_rng(0)
    right = {training: rng.random(200) < share for training, share in HITS.items()}
    images = [
        {
            "path": f"{index}.png",
            "case": "",
            "cell": f"c{index % 10}",
            "label": "1",
            **{grid_seeds.column_of(*key): "1" if hits[index] else "2" for key, hits in right.items()},
        }
        for index in range(200)
    ]
    lines = [{"model": model, "seed": seed, "epochs": 40, "full": 0.5 if model == GRID else ""} for model, seed in HITS]
    grid_seeds.RUNS.write_text(to_csv(lines))
    grid_seeds.PREDICTIONS.write_text(to_csv(images))
    return right


def test_the_table_compares_the_seeds_that_both_have(kept):
    control, grid = grid_seeds.table()
    assert (control["seeds"], grid["seeds"]) == ("0, 1", "0, 1, 2")
    assert control["accuracy"] == pytest.approx(100 * np.mean([kept[CONTROL, seed].mean() for seed in (0, 1)]))
    assert grid["accuracy"] == pytest.approx(100 * np.mean([kept[GRID, seed].mean() for seed in (0, 1, 2)]))
    both = [kept[GRID, seed].mean() - kept[CONTROL, seed].mean() for seed in (0, 1)]
    assert grid["difference"] == pytest.approx(100 * np.mean(both))
    assert "difference" not in control
    low, high = (float(value) for value in grid["difference_interval"].split(" to "))
    assert low < grid["difference"] < high
    assert grid["full"] == 50


def test_mcnemar_is_of_the_images_that_one_alone_has_right(kept):
    _, grid = grid_seeds.table()
    ours, theirs = kept[GRID, 0], kept[CONTROL, 0]
    only = (ours & ~theirs).sum(), (theirs & ~ours).sum()
    assert grid["mcnemar"].split(", ")[0] == f"{binomtest(int(only[0]), int(sum(only))).pvalue:.2g}"


def test_released_weights_stand_for_a_seed_only_where_their_recipe_is_the_queues(tmp_path, monkeypatch):
    queue = grid_seeds.read_queue(grid_seeds.QUEUE)
    for name in ("hub", "recipes", "runs"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(grid_seeds, "HUB", tmp_path / "hub")
    monkeypatch.setattr(grid_seeds, "RECIPES", tmp_path / "recipes")
    same = {key: queue[0][key] for key in ("recipe", "epochs", "init")}
    recipes = {CONTROL: {**same, "seed": 0}, GRID: {**same, "seed": 0, "epochs": 3}}
    monkeypatch.setattr(grid_seeds, "read_recipe", lambda name: recipes[name.rpartition(".")[0]])
    for model in recipes:
        (tmp_path / "hub" / f"{model}.qband").mkdir()
        (tmp_path / "recipes" / f"{model}.qband.json").touch()
    (tmp_path / "runs" / "gricol.seed1").mkdir()
    (tmp_path / "runs" / "gricol.fold1").mkdir()
    for run in (tmp_path / "runs").iterdir():
        (run / "config.json").write_text(json.dumps({}))
    found = list(grid_seeds.trainings(queue, tmp_path / "runs"))
    assert found == [
        (CONTROL, 0, tmp_path / "hub" / f"{CONTROL}.qband"),
        (GRID, 1, tmp_path / "runs" / "gricol.seed1"),  # the fold is of another split
    ]


def test_the_queue_has_each_system_with_each_seed_that_is_not_released():
    queue = [one for one in grid_seeds.read_queue(grid_seeds.QUEUE) if one["split"] == "qband.csv"]
    asked = {(one["model"], one["seed"]) for one in queue}
    released = {(model, seed) for model, seed, _ in grid_seeds.trainings(queue, grid_seeds.QUEUE.parent / "none")}
    assert not asked & released  # nothing is trained again
    assert asked | released == {(model, seed) for model in grid_seeds.SYSTEMS for seed in range(3)}
    assert len({(one["recipe"], one["epochs"], one["init"]) for one in queue}) == 1
