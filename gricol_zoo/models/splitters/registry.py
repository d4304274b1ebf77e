"""The table of splitters."""

from collections.abc import Callable

from torch import nn

from gricol_zoo.registry import Registry

SPLITTERS: Registry[Callable[..., nn.Module]] = Registry("splitter", "gricol_zoo.splitters")
