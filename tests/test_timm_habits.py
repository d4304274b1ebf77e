"""What a user of timm expects of any form of our models, through our functions and through timm's."""

import json

import numpy as np
import pytest
import timm
import timm.data
import torch
from helpers.models import SMALL
from PIL import Image
from timm.models import group_parameters
from timm.optim import create_optimizer_v2

import gricol_zoo
import gricol_zoo.timm_bridge
from gricol_zoo import (
    DeployedModel,
    GricolZooError,
    create_model,
    get_pretrained_cfg,
    list_models,
    list_pretrained,
    model_entrypoint,
    optimize,
)
from gricol_zoo.errors import CheckpointError, NoWeightsError
from gricol_zoo.weights.tensors import save_model

NAME = "gricol_r18half_n3_128"
WEIGHTS = f"{NAME}.qband"
FORMS = {
    "full": lambda **changes: create_model(NAME, **changes),
    "deployed": lambda **changes: create_model(NAME, deployed=True, **changes),
    "by deploy()": lambda **changes: create_model(NAME, **changes).deploy(),
    "optimized": lambda **changes: optimize(create_model(NAME, **changes), "fp32"),
    "timm's": lambda **changes: timm.create_model(NAME, **changes),
}


@pytest.fixture(params=FORMS)
def make(request):
    return FORMS[request.param]


def test_timms_config_is_that_of_the_model(make):
    model = make()
    config = timm.data.resolve_data_config({}, model=model)
    assert config["input_size"] == (1, 128, 96)
    weights = (
        create_model(WEIGHTS, pretrained=True).spec if model.pretrained_cfg.get("file") else create_model(NAME).spec
    )  # timm reports those of its default tag
    assert (config["mean"], config["std"]) == ((weights.preprocess.mean,), (weights.preprocess.std,))
    assert model.default_cfg["architecture"] == NAME


def test_a_changed_models_config_is_its_own():
    model = create_model(NAME, in_chans=3, image_size=(96, 64))
    assert timm.data.resolve_data_config({}, model=model)["input_size"] == (3, 96, 64)
    assert create_model(WEIGHTS, pretrained=True).pretrained_cfg["tag"] == "qband"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("training", [False, True])
def test_timms_transform_says_what_to_use_instead(form, training):
    config = timm.data.resolve_data_config({}, model=FORMS[form]())
    with pytest.raises(KeyError, match=r"Prepare images by gricol_zoo\.create_transform\(model\)") as error:
        timm.data.create_transform(**config, is_training=training)(Image.new("L", (50, 80)))
    assert "\n" not in str(error.value)


def test_timms_transform_of_a_features_model_a_folder_and_a_name(tmp_path):
    create_model(NAME).save_pretrained(tmp_path)
    models = timm.create_model(NAME, features_only=True), timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    configs = [model.pretrained_cfg for model in models] + [timm.get_pretrained_cfg(NAME).to_dict()]
    for config in configs:
        with pytest.raises(KeyError, match="create_transform"):
            timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config))
    model = timm.create_model(NAME, pretrained_cfg_overlay={"interpolation": "bilinear"})  # asked for all the same
    assert timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))


def test_an_image_to_a_tensor_and_an_answer():
    model = create_model(WEIGHTS, pretrained=True)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 40), dtype=np.uint8))
    assert gricol_zoo.create_transform(model)(image).shape == (1, 128, 96)
    (answer,) = gricol_zoo.classify(model, image)
    assert answer.label in gricol_zoo.CHROMOSOMES
    assert 0 < answer.probability <= 1


def test_get_classifier(make):
    model = make()
    assert model.get_classifier() is model.classifier
    assert model.get_classifier(name_only=True) == "classifier"


def test_reset_classifier_takes_a_pooling(make):
    model = make().eval()
    images = torch.randn(2, 1, 128, 96)
    model.reset_classifier(5, "max")
    assert (model.spec.global_pool, model.global_pool, model.num_classes) == ("max", "max", 5)
    features = model.forward_features(images)
    torch.testing.assert_close(model(images), model.classifier(features.amax((-2, -1))))
    model.reset_classifier(4)
    assert (model.global_pool, model(images).shape) == ("max", (2, 4))
    model.reset_classifier(0, "")
    assert model(images).shape == (2, model.num_features, *features.shape[2:])
    with pytest.raises(GricolZooError, match="`global_pool` to be one of avg, max, '', but got 'catavgmax'"):
        model.reset_classifier(5, "catavgmax")
    assert model.num_classes == 0


