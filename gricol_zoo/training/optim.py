"""Optimizer, learning rate and averaged weights, as functions of the recipe."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gricol_zoo.training.recipes import Recipe


def make_optimizer(task: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer; weight decay applies to matrices and kernels, not to norms and biases."""
    matrices = [parameter for parameter in task.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in task.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    make: Callable[..., torch.optim.Optimizer] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return make(groups, lr=recipe.lr, fused=True)


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate after ``progress`` epochs (fractions count)."""
    if progress < recipe.warmup_epochs:
        return recipe.lr * (progress + 1e-2) / (recipe.warmup_epochs + 1e-2)
    if recipe.schedule == "constant":
        return recipe.lr
    done = (progress - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Move the exponential average towards the model, in place; early on it moves faster, to forget the random start."""
    keep = min(decay, (1 + step) / (10 + step))
    state = model.state_dict()
    moving = [key for key, value in state.items() if value.is_floating_point()]
    get_ema_multi_avg_fn(keep)([average[key] for key in moving], [state[key] for key in moving], 0)
    for key in state.keys() - moving:
        average[key].copy_(state[key])
