"""Backbones against timm's own ResNet, and timm's models as backbones."""

import pytest
import torch
from helpers.models import LIGHT_BACKBONES
from timm.models.resnet import Bottleneck, ResNet

from gricol_zoo import BACKBONES, GricolZooError, create_model
from gricol_zoo.models.backbones import build_backbone
from gricol_zoo.models.backbones.from_timm import TimmBackbone
from gricol_zoo.testing import check_backbone


class Expansion2(Bottleneck):
    expansion = 2


def timm_twin(name):
    block = Expansion2 if name == "r50half" else Bottleneck
    return ResNet(block, (3, 4, 6, 3), in_chans=1, num_classes=0, global_pool="")


@pytest.mark.parametrize("name", ["r50half", "r50"])
def test_same_network_as_timms(name):
    ours, theirs = BACKBONES.get(name)(in_chans=1).eval(), timm_twin(name).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 1, 70, 66)
    torch.testing.assert_close(ours(x), theirs.forward_features(x))


def test_sizes_the_paper_gives():
    backbone = BACKBONES.get("r50half")(in_chans=1)
    assert backbone.num_features == 1024
    assert sum(p.numel() for p in backbone.parameters()) / 1e6 == pytest.approx(16.733, abs=5e-4)


@pytest.mark.parametrize("name", BACKBONES.names())
def test_contract(name):
    check_backbone(name, (96, 98), LIGHT_BACKBONES.get(name))  # Inception-ResNet-v2 takes at least 75 pixels


@pytest.mark.parametrize("name", BACKBONES.names())
def test_it_can_be_scripted(name):
    size = (96, 98)
    net = build_backbone(name, 1, size, 5, LIGHT_BACKBONES.get(name)).eval()
    x = torch.randn(1, 1, *size)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(net)(x), net(x), rtol=1e-3, atol=1e-4)


def freeze_norms(net):
    """Put the batch-norms in evaluation mode in training, with statistics and weights other than the initial ones."""
    for norm in net.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            norm.eval()
            torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
            if norm.affine:
                torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
                torch.nn.init.uniform_(norm.bias, -0.5, 0.5)


def map_and_gradients(net, x):
    net.zero_grad()
    features = net(x)
    features.square().mean().backward()
    return features.detach(), {name: weight.grad.clone() for name, weight in net.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("name", ["r18half", "r50half", "r50"])
def test_frozen_norms_in_a_training_give_what_evaluation_gives(name):
    torch.manual_seed(0)
    net = build_backbone(name, 1, (64, 66)).double().train()
    freeze_norms(net)
    x = torch.randn(2, 1, 64, 66, dtype=torch.float64)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    calls = []
    for norm in norms:
        norm.register_forward_hook(lambda *_: calls.append(1))
    features, gradients = map_and_gradients(net, x)
    assert not calls  # all are in their convolutions
    expected, theirs = map_and_gradients(net.eval(), x)
    assert len(calls) == len(norms)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(gradients, theirs)


class Plain(torch.nn.Module):
    """A backbone as a third party may write it: two levels, by timm's contract, nothing inherited from us."""

    def __init__(self, in_chans):
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(in_chans, 4, 3, 2, 1), torch.nn.Conv2d(4, 8, 3, 2, 1)
        self.num_features = 8
        self.feature_info = [
            {"num_chs": 4, "reduction": 2, "module": "conv1"},
            {"num_chs": 8, "reduction": 4, "module": "conv2"},
        ]

    def forward(self, x):
        return self.conv2(self.conv1(x))

    def forward_intermediates(self, x, indices=None, norm=False, stop_early=False, output_fmt="NCHW", intermediates_only=False):
        first = self.conv1(x)
        last = self.conv2(first)
        maps = [[first, last][index] for index in indices]
        return maps if intermediates_only else (last, maps)

    def prune_intermediate_layers(self, indices=1, prune_norm=False, prune_head=True):
        if max(indices) == 0:
            self.conv2 = torch.nn.Identity()
        return indices


class OneMap(Plain):
    def forward_intermediates(self, x, indices, stop_early=False):
        last, maps = super().forward_intermediates(x, indices)
        return last, maps[-1:]


class NoPruning(torch.nn.Conv2d):
    def __init__(self, in_chans):
        super().__init__(in_chans, 8, 3, 2, 1)
        self.num_features, self.feature_info = 8, [{"num_chs": 8, "reduction": 2, "module": ""}]

    def forward_intermediates(self, x, indices, stop_early=False):
        return self(x), [self(x)]


class PrunedTooFar(Plain):
    def prune_intermediate_layers(self, indices):
        torch.nn.init.zeros_(self.conv1.weight)


class WrongChannels(Plain):
    def __init__(self, in_chans):
        super().__init__(in_chans)
        self.feature_info[0]["num_chs"] = 5


class FewLayers(Plain):
    def parameter_layers(self, coarse):
        return {"conv1.weight": 0}

    def no_weight_decay(self):
        return set()


class WrongCut(Plain):
    def to_stage(self, x, stage):
        return self.conv1(x)

    def from_stage(self, x, stage):
        return self.conv2(x) + 1

    def stages_after(self, stage):
        return [self.conv2]


def test_a_third_partys_backbone_keeps_its_promises(monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "plain", Plain)
    check_backbone("plain")
    model = create_model("gricol_r18half_n3_128", backbone="plain").deploy().eval()
    x = torch.randn(1, 1, 128, 96)
    _, maps = model.forward_intermediates(x, [0, 1])
    assert [features.shape[1] for features in maps] == [4, 8]
    model.prune_intermediate_layers([0])
    assert model(x).shape == (1, 4, 64, 48)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "resnet10t"])
