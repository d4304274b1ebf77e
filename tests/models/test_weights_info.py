"""The metadata of a model's weights: typed, readable as a mapping, never changed in place, written back unchanged."""

import copy
import json
import pickle

import pytest
import torch

from gricol_zoo import DEFAULT_MODEL, create_model
from gricol_zoo.models.calibration import Calibration
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.weights.config import read_config

KNOWN = {
    "sha256": "a" * 64,
    "size": 7,
    "tag": "qband",
    "temperature": 2,
    "temperature_full": 3.0,
    "review_threshold": 0.9,
    "val": {"accuracy": 0.5},
    "training": {"groups": ["c1", "c0"], "images": 2},
}


def test_fields_have_types():
    info = WeightsInfo(KNOWN)
    assert (info.sha256, info.size, info.tag) == ("a" * 64, 7, "qband")
    assert info.calibration == Calibration(2.0, 0.9)
    assert isinstance(info.calibration.temperature, float)
    assert info.calibration_full == Calibration(3.0, 0.9)
    assert info.groups == {"c0", "c1"}
    assert info.training["images"] == 2
    assert info.val == {"accuracy": 0.5}


def test_random_weights_know_nothing():
    info = create_model("r18half_128").info
    assert not info
    assert (info.sha256, info.size, info.tag, info.groups, info.reference) == ("", 0, "", None, None)
    assert info.calibration == info.calibration_full == Calibration()
    assert WeightsInfo({"training": {"groups": []}}).groups == frozenset()  # it states that there were none


def test_it_reads_as_the_mapping_that_it_was():
    info = WeightsInfo({**KNOWN, "another key": [1]})
    assert info["temperature"] == 2
    assert info.get("nothing", 5) == 5
    assert "nothing" not in info
    assert info == {**KNOWN, "another key": [1]}
    assert list(info) == [*KNOWN, "another key"]
    assert len(info) == len(KNOWN) + 1
    with pytest.raises(KeyError, match="nothing"):
        info["nothing"]


def test_it_is_replaced_not_changed():
    given = dict(KNOWN)
    info = WeightsInfo(given)
    given["temperature"] = 9.0
    with pytest.raises(TypeError, match="item assignment"):
        info["temperature"] = 9.0
    with pytest.raises(AttributeError, match="entries"):
        info.entries = {}
    changed = info.replace(temperature=4.0, more=1)
    assert (info["temperature"], changed["temperature"], changed["more"]) == (2, 4.0, 1)
    assert changed.calibration.threshold == 0.9


def test_copies_and_workers_get_it():
    model = create_model("r18half_128")
    model.info = KNOWN  # a plain mapping may be assigned
    assert isinstance(model.info, WeightsInfo)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.deploy()):
        assert other.info == KNOWN
        assert other.info.calibration.temperature == 2.0


def test_a_model_with_weights_is_scripted():
    model = create_model(DEFAULT_MODEL, pretrained=True, deployed=True)
    images = torch.randn(1, 1, *model.spec.image_size)
    assert torch.equal(torch.jit.script(model)(images), model(images))


def test_a_config_is_written_back_as_it_came(tmp_path):
    model = create_model(DEFAULT_MODEL, pretrained=True)
    model.save_pretrained(tmp_path)
    assert read_config(tmp_path / "config.json").info == json.loads(json.dumps(dict(model.info)))