def test_a_pooling_is_kept_on_disk_and_when_deployed(tmp_path):
    model = create_model(NAME, global_pool="max", **SMALL).eval()
    images = torch.randn(2, 1, *SMALL["image_size"])
    model.save_pretrained(tmp_path)
    again = create_model(f"local-dir:{tmp_path}", pretrained=True)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    torch.testing.assert_close(again(images), model(images), atol=1e-2, rtol=1e-2)
    assert torch.equal(theirs(images), again(images))
    assert torch.equal(model.deploy()(images), model(images))
    assert json.loads((tmp_path / "config.json").read_text())["global_pool"] == "max"
    plain = create_model(NAME, **SMALL)
    plain.save_pretrained(tmp_path / "plain")
    assert "global_pool" not in json.loads((tmp_path / "plain" / "config.json").read_text())["gricol_zoo"]["spec"]


@pytest.mark.parametrize("size", [(160, 112), 64])
def test_set_input_size(make, size):
    model = make().eval()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    model.set_input_size(size)
    height, width = model.spec.image_size
    assert timm.data.resolve_data_config({}, model=model)["input_size"] == (1, height, width)
    images = torch.randn(1, 1, height, width)
    assert model(images).shape == (1, 24)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    fresh = create_model(NAME, image_size=size, deployed=isinstance(model, DeployedModel)).eval()
    if model.load_report is None and "net" not in dict(model.backbone.named_children()):
        fresh.load_state_dict(model.state_dict())
        assert torch.equal(fresh(images), model(images))
    if not isinstance(model, DeployedModel):
        assert model.full(images).shape == (1, 24)


def test_set_input_size_of_parts_that_have_a_size():
    changes = {"backbone": "timm/vit_tiny_patch16_224", "image_size": (64, 64), "cell_size": (32, 32), "overview": "conv"}
    model = create_model(NAME, splitter="none", head="none", **changes).eval()
    frozen = model.overview.conv.requires_grad_(False)
    model.set_input_size((128, 130))
    assert model.overview.conv is frozen
    assert model(torch.randn(1, 1, 128, 130)).shape == (1, 24)
    grid = create_model(NAME)
    with pytest.raises(GricolZooError, match="cells no larger than the image"):
        grid.set_input_size(32)
    assert grid.spec.image_size == (128, 96)


def test_none_is_the_default():
    model = create_model(NAME, num_classes=None, in_chans=None, checkpoint_path=None, cache_dir=None)
    assert (model.num_classes, model.in_chans) == (24, 1)


def test_full_without_classes_says_so():
    with pytest.raises(GricolZooError, match="no classifiers"):
        create_model(NAME, num_classes=0).full(torch.zeros(1, 1, 128, 96))


def test_names():
    assert model_entrypoint(NAME)(num_classes=5).num_classes == 5
    assert isinstance(model_entrypoint(WEIGHTS)(pretrained=True, deployed=True), DeployedModel)
    for name in ("gricol_r18half_n3_12", f"{NAME}.qbant"):
        with pytest.raises(GricolZooError, match="Unknown"):
            model_entrypoint(name)
    config = get_pretrained_cfg(WEIGHTS)
    assert (config.input_size, config.num_classes, config.architecture, config.tag) == ((1, 128, 96), 24, NAME, "qband")
    assert get_pretrained_cfg(NAME).tag == "qband"
    assert get_pretrained_cfg("resnet50").input_size == (1, 448, 456)  # ours, not timm's
    with pytest.raises(GricolZooError, match="Unknown model"):
        get_pretrained_cfg("gricol_x")


