"""Separate batch-norms for the grid's cells, in the one shared backbone (``ModelSpec.cell_norm = "own"``).

Cells and overviews differ in statistics (a cell of an upright chromosome is nearly full, its overview is mostly background),
more so where they differ in size. With shared norms the running statistics are a mixture that fits neither, and the lower
branch, which is all that inference runs, is normalised by it. Compare the auxiliary batch-norm of Xie et al., CVPR 2020.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def copy_norms(backbone: nn.Module, parts: Iterable[nn.Module] | None = None) -> nn.ModuleDict:
    """Return a copy of every batch-norm of a backbone (or of ``parts`` of it only), by its name with "/" for "."."""
    within = {id(module) for part in (parts if parts is not None else [backbone]) for module in part.modules()}
    norms = {
        name.replace(".", "/"): module
        for name, module in backbone.named_modules()
        if isinstance(module, _BatchNorm) and id(module) in within
    }
    return nn.ModuleDict({name: copy.deepcopy(module) for name, module in norms.items()})


def with_norms(backbone: nn.Module, norms: nn.ModuleDict, prefix: str = "") -> nn.Module:
    """Return the backbone with other batch-norms: a new tree of modules over the same weights.

    It is cheap (no tensor is copied) and made for each call, so it always has the backbone's current state: weights, training
    mode, checkpointing. The copy of a compiled backbone runs uncompiled.
    """
    if prefix in norms:
        return norms[prefix]
    if isinstance(backbone, _BatchNorm) or not any(isinstance(module, _BatchNorm) for module in backbone.modules()):
        return backbone
    twin = copy.copy(backbone)
    twin._compiled_call_impl = None
    twin._modules = {}
    for name, child in backbone._modules.items():
        path = f"{prefix}/{name}" if prefix else name
        twin._modules[name] = None if child is None else with_norms(child, norms, path)
    return twin
