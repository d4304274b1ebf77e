"""What timm's own suite does not check of the deployed form."""

import pytest
import torch
from helpers.models import SMALL

from gricol_zoo import GricolZooError, create_model
from gricol_zoo.models.deployed import take_levels


@pytest.fixture
def model():
    return create_model("gricol_r50half_n3", deployed=True, backbone="r18half", **SMALL).eval()


@pytest.mark.parametrize(
    ("indices", "levels"), [(None, [0, 1, 2, 3, 4]), (2, [3, 4]), ([0, -1], [0, 4]), ([3, 1], [1, 3]), ((2,), [2])]
)
def test_levels(indices, levels):
    assert take_levels(5, indices) == levels


@pytest.mark.parametrize("indices", [[5], [-6], 6, []])
def test_levels_out_of_range(indices):
    with pytest.raises(GricolZooError, match=r"in -5\.\.4"):
        take_levels(5, indices)


def test_intermediates_match_feature_info(model):
    images = torch.randn(1, 1, *SMALL["image_size"])
    _, maps = model.forward_intermediates(images)
    for info, features in zip(model.feature_info, maps, strict=True):
        assert features.shape[1] == info["num_chs"]
        assert features.shape[2] == -(-SMALL["image_size"][0] // info["reduction"])


def test_reset_keeps_pooling_dtype_and_mode(model):
    model = model.double()
    model.reset_classifier(7)
    assert model.classifier.weight.dtype == torch.float64
    assert not model.classifier.training
    assert model(torch.randn(1, 1, 96, 98, dtype=torch.float64)).shape == (1, 7)
    model.reset_classifier(0)
    assert model(torch.randn(1, 1, 96, 98, dtype=torch.float64)).shape == (1, 256)
    model.reset_classifier(0, "")
    assert model(torch.randn(1, 1, 96, 98, dtype=torch.float64)).ndim == 4
    with pytest.raises(GricolZooError, match="needs pooled features"):
        model.reset_classifier(3, "")
    model.reset_classifier(3)
    assert model.global_pool == "avg"
    model.reset_classifier(3, "max")
    assert model.global_pool == "max"


def test_grad_checkpointing_gives_the_same_gradients():
    model = create_model("r18half_128", deployed=True, image_size=(64, 64))
    images = torch.randn(2, 1, 64, 64)
    model(images).sum().backward()
    plain = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model.set_grad_checkpointing()
    model(images).sum().backward()
    for before, parameter in zip(plain, model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, before)


def test_pruned_model_gives_the_same_maps(model):
    images = torch.randn(1, 1, *SMALL["image_size"])
    expected = model.forward_intermediates(images, [1, 2], intermediates_only=True)
    assert model.prune_intermediate_layers([1, 2]) == [1, 2]
    assert model.num_features == 64
    for before, after in zip(expected, model.forward_intermediates(images, [1, 2], intermediates_only=True), strict=True):
        assert torch.equal(before, after)


def test_init_weights_starts_again(model):
    before = model.backbone.conv1.weight.clone()
    model.init_weights()
    assert not torch.equal(model.backbone.conv1.weight, before)
    assert model.overview.conv.weight.sum().item() == pytest.approx(1.0)


def test_unknown_output_format(model):
    with pytest.raises(GricolZooError, match="NCHW"):
        model.forward_intermediates(torch.zeros(1, 1, 96, 98), output_fmt="NLC")


def test_other_image_sizes(model):
    assert model(torch.randn(1, 1, 130, 200)).shape == (1, 24)
