"""The fast copy of a model gives the same answers as the model, whatever the backbone."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers.models import LIGHTER, SMALL
from torch import nn

from gricol_zoo import DEFAULT_MODEL, MODELS, GricolZooError, create_model, optimize, parity
from gricol_zoo.data.arrays import load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.inference.fast import fold_batch_norm


def lived_in(module):
    """Give every batch-norm statistics and scales as after training; with initial ones, folding would change nothing."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    return module.eval()


def norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def assert_close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


HEAVY = {"cirnet_pooled", "racnn_r50", "varifocal_r50"}
NO_NORMS = {"hu2019", "sharma2017", "bcnn_vgg16"}
AFTER_RELU = {"abn_r50": 1, "siamese2017": 2}  # norms that do not follow a convolution, and so stay


@pytest.mark.parametrize("deployed", [False, True])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in MODELS.names()]
)
def test_same_logits_without_batch_norm(name, deployed):
    model = lived_in(create_model(name, deployed=deployed, **SMALL, **LIGHTER.get(name, {})))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = optimize(model, "fp32")
    images = torch.randn(3, 1, *SMALL["image_size"])
    assert type(fast) is type(model)
    assert norms(fast) == AFTER_RELU.get(name, 0)
    assert norms(model.backbone) > 0 or name in NO_NORMS
    assert_close(fast(images), model(images).detach())
    if not deployed:
        assert_close(fast.full(images), model.full(images).detach())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert fast.info is not None
    assert fast.spec == model.spec


@pytest.mark.parametrize(
    ("name", "left"),  # densenet normalises before its convolutions, so half of its norms cannot be folded
    [("timm/resnet18", 0), ("timm/efficientnet_b0", 0), ("timm/densenet121", 62), ("timm/vit_tiny_patch16_224", 0)],
)
def test_any_backbone_will_do(name, left):
    size = {"image_size": (224, 224), "cell_size": (224, 224)} if "vit" in name else SMALL
    model = lived_in(create_model("r18half_128", backbone=name, **size))
    images = torch.randn(2, 1, *size["image_size"])
    fast = optimize(model, "fp32")
    assert norms(fast) == left
    assert_close(fast(images), model(images).detach())


class Crooked(nn.Module):
    """A convolution whose output is read by its batch-norm and also by a sum outside any module."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) + y


class Shared(nn.Module):
    """Two convolutions, one batch-norm."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.bn = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn(self.a(x)) * self.bn(self.b(x))


class Straight(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


@pytest.mark.parametrize(("kind", "left"), [(Crooked, 1), (Shared, 1), (Straight, 0)])
def test_folds_only_where_nothing_changes(kind, left):
    net = lived_in(kind())
    x = torch.randn(2, 1, 8, 8)
    with pytest.warns(UserWarning, match="not folded") if kind is Crooked else nullcontext():
        folded = fold_batch_norm(net, x)
    assert norms(folded) == left
    assert_close(folded(x), net(x).detach())


def test_bf16_is_close_and_its_backbone_is_bf16():
    model = lived_in(create_model("r18half_128", **SMALL))
    fast = optimize(model, "bf16")
    assert fast.backbone.net.conv1.weight.dtype == torch.bfloat16
    assert fast.classifier.weight.dtype == torch.float32
    images = torch.randn(4, 1, *SMALL["image_size"])
    got, expected = fast(images), model(images).detach()
    assert got.dtype == torch.float32
    assert 0 < float((got - expected).abs().max()) < 0.1 * float(expected.abs().max())


def test_an_optimized_model_is_for_inference_alone(tmp_path):
    model = create_model("r18half_128", **SMALL)
    fast = optimize(model)
    with pytest.raises(GricolZooError, match="Train the original model"):
        fast.train()
    with pytest.raises(GricolZooError, match="Optimize the original model"):
        optimize(fast)
    with pytest.raises(GricolZooError, match="Save the original model"):
        fast.save_pretrained(tmp_path)
    with pytest.raises(GricolZooError, match="`dtype` to be one of auto, fp32, bf16"):
        optimize(model, "fp8")
    with pytest.raises(GricolZooError, match="a gricol_zoo model, but got Straight"):
        optimize(Straight())
    with pytest.raises(GricolZooError, match="Use the original model"):
        optimize(model.deploy()).forward_intermediates(torch.randn(1, 1, *SMALL["image_size"]))
    assert not fast(torch.randn(1, 1, *SMALL["image_size"])).requires_grad


def test_parity_of_the_packaged_weights(chromosomes):
    model = create_model(DEFAULT_MODEL, pretrained=True, deployed=True)
    canvases = load_canvases(open_images(chromosomes), model.spec)
    found = parity(model, optimize(model, "fp32"), canvases, batch_size=8)
    assert (found.images, found.changed) == (30, 0)
    assert 0 < found.max_difference < 1e-3


def test_parity_leaves_the_model_as_it_was():
    model = create_model("r18half_128", deployed=True)  # in training mode
    before = {key: value.clone() for key, value in model.state_dict().items()}
    canvases = np.random.default_rng(0).integers(0, 255, (3, 128, 96), np.uint8)
    assert parity(model, optimize(model, "fp32"), canvases).changed == 0
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_new_classifiers_of_a_bf16_copy_are_fp32():
    fast = optimize(create_model("gricol_r18half_n3_128", **SMALL), "bf16")
    fast.reset_classifier(5)
    assert fast(torch.randn(1, 1, *SMALL["image_size"])).shape == (1, 5)


def test_parity_sees_a_change():
    model = create_model("r18half_128", deployed=True).eval()
    other = optimize(model, "fp32")
    with torch.no_grad():
        other.classifier.bias[5] += 100
    canvases = np.random.default_rng(0).integers(0, 255, (5, 128, 96), np.uint8)
    found = parity(model, other, canvases)
    assert found.changed == 5
    assert found.max_difference == pytest.approx(100, rel=0.01)


@pytest.mark.slow
def test_compiled_gives_the_same_logits():
    model = lived_in(create_model("r18half_128", deployed=True, **SMALL))
    images = torch.randn(2, 1, *SMALL["image_size"])
    assert_close(optimize(model, "fp32", compile=True)(images), model(images).detach())