def test_lists():
    every = list_models()
    assert list_models("gricol_*_128") == list_models(["gricol_*_128"]) == [NAME]
    assert list_models(["gricol_*_128", "cirnet*"]) == ["cirnet", "cirnet_pooled", NAME]
    assert list_models("gricol_*", exclude_filters="*r50*") == [
        NAME,
        "gricol_r18half_n3_192",
        "gricol_r18half_rows3_192",
    ]
    assert list_models(exclude_filters=["*r50*", "*r18*"]) == [
        name for name in every if "r50" not in name and "r18" not in name
    ]
    assert list_models(module="r18half") == [name for name in every if "r18half" in name]
    assert list_models(module=["dcl", "abn"]) == ["abn_r50", "dcl_r50"]
    assert list_pretrained() == list_models(pretrained=True)
    released = list_pretrained()
    assert WEIGHTS in list_pretrained("gricol_*", exclude_filters="*.pki3")
    assert list_pretrained(["*.qband"], exclude_filters=[NAME]) == [
        name for name in released if name.endswith(".qband") and not name.startswith(f"{NAME}.")
    ]
    with pytest.raises(GricolZooError, match="`module` to be a pattern or a list of patterns, but got True"):
        list_models("gricol_*", True)


@pytest.fixture
def folder(tmp_path):
    model = create_model(NAME, **SMALL).eval()
    model.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", ["", "model.safetensors"])
def test_a_checkpoint_path_by_our_door(folder, place):
    images = torch.randn(2, 1, *SMALL["image_size"])
    expected = create_model(f"local-dir:{folder}", pretrained=True)(images)
    assert torch.equal(create_model(NAME, checkpoint_path=folder / place)(images), expected)
    assert create_model(NAME, checkpoint_path=folder / place, deployed=True, num_classes=3)(images).shape == (2, 3)
    with pytest.raises(CheckpointError, match=f"holds weights of '{NAME}', not of 'r18half_128'"):
        create_model("r18half_128", checkpoint_path=folder / place)
    with pytest.raises(CheckpointError, match=r"Expected a model\.safetensors"):
        create_model(NAME, checkpoint_path=folder / "other.safetensors")


def test_a_checkpoint_path_by_timms_door(folder):
    images = torch.randn(2, 1, *SMALL["image_size"])
    expected = create_model(f"local-dir:{folder}", pretrained=True)(images)
    file = str(folder / "model.safetensors")
    assert torch.equal(timm.create_model(NAME, checkpoint_path=file, **SMALL).eval()(images), expected)
    with pytest.raises(RuntimeError, match="size mismatch"):
        timm.create_model(NAME, checkpoint_path=file, num_classes=5)


def test_the_deployed_form_loads_the_full_forms_tensors():
    full = create_model(NAME, **SMALL).eval()
    deployed = create_model(NAME, deployed=True, **SMALL).eval()
    deployed.load_state_dict(full.state_dict())
    images = torch.randn(2, 1, *SMALL["image_size"])
    assert torch.equal(deployed(images), full(images))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        deployed.load_state_dict({**full.state_dict(), "other": torch.zeros(1)})


def test_an_overlay_of_another_models_weights_is_refused(folder):
    own = {"file": str(folder / "model.safetensors")}
    assert timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay=own).spec.image_size == SMALL["image_size"]
    for name in ("r18half_128", "r50half"):
        with pytest.raises(CheckpointError, match=f"holds weights of '{NAME}', not of '{name}'"):
            timm.create_model(name, pretrained=True, pretrained_cfg_overlay=own)
    with pytest.raises(CheckpointError, match="`url` and `state_dict` cannot be checked"):
        timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay={"url": "https://example.org/x.pth"})


@pytest.mark.parametrize("door", [timm.create_model, create_model])
def test_no_weights_is_timms_kind_of_error_and_names_some(door):
    with pytest.raises(RuntimeError, match=f"No pretrained weights exist for 'gricol_r50half_n2'.*{WEIGHTS}") as error:
        door("gricol_r50half_n2", pretrained=True)
    assert isinstance(error.value, NoWeightsError)


STALE = ("temperature", "temperature_full", "review_threshold", "val", "reference", "tag")


