"""The loss against the paper's equations written as loops."""

import math

import pytest
import torch

from gricol_zoo import GricolZooError, GridLoss, GridOutput, TrainingTask, branch_weights, create_model, grid_loss


def naive_cross_entropy(logits, label):
    peak = max(logits)
    return math.log(sum(math.exp(z - peak) for z in logits)) + peak - logits[label]


def naive_loss(output, labels, epoch, beta, lam):
    """Eq. 5-7, image by image and cell by cell."""
    batch, cells = output.cell_logits.shape[:2]

    def mean(rows):
        return sum(naive_cross_entropy(row, y) for row, y in zip(rows.tolist(), labels.tolist(), strict=True)) / batch

    def weight(w):
        return 1.0 if epoch >= lam else min(1.0, math.exp(epoch - lam) + w * beta)

    total = mean(output.logits)
    for k in range(1, cells + 1):
        total += weight(k) * mean(output.cell_logits[:, k - 1])
    return total + weight(cells + 1) * mean(output.merged_logits)


@pytest.mark.parametrize("grid", [2, 3, 4])
@pytest.mark.parametrize("epoch", [0, 1.5, 147, 149, 150, 151, 1000])
def test_loss_against_the_equations(grid, epoch):
    cells = grid * grid
    output = GridOutput(torch.randn(3, 7).double(), torch.randn(3, cells, 7).double(), torch.randn(3, 7).double())
    labels = torch.tensor([0, 6, 3])
    expected = naive_loss(output, labels, epoch, 0.1, 150)
    assert grid_loss(output, labels, epoch).item() == pytest.approx(expected, rel=1e-12)


def test_weights_the_paper_gives():
    cells, merged = branch_weights(0, 9)
    assert cells == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert merged == 1.0
    assert branch_weights(150, 9) == ([1.0] * 9, 1.0)
    assert sum(branch_weights(0, 9)[0]) + branch_weights(0, 9)[1] == pytest.approx(5.5)


@pytest.mark.parametrize("epoch", [-1e9, 0, 700, 1e6, 1e300, math.inf, -math.inf])
def test_no_epoch_overflows(epoch):
    cells, merged = branch_weights(epoch, 16)
    assert all(0 <= weight <= 1 for weight in [*cells, merged])


def test_nan_epoch_is_refused():
    with pytest.raises(GricolZooError, match="epoch"):
        branch_weights(math.nan, 9)


def test_without_merged_or_cells():
    labels = torch.tensor([1, 0])
    logits = torch.randn(2, 3)
    alone = grid_loss(GridOutput(logits, logits.new_empty(2, 0, 3), None), labels, 5)
    assert alone.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())
    cells = torch.randn(2, 4, 3)
    both = grid_loss(GridOutput(logits, cells, None), labels, 200)
    assert both.item() == pytest.approx(
        alone.item() + sum(torch.nn.functional.cross_entropy(cells[:, k], labels).item() for k in range(4)), rel=1e-5
    )


def test_soft_labels_equal_hard_ones():
    output = GridOutput(torch.randn(2, 3), torch.randn(2, 4, 3), torch.randn(2, 3))
    labels = torch.tensor([1, 2])
    hard = GridLoss(0.2, 10)(output, labels, 3)
    soft = GridLoss(0.2, 10)(output, torch.nn.functional.one_hot(labels, 3).float(), 3)
    assert hard.item() == pytest.approx(soft.item(), rel=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    output = GridOutput(torch.randn(2, 3).bfloat16(), torch.randn(2, 4, 3).bfloat16(), torch.randn(2, 3).bfloat16())
    assert grid_loss(output, torch.tensor([1, 2]), 3).dtype == torch.float32


@pytest.mark.parametrize(
    ("beta", "epoch", "uses"), [(0.1, 0, True), (0.0, 0, False), (0.0, 20, False), (0.0, 100, True), (1e-3, 0, True)]
)
def test_the_upper_branch_runs_only_where_it_has_weight(beta, epoch, uses, monkeypatch):
    model = create_model("gricol_r18half_n3_128").eval()
    calls = []
    cut = model.splitter.forward
    monkeypatch.setattr(model.splitter, "forward", lambda images: calls.append(1) or cut(images))
    images, labels = torch.randn(2, 1, 128, 96), torch.tensor([1, 2])
    loss = TrainingTask(model, GridLoss(beta, ramp_epoch=150))(images, labels, epoch)
    assert bool(calls) is uses
    if not uses:
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(model(images), labels))
        torch.testing.assert_close(loss, GridLoss(beta, 150)(model.branches(images), labels, epoch))
