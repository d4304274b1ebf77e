"""Every registered model, splitter and part keeps the contract; test your own parts with ``pytest -p your_package``."""

import pytest
import torch
from helpers.models import LIGHTER, SMALL

from gricol_zoo import MODELS, SPLITTERS, GricolZooError, create_model, is_model, list_models
from gricol_zoo.testing import check_model, check_splitter

HEAVY = (
    *("bcnn_vgg16", "cirnet", "cirnet_pooled", "gricol_r50half_n2", "gricol_r50half_n4", "gricol_r50half_n3_nooverlap"),
    *("hrnet_w18_joints", "racnn_r50", "varifocal_r50"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in MODELS.names()]
)
def test_model(name):
    check_model(name, **SMALL, **LIGHTER.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", LIGHTER)
def test_model_with_its_own_backbone(name):
    check_model(name, **SMALL)


@pytest.mark.parametrize("name", SPLITTERS.names())
@pytest.mark.parametrize("grid", [1, 2, 3, 4, 5])
def test_splitter(name, grid):
    check_splitter(name, grid)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "r18half"},
        {"grid": 4},
        {"splitter": "tiles"},
        {"splitter": "rows"},
        {"head": "per_cell"},
        {"overview": "resize"},
        {"overview": "none"},
        {"head_options": {"gate": "channel", "chain": "recursive"}},
        {"head_options": {"first": "cyclic", "merged_linear": False}},
        {"splitter_options": {"order": "raster", "row_starts": [0, 20, 48], "column_starts": [0, 25, 50]}},
        {"cell_size": (40, 30)},
        {"image_size": (64, 64), "cell_size": (64, 64), "overview": "none"},
        {"drop_rate": 0.5},
        {"in_chans": 4},
    ],
    ids=str,
)
def test_any_part_can_be_swapped(changes):
    check_model("gricol_r18half_n3_128", **{**SMALL, "overview": "conv", **changes})


def test_lists():
    names = list_models()
    assert {"gricol_r50half_n2", "gricol_r50half_n3", "gricol_r50half_n4", "gricol_r50half_n3_nooverlap"} <= set(names)
    assert {"gril_r50half", "r50half", "resnet50", "gricol_r18half_n3_128", "gril_r18half_128", "r18half_128"} <= set(names)
    assert list_models("*_192") == ["gricol_r18half_n3_192", "gricol_r18half_rows3_192", "gril_r18half_192", "r18half_192"]
    assert list_models("gril_*") == ["gril_r18half_128", "gril_r18half_192", "gril_r50half"]
    assert list_models("nothing*") == []
    assert is_model("resnet50")
    assert not is_model("resnet51")
    assert not is_model("org/repo")
    assert not is_model("resnet50.tag")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gricol_r50half_n5", {}, "Unknown model 'gricol_r50half_n5'. Did you mean gricol_r50half_n"),
        ("gricol_r50half_n3.rband", {}, "Unknown tag 'rband'"),
        ("gricol_r50half_n2", {"pretrained": True}, "No pretrained weights exist for 'gricol_r50half_n2'"),
        ("r50half", {"backbone": "r51"}, "Unknown backbone 'r51'. Did you mean r50"),
        ("r50half", {"splitter": "overlay"}, "Unknown splitter 'overlay'. Did you mean overlap"),
        ("r50half", {"head": "reconstruct"}, "Unknown head 'reconstruct'. Did you mean reconstruction"),
        ("r50half", {"overview": "convolution"}, "`overview` to be one of conv, resize, none"),
        ("r50half", {"num_class": 3}, "Unknown option `num_class`"),
        ("gril_r50half", {"head_options": {"gate": "scalar"}}, "The head 'per_cell' has no option 'gate'"),
        ("org/repo", {}, "hf-hub:org/repo"),
        ("local-dir:/nowhere", {}, "No such folder: '/nowhere'"),
    ],
)
def test_mistakes_are_named(name, changes, message):
    with pytest.raises(GricolZooError) as caught:
        create_model(name, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 3, 96, 98), (2, 1, 98, 96), (1, 96, 98), (2, 1, 448, 456)])
@pytest.mark.parametrize("method", ["forward", "branches", "full", "upper", "merged"])
def test_wrong_images_are_named(shape, method):
    model = create_model("gricol_r18half_n3_128", **SMALL)
    with pytest.raises(GricolZooError, match=r"Expected images of shape \(B, 1, 96, 98\), but got"):
        getattr(model, method)(torch.zeros(shape))


def test_one_backbone_call_for_cells_and_overview():
    model = create_model("gricol_r50half_n3", **SMALL, backbone="r18half")
    calls = []
    model.backbone.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    model.branches(torch.randn(2, 1, 96, 98))
    assert calls == [2 * (9 + 1)]


def test_full_is_the_mean_of_every_classifiers_probability():
    model = create_model("gricol_r18half_n3_128", **SMALL).eval()
    torch.nn.init.normal_(model.classifier.weight)
    images = torch.randn(3, 1, 96, 98)
    output = model.branches(images)
    each = [output.logits, *output.cell_logits.unbind(1), output.merged_logits]
    assert len(each) == 11
    expected = torch.stack([logits.softmax(-1) for logits in each]).mean(0)
    torch.testing.assert_close(model.full(images).exp(), expected)


def test_the_merged_cells_answer_alone():
    model = create_model("gricol_r18half_n3_128", **SMALL).eval()
    images = torch.randn(2, 1, 96, 98)
    torch.testing.assert_close(model.merged(images), model.branches(images).merged_logits)
    for name in ("gril_r18half_128", "r18half_128"):
        with pytest.raises(GricolZooError, match="has no Y_0"):
            create_model(name, **SMALL).merged(images)


def test_the_conv_overview_starts_as_a_blur_and_crops_the_centre():
    model = create_model("gricol_r50half_n3", backbone="r18half").eval()
    image = torch.randn(1, 1, 448, 456)
    seen = model.overview(image)
    assert seen.shape == (1, 1, 224, 224)
    kernel = torch.tensor([1.0, 2.0, 1.0])
    patch = image[0, 0, 199:202, 203:206]  # around (200, 204): row 100, column 102 of the half image, 100 after the crop
    expected = (torch.outer(kernel, kernel) / 16 * patch).sum()
    assert seen[0, 0, 100, 100].item() == pytest.approx(expected.item(), abs=1e-6)


def test_deploy_is_a_copy():
    model = create_model("gricol_r18half_n3_128", **SMALL).eval()
    deployed = model.deploy()
    images = torch.randn(1, 1, 96, 98)
    before = deployed(images)
    torch.nn.init.zeros_(model.classifier.bias)
    torch.nn.init.zeros_(model.backbone.conv1.weight)
    assert torch.equal(deployed(images), before)


def test_reset_classifier_renews_every_classifier():
    model = create_model("gricol_r18half_n3_128", **SMALL)
    model.reset_classifier(4)
    output = model.eval().branches(torch.randn(1, 1, 96, 98))
    assert output.logits.shape == output.merged_logits.shape == (1, 4)
    assert output.cell_logits.shape == (1, 9, 4)
    assert model.spec.labels == ("0", "1", "2", "3")