@pytest.mark.parametrize("way", ["num_classes", "no classes", "reset", "reset, deployed", "reset to 24", "no polarity"])
def test_other_classes_forget_what_held_for_the_old_ones(way, tmp_path):
    name = "r18half_192.qband" if way == "no polarity" else WEIGHTS
    changes = {"num_classes": {"num_classes": 5}, "no classes": {"num_classes": 0}, "no polarity": {"polarity": False}}
    model = create_model(name, pretrained=True, deployed="deployed" in way, **changes.get(way, {}))
    if "reset" in way:
        model.reset_classifier(24 if "24" in way else 5)
    assert not set(STALE) & set(model.info)
    assert (model.info.calibration.temperature, model.info.calibration.threshold) == (1.0, None)
    assert model.info.groups  # what the backbone has seen
    save_model(model, tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())["gricol_zoo"]
    assert not set(STALE) & set(saved)
    assert saved["training"]


def test_other_channels_keep_it():
    assert create_model(WEIGHTS, pretrained=True, in_chans=3).info["temperature"]
    assert create_model(WEIGHTS, pretrained=True, polarity=True).info["temperature"]


@pytest.mark.parametrize("name", gricol_zoo.timm_bridge.BRIDGED)
def test_features_of_every_name(name):
    model = timm.create_model(name, features_only=True).eval()
    _, height, width = model.pretrained_cfg["input_size"]
    with torch.no_grad():
        maps = model(torch.randn(1, 1, height, width))
    assert [features.shape[1] for features in maps] == model.feature_info.channels()
    for features, reduction in zip(maps, model.feature_info.reduction(), strict=True):
        assert abs(features.shape[2] - height / reduction) < 1


TIMM = {  # backbone: its levels, and the number of layers of its parameters
    "convnext_atto": (4, 14),
    "vit_tiny_patch16_224": (12, 14),
    "swin_tiny_patch4_window7_224": (4, 14),
    "mobilenetv3_small_050": (5, 14),
    "resnet10t": (5, 6),
    "cait_xxs24_224": (24, 28),
}


def composed(backbone, **changes):
    return timm.create_model(
        NAME, backbone=f"timm/{backbone}", splitter="none", head="none", image_size=(64, 64), cell_size=(64, 64), **changes
    )


@pytest.mark.parametrize("backbone", TIMM)
def test_features_of_a_timm_backbone(backbone):
    levels, _ = TIMM[backbone]
    images = torch.randn(2, 1, 64, 64)
    model = composed(backbone, features_only=True).eval()
    with torch.no_grad():
        maps = model(images)
    assert len(maps) == levels
    for features, info in zip(maps, model.feature_info.get_dicts(), strict=True):
        assert tuple(features.shape) == (2, info["num_chs"], 64 // info["reduction"], 64 // info["reduction"])
    some = composed(backbone, features_only=True, out_indices=(0, 2)).eval()
    assert [features.shape for features in some(images)] == [maps[0].shape, maps[2].shape]
    whole = composed(backbone).eval()
    final, _ = whole.forward_intermediates(images)
    torch.testing.assert_close(final, whole.forward_features(images))


@pytest.mark.parametrize("backbone", TIMM)
def test_layer_wise_decay_of_a_timm_backbone(backbone):
    model = composed(backbone)
    theirs = timm.create_model(backbone, num_classes=0, **({"img_size": 64} if "2" in backbone.split("_")[-1] else {}))
    layers = len(group_parameters(theirs, theirs.group_matcher()))
    assert len(group_parameters(model, model.group_matcher())) in (layers, layers + 1)  # and the classifier
    rates = [group["lr_scale"] for group in create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.5).param_groups]
    assert max(rates) == 1
    assert min(rates) <= 0.5 ** (layers - 1)
    assert model.no_weight_decay() == {f"backbone.net.{name}" for name in getattr(theirs, "no_weight_decay", set)()}


@pytest.mark.parametrize("name", [NAME, "r50half", "cirnet", "gricol_r50half_n3"])
def test_layer_wise_decay_of_both_forms(name):
    for model in (create_model(name), create_model(name, deployed=True)):
        rates = {group["lr_scale"] for group in create_optimizer_v2(model, "adamw", lr=1e-3, layer_decay=0.5).param_groups}
        assert len(rates) > 5


def test_scripting_is_untouched():
    model = create_model(NAME, deployed=True, **SMALL).eval()
    images = torch.randn(1, 1, *SMALL["image_size"])
    torch.testing.assert_close(torch.jit.script(model)(images), model(images))
