"""Our names through timm's functions; timm's own tests are run by tests/timm_suite."""

import pytest
import timm
import torch
from helpers.models import SMALL

import gricol_zoo.timm_bridge
from gricol_zoo import MODELS, WEIGHTS, DeployedModel, GricolZooError, create_model


def test_every_name_but_timms_own_is_bridged():
    assert set(gricol_zoo.timm_bridge.BRIDGED) == set(MODELS.names()) - {"resnet50"}
    assert "gricol_r50half_n3" in timm.list_models("gricol_*")
    assert type(timm.create_model("resnet50", num_classes=3)).__module__ == "timm.models.resnet"


def test_timm_creates_the_deployed_form():
    model = timm.create_model("gricol_r50half_n3", num_classes=5, in_chans=3, drop_rate=0.1)
    assert isinstance(model, DeployedModel)
    assert model.classifier.out_features == 5
    assert model.drop_rate == 0.1
    assert timm.data.resolve_data_config(model=timm.create_model("gricol_r50half_n3"))["input_size"] == (1, 448, 456)


def test_unknown_options_are_type_errors():
    with pytest.raises(TypeError, match="nonsense"):
        timm.create_model("gricol_r50half_n3", nonsense=1)


def test_no_weights_is_said():
    with pytest.raises((GricolZooError, RuntimeError), match="gricol_r50half_n2"):
        timm.create_model("gricol_r50half_n2", pretrained=True)


def test_a_folder_opens_by_both_doors(tmp_path):
    model = create_model("gricol_r18half_n3_128", **SMALL, grid=2, overview="conv").eval()
    model.save_pretrained(tmp_path)
    images = torch.randn(2, 1, 96, 98)
    ours = create_model(f"local-dir:{tmp_path}", pretrained=True)(images)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()(images)
    assert torch.equal(ours, theirs)
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=5)(images).shape == (2, 5)


def test_a_harmed_folder_is_refused_by_timm_too(tmp_path):
    create_model("gricol_r18half_n3_128", **SMALL).save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(GricolZooError, match="not the file that its config describes"):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)


@pytest.mark.parametrize("name", [f"{name}.{tag}" for name, tags in WEIGHTS.items() for tag in tags if tags[tag].packaged])
def test_released_weights_by_both_doors(name):
    ours = create_model(name, pretrained=True)
    images = torch.randn(2, ours.in_chans, *ours.spec.image_size)
    theirs = timm.create_model(name, pretrained=True).eval()
    assert torch.equal(ours(images), theirs(images))
    assert theirs.pretrained_cfg["mean"] == (ours.spec.preprocess.mean,)
    assert name in timm.list_models("*r18half*", pretrained=True)


def test_features_through_timm():
    model = timm.create_model("gricol_r50half_n3", features_only=True, out_indices=(1, 3))
    maps = model(torch.randn(1, 1, 128, 128))
    assert [m.shape[1] for m in maps] == model.feature_info.channels() == [128, 512]


def test_timm_lists_what_can_be_had(monkeypatch):
    tags = {f"{name}.{tag}": entry for name, tags in WEIGHTS.items() for tag, entry in tags.items()}
    listed = {name for name in timm.list_models(pretrained=True) if name.partition(".")[0] in gricol_zoo.timm_bridge.BRIDGED}
    assert listed == {name for name, entry in tags.items() if entry.packaged or entry.revision}
    hidden = sorted(set(tags) - listed)
    if hidden:
        assert timm.create_model(hidden[0], pretrained=True).num_classes == 24  # from the clone, though not listed
        monkeypatch.setattr("gricol_zoo.weights.checkout.checkouts", list)
        with pytest.raises(GricolZooError, match="have not been uploaded yet"):
            timm.create_model(hidden[0], pretrained=True)
