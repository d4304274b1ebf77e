"""The ``pretrained_cfg`` of a model, as timm expects it: input, normalisation, and the layers that timm adapts."""

from __future__ import annotations

from typing import Any

from gricol_zoo.models.backbones import BACKBONES
from gricol_zoo.models.contracts import Backbone
from gricol_zoo.spec import ModelSpec

PREPARED_BY_US = "Prepare images by gricol_zoo.create_transform(model): no transform of timm does what these models expect."
"""The ``interpolation`` of a live model's config, so that timm's ``create_transform`` fails with this message."""


def timm_config(spec: ModelSpec, tag: str = "") -> dict[str, Any]:
    """Return timm's ``pretrained_cfg`` for a spec as it is written to files."""
    seen = spec.image_size if spec.overview == "none" else spec.cell_size
    backbone = BACKBONES.get(spec.backbone) if spec.backbone in BACKBONES else None  # a class, or a function that makes one
    first_conv = getattr(backbone, "first_conv", Backbone.first_conv)
    return {
        "tag": tag,
        "num_classes": spec.num_classes,
        "input_size": [spec.in_chans, *spec.image_size],
        "pool_size": [-(-side // 32) if getattr(backbone, "gives_map", Backbone.gives_map) else 1 for side in seen],
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "mean": [spec.preprocess.mean] * spec.in_chans,
        "std": [spec.preprocess.std] * spec.in_chans,
        "first_conv": "overview.conv" if spec.overview == "conv" else f"backbone.{first_conv}",
        "classifier": "classifier",
        "license": "apache-2.0",
    }


def live_config(spec: ModelSpec, name: str = "", tag: str = "") -> dict[str, Any]:
    """Return the ``pretrained_cfg`` of a model object: tuples instead of lists, and an interpolation that timm rejects."""
    config = {key: tuple(value) if isinstance(value, list) else value for key, value in timm_config(spec, tag).items()}
    return {**config, "architecture": name, "interpolation": PREPARED_BY_US}
