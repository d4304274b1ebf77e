"""The table of backbones."""

from collections.abc import Callable

from torch import nn

from gricol_zoo.registry import Registry

BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone", "gricol_zoo.backbones")
