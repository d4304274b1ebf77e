"""A foreign config is refused if it needs far more memory than the registered model of its name."""

import json

import pytest
import timm
import torch
from helpers.models import SMALL

import gricol_zoo.timm_bridge  # noqa: F401  (timm knows our names)
from gricol_zoo import MODELS, create_model
from gricol_zoo.errors import CheckpointError
from gricol_zoo.factory import CONSENT, build
from gricol_zoo.models.memory import activation_bytes

NAME = "gricol_r18half_n3_128"
LARGE = [8192, 8192]
HARMS = {
    "image": {"image_size": LARGE},
    "image and cell": {"image_size": LARGE, "cell_size": [4096, 4096]},
    "many cells": {"image_size": [1024, 1024], "cell_size": [1024, 1024]},
    "twice and a half the canvas": {"image_size": [320, 330], "cell_size": [160, 160]},
    "padding": {"preprocess": {"pad_to": LARGE}},
}


def change(folder, values, name=""):
    """Change a folder's config consistently, so that its weights still match."""
    config = json.loads((folder / "config.json").read_text())
    spec = config["gricol_zoo"]["spec"]
    spec["preprocess"].update(values.get("preprocess", {}))
    spec.update({key: value for key, value in values.items() if key != "preprocess"})
    config["model_args"].update({key: value for key, value in values.items() if key != "preprocess"})
    config["pretrained_cfg"]["input_size"] = [1, *spec["image_size"]]
    config["pretrained_cfg"].pop("pool_size", None)
    config["architecture"] = name or config["architecture"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def folder(tmp_path):
    create_model(NAME).save_pretrained(tmp_path)
    return tmp_path


def ours(folder, **options):
    return create_model(f"local-dir:{folder}", **{"pretrained": True, **options})


def timms(folder, **options):
    return timm.create_model(f"local-dir:{folder}", **{"pretrained": True, **options})


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("door", [ours, timms])
@pytest.mark.parametrize("harm", HARMS)
def test_a_foreign_config_that_takes_too_much_is_refused(folder, harm, door, pretrained):
    change(folder, HARMS[harm])
    with pytest.raises(CheckpointError, match="allow_large=True"):
        door(folder, pretrained=pretrained)


@pytest.mark.parametrize("door", [ours, timms])
def test_consent_is_an_argument(folder, door, monkeypatch):
    change(folder, HARMS["twice and a half the canvas"])
    assert door(folder, allow_large=True).spec.image_size == (320, 330)
    with pytest.raises(CheckpointError, match=f"{CONSENT}=1"):
        door(folder)
    monkeypatch.setenv(CONSENT, "1")
    door(folder)


def test_an_unregistered_name_may_take_what_our_largest_takes(folder):
    change(folder, {"image_size": [640, 640], "cell_size": [320, 320]}, name="mine")
    ours(folder)
    change(folder, {"image_size": LARGE, "cell_size": [4096, 4096]})
    with pytest.raises(CheckpointError, match="allow_large"):
        ours(folder)


def test_the_caller_may_make_it_small_again(folder):
    change(folder, HARMS["image"])
    assert ours(folder, image_size=(128, 131)).spec.image_size == (128, 131)


def test_smaller_ones_and_other_classes_load(tmp_path):
    create_model(NAME, **SMALL, num_classes=7, in_chans=3).save_pretrained(tmp_path)
    assert ours(tmp_path).num_classes == 7


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "hrnet_w18_joints" else name for name in MODELS.names()]
)
def test_every_model_is_measured_without_memory(name):
    with torch.device("meta"):
        model = build(MODELS.get(name))
    assert 2**20 < activation_bytes(model) < 2**31
    assert model.training
