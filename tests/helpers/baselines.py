"""Comparison systems, set up for the tests of their mechanisms."""

import torch
from torch.nn import functional as F

from gricol_zoo.models.backbones import build_backbone
from gricol_zoo.models.contracts import Shapes

CLASSES = 3


def net(name, size=(64, 64), **options):
    """Return a network in evaluation mode whose batch-norms are not all 0 and 1."""
    backbone = build_backbone(name, 1, size, CLASSES, options)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    return backbone.eval()


def cross_entropy(logits, labels):
    """Cross-entropy written out, for labels that are classes (B,) or probabilities (B, classes)."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        log = row - torch.log(torch.exp(row).sum())
        total = total - (log[label] if label.ndim == 0 else (log * label).sum())
    return total / len(logits)


def objective(backbone, images, labels, epoch=0.0, shapes=None):
    """Return a backbone's own loss: its logits are the first CLASSES pooled features, ``shapes`` the measured shapes."""
    torch.manual_seed(5)
    more = () if shapes is None else (lambda images: shapes,)
    return backbone.training_loss(images, labels, epoch, first_logits, F.cross_entropy, *more)


def shapes_of(count, size=(16, 16), unmeasured=()):
    """Return made-up shapes of a batch: boxes inside the image, random joints, arms that share no pixel."""
    draw = torch.Generator().manual_seed(3)
    corner = torch.rand(count, 2, generator=draw) * 0.4
    arm = torch.randint(3, (count, *size), generator=draw)
    box = torch.cat([corner, corner + 0.2 + 0.3 * torch.rand(count, 2, generator=draw)], 1)
    joints, arms = torch.rand(count, 5, 2, generator=draw), torch.stack([arm == 1, arm == 2], 1).float()
    measured = torch.tensor([row not in unmeasured for row in range(count)])
    errors = tuple("" if known else "blank" for known in measured.tolist())
    for each in (box, joints, arms):
        each[~measured] = 0
    return Shapes(errors, measured, box, joints, arms)


def first_logits(maps):
    return maps.mean((-2, -1))[:, :CLASSES]
