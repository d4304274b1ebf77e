"""Cells cut from a feature map: where comparable, the same cells as from the pixels; and what the branches share."""

import copy

import pytest
import torch
from torch import nn

from gricol_zoo import BACKBONES, GricolZooError, count, create_model, optimize
from gricol_zoo.models.splitters.feature_overlap import FeatureOverlapSplitter
from gricol_zoo.models.splitters.overlap import OverlapSplitter
from gricol_zoo.testing import check_model
from gricol_zoo.weights.source import find_in_dir
from gricol_zoo.weights.tensors import load_weights

NAME = "gricol_r18half_n3_128"
PAPER = ("gricol_r50half_n3", {"image_size": (96, 98), "cell_size": (48, 48)})


def cut(stage, name=NAME, **changes):
    return create_model(name, splitter="feature_overlap", splitter_options={"stage": stage}, **changes)


def with_statistics(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_a_map_of_the_images_size_gives_the_cells_of_the_image(grid):
    images = torch.randn(2, 3, 128, 96)
    one, other = (kind(grid, (128, 96), (64, 64)) for kind in (FeatureOverlapSplitter, OverlapSplitter))
    assert torch.equal(one(images), other(images))
    assert one.boxes() == other.boxes()


@pytest.mark.parametrize(
    ("size", "cell", "shape", "rows", "columns"),
    [
        ((128, 96), 64, (64, 48), (0, 16, 32), (0, 8, 16)),
        ((128, 96), 64, (16, 12), (0, 4, 8), (0, 2, 4)),
        ((448, 456), 224, (112, 114), (0, 28, 56), (0, 30, 58)),
        ((448, 456), 224, (28, 29), (0, 7, 14), (0, 8, 15)),  # 120 * 15 / 232 = 7.76, and the last flush
    ],
)
def test_cells_of_a_map_against_naive_loops(size, cell, shape, rows, columns):
    maps = torch.randn(2, 5, *shape)
    cells = FeatureOverlapSplitter(3, size, (cell, cell))(maps)
    side = shape[0] // 2
    assert cells.shape == (2, 9, 5, side, side)
    order = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (1, 1)]
    for k, (row, column) in enumerate(order):
        for y in range(side):
            for x in (0, side - 1):
                assert torch.equal(cells[:, k, :, y, x], maps[:, :, rows[row] + y, columns[column] + x])


class Pointwise(nn.Module):
    """A backbone that sees every other pixel, each by itself: it makes no difference before which stage a cell is cut."""

    num_features = 6

    def __init__(self, in_chans):
        super().__init__()
        self.layer0, self.layer1 = nn.Conv2d(in_chans, 4, 1, 2), nn.Conv2d(4, 6, 1, 2)

    def forward(self, x):
        return self.from_stage(self.to_stage(x, 0), 0)

    def to_stage(self, x, stage):
        return self.layer0(x)

    def from_stage(self, x, stage):
        return self.layer1(x.relu())

    def stages_after(self, stage):
        return [self.layer1]


