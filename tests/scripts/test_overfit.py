"""The comparison systems can overfit a few synthetic chromosomes, with the script that does it with real ones."""

import numpy as np
import pytest
import torch
from helpers.models import LIGHT

from benchmarks.paper import overfit
from gricol_zoo import create_model
from gricol_zoo.data.synthetic import Look, load_profiles, render

SYSTEMS = {
    "sharma2017": {"image_size": (96, 96)},
    "siamese2017": {"image_size": (64, 32), "backbone_options": {"pair_epochs": 5}},
    "hu2019": {"image_size": (64, 64)},
    "abn_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "dcl_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "mmhpn_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "multiregion_r50": {"image_size": (96, 96), "backbone_options": LIGHT},
    "ntsnet_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "kernelpool_r50": {"image_size": (64, 64), "backbone_options": {**LIGHT, "sketch": 64}},
    "maskcnn_r50": {"image_size": (64, 64), "backbone_options": LIGHT},
    "hrnet_w18_joints": {"image_size": (64, 64), "backbone_options": LIGHT},
    "racnn_r50": {"image_size": (64, 64), "backbone_options": {**LIGHT, "choice_epochs": 2, "width": 4}},
    "varifocal_r50": {"image_size": (64, 64), "backbone_options": {**LIGHT, "box_epochs": 2, "network_epochs": 12}},
}


def chromosomes(size, classes=("1", "9", "16", "21"), copies=2):
    """Return standardised images of a size and their labels 0, 1, ..."""
    rng, images = np.random.default_rng(0), []
    for label in classes:
        for _ in range(copies):
            grey = torch.from_numpy(render(load_profiles()[label], Look(noise=0.02), rng).astype(np.float32))
            images.append(torch.nn.functional.interpolate(grey[None, None], size, mode="bilinear")[0])
    batch = torch.stack(images)
    return (batch - batch.mean()) / batch.std(), torch.arange(len(classes)).repeat_interleave(copies)


# Sigmoids with dropout need the most steps; the others see an image more than once, or measure it in each step.
SLOW = {"sharma2017", "ntsnet_r50", "racnn_r50", "varifocal_r50", "maskcnn_r50", "hrnet_w18_joints"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SYSTEMS])
def test_it_learns_by_heart(name):
    model = create_model(name, num_classes=4, **SYSTEMS[name])
    images, labels = chromosomes(model.spec.image_size)
    outcome = overfit.fit(model, images, labels, 1e-3, 120)
    assert outcome.accuracy == 1, outcome


def test_settled_statistics_are_those_of_the_images():
    model = create_model("r18half_128", image_size=(64, 64), cell_size=(64, 64))
    images = torch.randn(8, 1, 64, 64) * 3 + 1
    seen = model.backbone.conv1(images)
    overfit.settle(model, images)
    torch.testing.assert_close(model.backbone.bn1.running_mean, seen.mean((0, 2, 3)))
    assert not any(module.training for module in model.modules())
    assert model.backbone.bn1.momentum == 0.1
