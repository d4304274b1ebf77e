"""The table of heads, and how one is built from a spec."""

from collections.abc import Callable

from torch import nn

from gricol_zoo.models.parts import build_part
from gricol_zoo.registry import Registry
from gricol_zoo.spec import ModelSpec

HEADS: Registry[Callable[..., nn.Module]] = Registry("head", "gricol_zoo.heads")


def build_head(spec: ModelSpec, num_features: int, num_cells: int) -> nn.Module:
    """Build the head of a spec for F features and K cells."""
    offered = {"num_features": num_features, "num_cells": num_cells, "num_classes": spec.num_classes}
    return build_part("head", spec.head, HEADS.get(spec.head), offered, spec.head_options)
