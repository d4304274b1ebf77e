"""Model specifications: to JSON and back, older configs, and wrong values."""

import dataclasses
import json

import pytest

from gricol_zoo import CHROMOSOMES, MODELS, GricolZooError, ModelSpec, Preprocess
from gricol_zoo.spec import from_mapping


@pytest.mark.parametrize("name", MODELS.names())
def test_json_rebuilds_the_spec(name):
    spec = MODELS.get(name)
    assert ModelSpec(**json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.labels == CHROMOSOMES


def test_every_field_survives_json():
    spec = ModelSpec(
        "timm/resnet18",
        "tiles",
        "reconstruction",
        "resize",
        grid=4,
        image_size=64,
        cell_size=(16, 24),
        in_chans=3,
        num_classes=2,
        drop_rate=0.1,
        class_names=("a", "b"),
        backbone_options={"pretrained": False},
        splitter_options={"x": 1},
        head_options={"gate": "channel"},
        cell_norm="own",
        polarity=True,
        global_pool="max",
        preprocess=Preprocess("upright", 1.5, None, "p99", 0.1, 0.2, 2, "light", 41.5),
    )
    for part in (spec, spec.preprocess):  # otherwise a field that is left out would not be noticed
        defaults = {f.name: f.default for f in dataclasses.fields(part)}
        assert [name for name, value in defaults.items() if getattr(part, name) == value] == []
    assert {getattr(spec, f.name) for f in dataclasses.fields(spec) if f.name == "image_size"} == {(64, 64)}
    assert from_mapping(ModelSpec, json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.labels == ("a", "b")


def test_what_an_older_config_does_not_say():
    """Weights from before preparation 2 and polarity keep their behaviour."""
    values = MODELS.get("r18half_128").to_dict()
    del values["polarity"]
    for field in ("version", "ground", "length"):
        del values["preprocess"][field]
    spec = from_mapping(ModelSpec, values)
    assert spec == MODELS.get("r18half_128")
    assert (spec.polarity, spec.preprocess.version, spec.preprocess.ground, spec.preprocess.length) == (False, 1, "auto", 0.0)


def test_labels_of_other_class_counts():
    assert ModelSpec("r50", num_classes=3).labels == ("0", "1", "2")
    named = ModelSpec("r50", num_classes=2, class_names=("x", "y"))
    assert named.replace(num_classes=3).labels == ("0", "1", "2")
    assert named.replace(num_classes=2).labels == ("x", "y")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("grid", 0, "`grid` to be an integer in 1..16, but got 0"),
        ("grid", True, "`grid`"),
        ("image_size", (1, 2, 3), "`image_size`"),
        ("image_size", -4, "`image_size`"),
        ("in_chans", 1.0, "`in_chans`"),
        ("num_classes", -1, "`num_classes`"),
        ("drop_rate", 1.0, "`drop_rate`"),
        ("class_names", ("a",), "24 `class_names`"),
        ("preprocess", {"orientation": "sideways"}, "as-is, centred, upright"),
        ("preprocess", {"std": 0}, "`std`"),
        ("preprocess", {"version": 3}, "the preparation `version` to be 1 or 2, but got 3"),
        ("preprocess", {"version": True}, "`version`"),
        ("preprocess", {"ground": "grey"}, "`ground` to be one of auto, light, dark"),
        ("preprocess", {"length": -1}, r"`length` to lie in 0\.\.8192"),
        ("preprocess", {"length": "long"}, "`length` to be a number"),
        ("polarity", 1, "`polarity` to be true or false"),
        ("preprocess", {"nothing": 0}, "Unknown option `nothing` of Preprocess"),
        ("gird", 3, "Unknown option `gird` of ModelSpec"),
    ],
)
def test_wrong_values_name_the_field(field, value, message):
    with pytest.raises(GricolZooError, match=message):
        ModelSpec("r50").replace(**{field: value})
