"""The scheduled loss over all classifiers, as pure functions (paper, section 1.3, Eq. 5-7)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.spec import GridOutput

SMALLEST = 2.0**-149  # smallest positive float32


@dataclass(frozen=True)
class GridLoss:
    """The constants of Eq. 6.

    Attributes:
        beta: weight of the upper branch at the start.
        ramp_epoch: lambda, the epoch at which every classifier has full weight.
        label_smoothing: of the cross entropy, 0..1; the paper uses none.
    """

    beta: float = 0.1
    ramp_epoch: float = 150.0
    label_smoothing: float = 0.0

    def __call__(self, output: GridOutput, labels: Tensor, epoch: float, polarity: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; ``labels`` (B,) int64 classes, or (B, classes) probabilities; ``polarity`` (B,) bool."""
        return grid_loss(output, labels, epoch, self.beta, self.ramp_epoch, self.label_smoothing, polarity)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy of one classifier, a scalar: (B, classes) logits; labels as for the whole loss."""
        return cross_entropy(logits, labels, self.label_smoothing)

    def uses_upper(self, epoch: float, num_cells: int) -> bool:
        """Return whether any classifier of the upper branch has a weight that is not 0 in float32."""
        cells, merged = branch_weights(epoch, num_cells, self.beta, self.ramp_epoch)
        return max([*cells, merged]) > SMALLEST


def branch_weights(epoch: float, num_cells: int, beta: float = 0.1, ramp_epoch: float = 150.0) -> tuple[list[float], float]:
    """Return the loss weights of Y_1..Y_K and of Y_0: min(1, exp(e - lambda) + w''_k * beta), Eq. 5 and 6.

    w''_k = k for a cell and K + 1 for the merged Y_0. Safe for any epoch: the exponent is capped at 0, where the weight
    has reached 1 anyway.

    Raises:
        GricolZooError: the epoch is NaN.

    >>> [round(weight, 3) for weight in branch_weights(0, 3)[0]]
    [0.1, 0.2, 0.3]
    """
    if math.isnan(epoch):
        raise GricolZooError("Expected `epoch` to be a number, but got NaN.")
    rise = math.exp(min(epoch - ramp_epoch, 0.0))
    cells = [min(1.0, rise + k * beta) for k in range(1, num_cells + 1)]
    return cells, min(1.0, rise + (num_cells + 1) * beta)


def grid_loss(
    output: GridOutput,
    labels: Tensor,
    epoch: float,
    beta: float = 0.1,
    ramp_epoch: float = 150.0,
    label_smoothing: float = 0.0,
    polarity: Tensor | None = None,
) -> Tensor:
    """Return the weighted sum of the mean cross entropies of every classifier (Eq. 6); the lower branch has weight 1.

    Eq. 7 is printed without the minus sign and mentions pixels; it is taken as the ordinary mean over the batch.

    Args:
        output: logits of every classifier, any floating dtype; the loss is in float32, or in float64 for float64 logits.
        labels: (B,) int64 classes, or (B, classes) probabilities.
        epoch: e, counted from 0; fractions are allowed.
        beta: weight of the upper branch at the start.
        ramp_epoch: lambda.
        label_smoothing: of the cross entropy, 0..1.
        polarity: (B,) bool, whether the short arm is up: the lower branch is then trained on class and polarity together, by
            ``output.joint_logits``.

    Raises:
        GricolZooError: a polarity without joint logits, or without a single class per image.
    """
    cell_weights, merged_weight = branch_weights(epoch, output.cell_logits.shape[1], beta, ramp_epoch)
    if polarity is None:
        total = cross_entropy(output.logits, labels, label_smoothing)
    else:
        total = joint_cross_entropy(output.joint_logits, labels, polarity, label_smoothing)
    for k, weight in enumerate(cell_weights):
        total = total + weight * cross_entropy(output.cell_logits[:, k], labels, label_smoothing)
    if output.merged_logits is not None:
        total = total + merged_weight * cross_entropy(output.merged_logits, labels, label_smoothing)
    return total


def joint_cross_entropy(joint: Tensor | None, labels: Tensor, polarity: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean cross entropy over the outcomes of class and polarity, a scalar.

    Args:
        joint: (B, classes, 2) logits, short arm up first.
        labels: (B,) int64 classes.
        polarity: (B,) bool, short arm up.
        label_smoothing: over all outcomes, 0..1.

    Raises:
        GricolZooError: no joint logits, or labels that are not one class per image.
    """
    if joint is None:
        raise GricolZooError(
            "Got a polarity, but the model has none. Create it with `polarity=True`, or leave the polarity out."
        )
    if labels.ndim != 1:
        raise GricolZooError(f"Expected one class per image with its polarity, but got labels of shape {tuple(labels.shape)}.")
    return cross_entropy(joint.flatten(1), labels * 2 + (~polarity).long(), label_smoothing)


def cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean cross entropy over the batch, in float32 or in the logits' own dtype if that is wider."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
