"""Zooming in on a part of the image that a network chooses itself: the box, and the enlarged part.

Shared by Varifocal-Net and RA-CNN. Both describe the box by three numbers, its centre and its size, which get their gradient
through the enlarged part; bilinear sampling replaces their hard and soft box functions here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.models.baselines.anchors import crop


def to_boxes(said: Tensor, min_side: float) -> Tensor:
    """Turn a network's raw outputs into boxes that lie inside the image.

    Args:
        said: (B, 3) unbounded numbers: for the row, the column and the size.
        min_side: smallest size, as a fraction of the image's sides; the largest is 1.

    Returns:
        (B, 4) float32 (top, left, bottom, right) as fractions of the image's sides; both sides of a box are the same fraction.
    """
    share = said.float().sigmoid()
    size = min_side + (1 - min_side) * share[:, 2:]
    corner = (1 - size) * share[:, :2]
    return torch.cat([corner, corner + size], dim=1)


def within(outer: Tensor, inner: Tensor) -> Tensor:
    """Convert (B, 4) boxes relative to (B, 4) outer boxes into boxes of the whole image; all as fractions."""
    corner, size = outer[:, :2], outer[:, 2:] - outer[:, :2]
    return torch.cat([corner + inner[:, :2] * size, corner + inner[:, 2:] * size], dim=1)


def enlarge(images: Tensor, boxes: Tensor, shrink: int) -> Tensor:
    """Cut (B, 4) boxes, as fractions, out of (B, C, H, W) images: (B, C, H // shrink, W // shrink), differentiable in both."""
    height, width = images.shape[2], images.shape[3]
    top, left, bottom, right = boxes.unbind(1)
    pixels = torch.stack([top * height, left * width, bottom * height, right * width], dim=1)
    return crop(images, pixels.unsqueeze(1), shrink)


def box_losses(boxes: Tensor, targets: Tensor) -> Tensor:
    """Return the distance of (B, 4) boxes from their targets, (B,): smooth L1 of centres and sizes, as fractions."""

    def middle_and_size(corners: Tensor) -> Tensor:
        return torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)

    return F.smooth_l1_loss(middle_and_size(boxes), middle_and_size(targets), reduction="none").sum(1)


def square_around(middle: Tensor, size: Tensor) -> Tensor:
    """Return (B, 4) boxes of (B, 1) sizes around (B, 2) centres (row, column), moved inside the image; all as fractions."""
    corner = torch.minimum((middle - size / 2).clamp(min=0), 1 - size)
    return torch.cat([corner, corner + size], dim=1)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Freeze modules: no gradient for their parameters, and batch-norms use their running statistics.

    Gradients still flow through them to their inputs.
    """
    before = [(module, module.training) for each in modules for module in each.modules()]
    parameters = [parameter for each in modules for parameter in each.parameters() if parameter.requires_grad]
    for each in modules:
        each.eval()
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
        for parameter in parameters:
            parameter.requires_grad_(True)
