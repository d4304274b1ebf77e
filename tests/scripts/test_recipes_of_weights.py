"""The recipe file of all released or planned weights: what it names exists, and one step of it runs."""

import dataclasses
import json

import pytest
import torch
from helpers import ROOT

from benchmarks.common.recipes import epochs_on, read_recipe, with_starts
from benchmarks.common.record import RESULTS
from benchmarks.common.weights import HUB, released
from benchmarks.make.train_weights import recipe_of
from gricol_zoo import MODELS, create_model
from gricol_zoo.data.rows import read_csv
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import make_optimizer
from gricol_zoo.training.recipes import Recipe, get_recipe
from gricol_zoo.training.task import TrainingTask

FOLDER = ROOT / "benchmarks" / "recipes"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_names_what_exists(file):
    what = json.loads(file.read_text())
    assert what.keys() - {"recipe_changes", "changes"} == {"model", "images", "init", "recipe", "epochs", "seed"}
    MODELS.get(what["model"]).replace(**what.get("changes", {}))  # raises where a field is unknown
    assert file.stem.startswith(f"{what['model']}.{what['images']}")
    assert (FOLDER.parent / "splits" / f"{what['images']}.csv").is_file()
    assert not what["init"] or (FOLDER / f"{what['init']}.json").is_file()
    recipe = get_recipe(what["recipe"], epochs=what["epochs"], seed=what["seed"], **what.get("recipe_changes", {}))
    assert recipe.epochs == what["epochs"]


@pytest.mark.parametrize("name", released())
def test_released_weights_were_trained_by_their_recipe(name):
    training = json.loads((HUB / name / "config.json").read_text())["gricol_zoo"]["training"]
    assert Recipe(**training["recipe"]) == recipe_of(read_recipe(name))
    assert bool(training["init_sha256"]) == bool(read_recipe(name)["init"])


@pytest.mark.parametrize("log", sorted((RESULTS / "released").glob("*.log.csv")), ids=lambda log: log.name)
def test_a_log_has_the_epochs_of_its_recipe(log):
    assert len(read_csv(log)) == read_recipe(log.name.removesuffix(".log.csv"))["epochs"]


def test_starts_count_where_they_were_trained_on_the_same_set():
    assert [recipe["epochs"] for recipe in with_starts("gricol_r50half_n3.qband")] == [2, 12, 5, 8]
    assert (epochs_on("gricol_r50half_n3.qband", "qband"), epochs_on("gricol_r50half_n3.qband", "pki3")) == (14, 13)


def test_models_of_one_set_differ_in_nothing_else():
    for tag in ("qband", "pki3"):
        recipes = [
            json.loads((FOLDER / f"{name}.{tag}.json").read_text())
            for name in ("gricol_r18half_n3_128", "gril_r18half_128", "r18half_128")
        ]
        assert len({json.dumps({**recipe, "model": ""}) for recipe in recipes}) == 1


@pytest.mark.parametrize("name", [pytest.param("gricol_r50half_n3.qband", marks=pytest.mark.slow), "r50half.qband"])
def test_one_step_at_the_papers_size(name):
    """The full training takes hours, but one step runs on any processor."""
    what = json.loads((FOLDER / f"{name}.json").read_text())
    recipe = dataclasses.replace(get_recipe(what["recipe"]), precision="fp32")
    model = create_model(what["model"])
    task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing)).train()
    optimizer = make_optimizer(task, recipe)
    images = recipe.augment(torch.rand(2, 448, 456), torch.Generator().manual_seed(0)).unsqueeze(1)
    before = model.backbone.conv1.weight.clone()
    loss = task(images, torch.tensor([0, 23]), 0.0)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert not torch.equal(before, model.backbone.conv1.weight)