@pytest.mark.parametrize("overview", ["none", "conv"])
def test_cutting_before_or_after_is_one_where_pixels_are_seen_alone(overview, monkeypatch):
    monkeypatch.setitem(BACKBONES._items, "pointwise", Pointwise)
    pixel = create_model(NAME, backbone="pointwise", cell_norm="shared", overview=overview).eval()
    maps = cut(0, backbone="pointwise", cell_norm="shared", overview=overview).eval()
    maps.load_state_dict(pixel.state_dict())
    x = torch.randn(2, 1, 128, 96)
    for one, other in zip(pixel.branches(x), maps.branches(x), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(pixel.upper(x)[1], maps.upper(x)[1])


@pytest.mark.parametrize("stage", range(4))
def test_the_branches_agree_with_each_alone(stage):
    for name, changes in ((NAME, {}), PAPER):
        model, size = with_statistics(cut(stage, name, **changes)), changes.get("image_size", (128, 96))
        x = torch.randn(2, 1, *size)
        both = model.branches(x)
        torch.testing.assert_close(both.logits, model(x))
        torch.testing.assert_close(both.cell_logits, model.upper(x)[0])
        assert torch.equal(model.deploy()(x), model(x))


def test_cells_go_through_norms_of_their_own_after_the_cut_alone():
    model, x = with_statistics(cut(2)), torch.randn(3, 1, 128, 96)
    assert {name.split("/")[0] for name in model.cell_norm} == {"layer3", "layer4"}
    second = copy.deepcopy(model.backbone)
    for name, norm in model.cell_norm.items():
        second.get_submodule(name.replace("/", ".")).load_state_dict(norm.state_dict())
    early = second.layer2(second.layer1(second.act1(second.bn1(second.conv1(x)))))
    cells = model.splitter(early).flatten(0, 1)
    features = second.layer4(second.layer3(cells)).mean((-2, -1)).reshape(3, 9, -1)
    torch.testing.assert_close(model.branches(x).cell_logits, model.head(features)[0])


@pytest.mark.slow
def test_first_stages_are_run_once_for_both_branches():
    model, calls = cut(2), []
    model.backbone.conv1.register_forward_hook(lambda *_: calls.append(1))
    model.branches(torch.randn(2, 1, 128, 96))
    assert len(calls) == 1
    costs, pixel = [count(cut(stage)) for stage in range(4)], count(create_model(NAME))
    assert all(one.full > other.full for one, other in zip([pixel, *costs], costs, strict=False))
    assert costs[3].full < pixel.full / 2
    assert costs[3].full < costs[3].upper + costs[3].lower
    paper = count(cut(2, PAPER[0], **PAPER[1]))  # the lower branch sees another image there
    assert paper.full == paper.upper + paper.lower


@pytest.mark.slow
def test_the_models_contract_holds():
    check_model(NAME, splitter="feature_overlap", splitter_options={"stage": 1})
    check_model(PAPER[0], splitter="feature_overlap", cell_norm="own", **PAPER[1])


def test_optimized_and_checkpointed_agree():
    model, x = with_statistics(cut(1)), torch.randn(3, 1, 128, 96)
    torch.testing.assert_close(optimize(model, "fp32").full(x), model.full(x), rtol=1e-4, atol=1e-4)
    plain, saving = copy.deepcopy(model).train(), copy.deepcopy(model).train()
    saving.set_grad_checkpointing()
    for each in (plain, saving):
        each.branches(x).cell_logits.square().sum().backward()
    for one, other in zip(plain.parameters(), saving.parameters(), strict=True):
        assert (one.grad is None and other.grad is None) or torch.equal(one.grad, other.grad)


def test_a_pixel_grid_or_a_control_is_a_start(tmp_path):
    x = torch.randn(2, 1, 128, 96)
    for name in (NAME, "r18half_128"):
        start = with_statistics(create_model(name))
        start.save_pretrained(tmp_path / name)
        model = cut(2).eval()
        load_weights(model, find_in_dir(tmp_path / name), other_grid=True)
        torch.testing.assert_close(model(x), start(x), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"splitter_options": {"stage": -1}}, "`stage` to be an integer of at least 0"),
        ({"splitter_options": {"stage": "2"}}, "`stage` to be an integer of at least 0"),
        ({"splitter_options": {"stage": 4}}, r"`stage` in 0..3 of the backbone 'r18half', but got 4"),
        ({"backbone": "timm/resnet18"}, "'timm/resnet18' cannot be run in two parts"),
        ({"backbone": "mmhpn", "backbone_options": {"trunk": "r18half", "width": 8}}, "'mmhpn' cannot be run in two parts"),
    ],
)
def test_refused(changes, said):
    with pytest.raises(GricolZooError, match=said):
        create_model(NAME, splitter="feature_overlap", **changes)
