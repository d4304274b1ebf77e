"""The full-size runs of the tables as a queue: the same trainings as the tables' own runs, under the names they look for."""

import dataclasses

import pytest
from helpers.models import LIGHT
from helpers.synthetic import tiny_set

from benchmarks.common.sets import SPLITS
from benchmarks.make import train_queue
from benchmarks.make.train_weights import recipe_of
from benchmarks.paper import full_queue, systems
from gricol_zoo import MODELS, GridLoss, TrainingTask, create_model
from gricol_zoo.data.folds import assign_folds, fold_split
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import read_split
from gricol_zoo.training.checks import check_phases


def test_the_committed_queue_is_what_the_script_makes_and_can_be_read():
    queue = train_queue.read_queue(full_queue.QUEUE)
    assert queue == [{**train_queue.OPTIONAL, **one} for one in full_queue.trainings()]
    names = [one["name"] for one in queue]
    assert names[:4] == ["gricol.0.0", "gril.0.0", "control.0.0", "resnet50.0.0"]
    assert [name[-2:] for name in names[:18]] == [".0"] * 18  # the first fold first
    networks = {name for name, system in systems.SYSTEMS.items() if not system.classical} - set(systems.CHEAPER[1:])
    assert set(names) == {f"{name}.{seed}.{fold}" for name in networks for seed in range(3) for fold in range(5)}


def test_it_trains_by_the_tables_recipe(monkeypatch):
    monkeypatch.chdir(full_queue.ROOT)
    wanted = systems.BUDGETS["full"].recipe
    for one in train_queue.read_queue(full_queue.QUEUE):
        system = systems.SYSTEMS[one["name"].split(".")[0]]
        precision = system.precision or wanted.precision
        assert recipe_of(one) == dataclasses.replace(wanted, seed=one["seed"], precision=precision)
        assert (one["model"], one["changes"]) == systems.of_budget(system, "full")
        assert (SPLITS / one["split"]).exists()
        MODELS.get(one["model"]).replace(**one["changes"])


@pytest.mark.parametrize("name", ["racnn", "varifocal"])
def test_phases_fit_into_its_epochs(name):
    model, changes = systems.of_budget(systems.SYSTEMS[name], "full")
    small = {"image_size": (64, 64), "backbone_options": {**changes.get("backbone_options", {}), **LIGHT}}
    built = create_model(model, **small)
    check_phases(TrainingTask(built, GridLoss()), name, systems.BUDGETS["full"].recipe)


def test_splits_are_those_of_the_tables_folds(tmp_path, monkeypatch):
    monkeypatch.setattr(full_queue, "SPLITS", tmp_path)
    folder = tiny_set(tmp_path / "qband.zip", cells=15)  # a folder will do
    full_queue.write_splits(tmp_path)
    images = open_images(folder)
    fold_of = assign_folds(images, 5, 0)
    for fold in range(5):
        assert read_split(tmp_path / f"qband.fold{fold + 1}.csv") == fold_split(images, fold_of, fold, 0)


def test_committed_splits_test_each_cell_once():
    parts = [read_split(full_queue.split_file(fold)) for fold in range(5)]
    tested = [group for split in parts for group, part in split.items() if part == "test"]
    assert sorted(tested) == sorted(parts[0])
    assert all(split.keys() == parts[0].keys() for split in parts)


def test_hours_by_hand():
    # 3000 images, 60 epochs, 10 G each, at 500 G a second: 3600 seconds
    assert full_queue.estimate(10, 3000, 60, 500) == pytest.approx(1)
    costs = full_queue.gflops()
    assert costs["gricol"] == pytest.approx(28.944, abs=0.01)  # both branches of N = 3
    assert costs["control"] == pytest.approx(2.894, abs=0.001)
    assert costs["resnet50"] == pytest.approx(16.667, abs=0.001)
    assert full_queue.rates()["amx"] == pytest.approx(18207 * costs["control"] / 1268.962637)
    table = full_queue.rows(full_queue.trainings())
    assert {row["runs"] for row in table} == {15}
    assert table[0]["amx_all"] == pytest.approx(15 * table[0]["amx_hours"], abs=1e-3)
