"""Every name as a small model whose logits differ from image to image, as after training."""

import json

import torch
from torch import nn

from gricol_zoo import MODELS, create_model
from gricol_zoo.data.arrays import as_batch
from gricol_zoo.export.check import canvases_of, synthetic_crops
from helpers.models import SMALL, WITH_TRUNK


def awake(model):
    """Give batch-norms random weights and the statistics of images, so that logits differ as after training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            module.momentum = 1.0
        elif isinstance(module, nn.Conv2d) and model.spec.backbone == "sharma2017":
            nn.init.normal_(module.weight, std=0.3)  # less: the same for any input; more: rounding grows
    with torch.no_grad():
        model.train()(as_batch(canvases_of(model, synthetic_crops(12, 1)), model.spec))
    return model.eval()


def small_model(name):
    """Create a registered model at a small size."""
    return create_model(name, **SMALL, **({"backbone_options": WITH_TRUNK[name]} if name in WITH_TRUNK else {}))


def lower_branch_of(spec):
    """Return what decides the lower branch of a spec: models that differ in their grid or head alone share it."""
    parts = [spec.backbone, spec.overview, spec.in_chans, dict(spec.backbone_options), spec.preprocess.mean, spec.polarity]
    return json.dumps(parts)


def one_name_per_lower_branch():
    """Return the first name of each lower branch."""
    return list({lower_branch_of(MODELS.get(name)): name for name in reversed(MODELS.names())}.values())