def test_a_timm_model_keeps_the_promises_of_a_backbone(name, monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "theirs", lambda in_chans, input_size: TimmBackbone(name, in_chans, input_size))
    check_backbone("theirs")


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (FewLayers, "a layer for each parameter, but got 1 of 4"),
        (OneMap, "one map for each of its 2 levels, but got 1 maps"),
        (NoPruning, "or none of them, but got 2 of the three"),
        (PrunedTooFar, r"the same maps of levels \[0\] after `prune_intermediate_layers`"),
        (WrongChannels, "5 channels at level 0, but got 4"),
        (WrongCut, "the same map when cut after stage 0"),
    ],
)
def test_a_broken_promise_is_named(backbone, said, monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "broken", backbone)
    with pytest.raises(AssertionError, match=said):
        check_backbone("broken")


FAMILIES = [
    "resnet10t",
    "convnext_atto",
    "efficientnet_lite0",
    "mobilenetv3_small_050",
    "regnety_002",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "densenet121",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_timm_families_compose(family):
    model = create_model(
        "gricol_r50half_n3", backbone=f"timm/{family}", image_size=(128, 130), cell_size=(64, 64), num_classes=10, in_chans=3
    ).eval()
    images = torch.randn(1, 3, 128, 130)
    with torch.no_grad():
        output = model.branches(images)
        assert torch.equal(model.deploy()(images), model(images))
    assert output.cell_logits.shape == (1, 9, 10)


def test_unsuitable_timm_models_refuse_in_one_line():
    with pytest.raises(GricolZooError, match="timm has no model 'resnet5000'"):
        create_model("r50half", backbone="timm/resnet5000")
    with pytest.raises(GricolZooError, match="timm/inception_v3 cannot be used as a backbone for 1x64x64 inputs: ") as caught:
        create_model("r50half", backbone="timm/inception_v3", image_size=(128, 128), cell_size=(64, 64))
    assert "\n" not in str(caught.value)


def test_weights_that_cannot_be_downloaded_refuse_in_one_line():
    with pytest.raises(GricolZooError, match="timm/resnet10t cannot be used as a backbone") as caught:
        create_model("r50half", backbone="timm/resnet10t", backbone_options={"pretrained": True})
    assert "\n" not in str(caught.value)


def test_checkpointing_counts_each_batch_once():
    x = torch.randn(4, 1, 64, 64)
    states, gradients = [], []
    for enable in (False, True):
        torch.manual_seed(0)
        net = BACKBONES.get("r18half")(in_chans=1)
        net.set_grad_checkpointing(enable)
        runs = []
        net.layer1[0].conv1.register_forward_hook(lambda *_, runs=runs: runs.append(1))
        for _ in range(2):
            net(x).square().sum().backward()
        assert len(runs) == (4 if enable else 2)
        states.append(net.state_dict())
        gradients.append([p.grad for p in net.parameters()])
    assert states[0]["layer1.0.bn1.num_batches_tracked"] == 2
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value), key
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_building_draws_each_kernel_once(monkeypatch):
    drawn = []
    draw = torch.nn.init.kaiming_normal_
    uniform = []
    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", lambda w, **k: uniform.append(w.device.type) or w)
    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", lambda w, **k: drawn.append(w) or draw(w, **k))
    net = BACKBONES.get("r50half")(in_chans=1)
    kernels = [p for p in net.parameters() if p.ndim == 4]
    assert set(uniform) == {"meta"}  # where nothing is drawn
    assert {id(w) for w in drawn} == {id(p) for p in kernels}
    assert all(torch.isfinite(p).all() for p in kernels)
