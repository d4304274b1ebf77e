"""Backbones: (B, C, h, w) images -> (B, F, h', w') feature map. ``gricol_zoo.models.contracts.Backbone`` is their contract."""

from gricol_zoo.models.backbones.registry import BACKBONES, build_backbone
from gricol_zoo.models.backbones import resnet  # noqa: F401  (registers)

__all__ = ["BACKBONES", "build_backbone"]
