"""Separate batch-norms for the cells, on the shared backbone."""

import copy

import pytest
import torch
from torch import nn

from gricol_zoo import GricolZooError, create_model, optimize
from gricol_zoo.models.cell_norm import with_norms
from gricol_zoo.testing import check_model
from gricol_zoo.weights.source import find_in_dir
from gricol_zoo.weights.tensors import load_weights

NAME = "gricol_r18half_n3_128"


@pytest.fixture
def model():
    model = create_model(NAME, cell_norm="own")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


@pytest.mark.slow
def test_the_models_contract_holds():
    check_model(NAME, cell_norm="own")
    check_model("gril_r50half", cell_norm="own", image_size=(96, 98), cell_size=(48, 48))


def test_cells_go_through_their_own_norms(model):
    """Compared with a second, complete backbone that has the first one's kernels and the cells' norms."""
    x = torch.randn(3, 1, 128, 96)
    second = copy.deepcopy(model.backbone)
    for name, norm in model.cell_norm.items():
        second.get_submodule(name.replace("/", ".")).load_state_dict(norm.state_dict())
    model.eval()
    second.eval()
    cells = model.splitter(x).flatten(0, 1)
    expected = model.head(second(cells).mean((-2, -1)).reshape(3, 9, -1))
    torch.testing.assert_close(model.branches(x).cell_logits, expected[0])
    torch.testing.assert_close(model.upper(x)[1], expected[1])


def test_lower_branch_never_sees_the_cells_norms(model):
    x = torch.randn(2, 1, 128, 96)
    before = model.eval()(x)
    for norm in model.cell_norm.values():
        nn.init.constant_(norm.weight, 7.0)
    torch.testing.assert_close(model(x), before)
    torch.testing.assert_close(model.deploy()(x), before)


def test_running_statistics_are_kept_apart(model):
    x = torch.randn(4, 1, 128, 96)
    model.train().branches(x)
    alone = copy.deepcopy(model)
    alone.backbone.bn1.reset_running_stats()
    alone.backbone.train()(x)
    fresh = copy.deepcopy(model)
    fresh.backbone.bn1.reset_running_stats()
    fresh.branches(x)
    torch.testing.assert_close(fresh.backbone.bn1.running_mean, alone.backbone.bn1.running_mean)
    assert fresh.backbone.bn1.num_batches_tracked == 1


def test_kernels_are_shared_and_trained_by_both(model):
    model.train().branches(torch.randn(4, 1, 128, 96)).cell_logits.square().sum().backward()
    assert model.backbone.layer1[0].conv1.weight.grad.abs().sum() > 0
    assert model.backbone.bn1.weight.grad is None
    assert model.cell_norm["bn1"].weight.grad.abs().sum() > 0
    twin = with_norms(model.backbone, model.cell_norm)
    assert twin.conv1.weight is model.backbone.conv1.weight
    assert twin.layer1[0].bn1 is model.cell_norm["layer1/0/bn1"]


def test_checkpointing_changes_nothing(model):
    x = torch.randn(4, 1, 128, 96)
    plain, saving = copy.deepcopy(model).train(), copy.deepcopy(model).train()
    saving.set_grad_checkpointing()
    for each in (plain, saving):
        each.branches(x).cell_logits.square().sum().backward()
    assert torch.equal(plain.backbone.layer2[0].conv1.weight.grad, saving.backbone.layer2[0].conv1.weight.grad)
    for one, other in zip(plain.cell_norm.buffers(), saving.cell_norm.buffers(), strict=True):
        assert torch.equal(one, other)


def test_optimized_full_inference_agrees(model):
    x = torch.randn(3, 1, 128, 96)
    fast = optimize(model.eval(), "fp32")
    torch.testing.assert_close(fast.full(x), model.full(x), rtol=1e-4, atol=1e-4)


def test_saved_and_loaded(model, tmp_path):
    model.eval().save_pretrained(tmp_path)
    copy_ = create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert copy_.spec.cell_norm == "own"
    x = torch.randn(2, 1, 128, 96)
    torch.testing.assert_close(copy_.full(x), model.full(x), rtol=1e-2, atol=1e-2)
    create_model(f"local-dir:{tmp_path}", pretrained=True, deployed=True)


def test_a_control_is_a_start_for_a_grid_and_back(tmp_path):
    control = create_model("r18half_128").eval()
    nn.init.uniform_(control.backbone.bn1.running_mean)
    control.save_pretrained(tmp_path / "control")
    grid = create_model(NAME, cell_norm="own").eval()
    load_weights(grid, find_in_dir(tmp_path / "control"), other_grid=True)
    x = torch.randn(2, 1, 128, 96)
    torch.testing.assert_close(grid(x), control(x), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(grid.cell_norm["bn1"].running_mean, control.backbone.bn1.running_mean)
    grid.save_pretrained(tmp_path / "grid")
    back = create_model("r18half_128").eval()
    load_weights(back, find_in_dir(tmp_path / "grid"), other_grid=True)
    torch.testing.assert_close(back(x), grid(x), rtol=1e-2, atol=1e-2)
    gril = create_model("gril_r18half_128").eval()
    report = load_weights(gril, find_in_dir(tmp_path / "grid"), other_grid=True)
    assert all(key.startswith("head.") for key in report.new)  # nothing of another head
    assert {key for key in gril.state_dict() if key.startswith("head.")} == set(report.new)
    torch.testing.assert_close(gril.cell_norm["bn1"].weight, grid.cell_norm["bn1"].weight)
    same = create_model(NAME, cell_norm="own")
    assert not load_weights(same, find_in_dir(tmp_path / "grid"), other_grid=True).new
    with pytest.raises(GricolZooError, match="has no tensor"):
        load_weights(create_model(NAME), find_in_dir(tmp_path / "control"))


def test_misspelt():
    with pytest.raises(GricolZooError, match="`cell_norm` to be one of shared, own"):
        create_model(NAME, cell_norm="two")
