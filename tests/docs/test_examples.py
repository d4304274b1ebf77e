"""The examples run, on synthetic chromosomes."""

import importlib.util
import sys

import pytest
from helpers import ROOT
from helpers.synthetic import tiny_set

import gricol_zoo


@pytest.fixture
def folder(tmp_path):
    """Eight images of each of three classes, in a folder a class."""
    made = tmp_path / "classes"
    for file in sorted(tiny_set(tmp_path / "set", cells=8).rglob("*.png")):
        place = made / file.stem.partition("_")[0] / f"{file.parent.name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)
    return made


def example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("torchvision", [True, False])
def test_own_training_loop(torchvision, folder, tmp_path, monkeypatch):
    if torchvision:
        pytest.importorskip("torchvision")
    else:
        monkeypatch.setitem(sys.modules, "torchvision", None)
        monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    module = example("own_training_loop")
    assert module.ImageFolder.__module__.startswith("torchvision") == torchvision
    losses = module.fine_tune(folder, tmp_path / "out", epochs=6)
    assert losses[-1] < 0.8 * losses[0]
    model = gricol_zoo.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True)
    files = sorted(folder.rglob("*.png"))
    answers = gricol_zoo.classify(model, files)
    right = [answer.label == file.parent.name for answer, file in zip(answers, files, strict=True)]
    assert sum(right) > 0.8 * len(right)
    assert answers[0].review is None  # the threshold was of other classes
