"""Multiply-adds and parameters of a model, branch by branch.

The unit is one multiply-add = 1, as fvcore counts it, batch-norm and pooling included; papers often call this "Gflops".
Convolutions and linear layers alone are counted a second time by torch's own counter, which must agree.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.grid import TwoBranchModel
from gricol_zoo.models.lower import GRID_KEYS

MATRIX_OPERATORS = ("conv", "linear", "addmm", "matmul", "bmm", "einsum")


@dataclass(frozen=True)
class Cost:
    """What one image costs, and what a model weighs.

    Attributes:
        upper: 1e9 multiply-adds of the upper branch: K backbone passes, gates, linear layers, classifiers of Y_0..Y_K.
        lower: 1e9 multiply-adds of the lower branch: overview, one backbone pass, one classifier.
        full: both; less than their sum where they share the first stages (splitter ``feature_overlap``).
        params, params_deployed: millions, of the full and of the deployed form.
        image_size: (channels, height, width) counted at.
    """

    upper: float
    lower: float
    full: float
    params: float
    params_deployed: float
    image_size: tuple[int, int, int]

    def rows(self) -> dict[str, float | str]:
        """Return the figures under the column names that tables use."""
        channels, height, width = self.image_size
        return {
            "image_size": f"{channels}x{height}x{width}",
            "gmacs_upper": round(self.upper, 3),
            "gmacs_lower": round(self.lower, 3),
            "gmacs_full": round(self.full, 3),
            "params_m": round(self.params, 3),
            "params_deployed_m": round(self.params_deployed, 3),
        }


class _Call(nn.Module):
    """Let a counter see a method of a model as a forward pass."""

    def __init__(self, model: nn.Module, call: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, x: Tensor) -> Any:
        """Call it."""
        return self.call(x)


def count(model: TwoBranchModel) -> Cost:
    """Count a model at its own image size, on the CPU or wherever it is.

    fvcore does not see fused attention. For a backbone with attention modules the two counters are therefore not compared,
    and the larger figure is given.

    Raises:
        GricolZooError: the two counters disagree on convolutions and linear layers.
    """
    spec = model.spec
    x = torch.zeros(1, spec.in_chans, *spec.image_size, device=next(model.parameters()).device)
    training, norms = model.training, model.cell_norm
    model.eval()
    model.cell_norm = None  # norms of the cells' own cost what the shared ones do, and fvcore knows only registered modules
    try:
        upper = _count(model, lambda images: _tensors(model.upper(images)), x) if model.splitter.num_cells else 0.0
        lower = _count(model, model, x)
        full = _count(model, lambda images: _tensors(model.branches(images)), x) if model.grid.shared else upper + lower
    finally:
        model.cell_norm = norms
        model.train(training)
    params = sum(parameter.numel() for parameter in model.parameters())
    deployed = sum(p.numel() for name, p in model.named_parameters() if not name.startswith(GRID_KEYS))
    return Cost(upper, lower, full, params / 1e6, deployed / 1e6, (spec.in_chans, *spec.image_size))


def count_forward(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Count any network's forward pass: 1e9 multiply-adds an image, and 1e6 numbers that convolutions and linears give out.

    Args:
        model: in evaluation mode; ours in either form, or another library's.
        x: one image, (1, C, H, W).

    Raises:
        GricolZooError: the two counters disagree, as for ``count``.
    """
    with _quiet():
        from fvcore.nn import ActivationCountAnalysis

        activations = ActivationCountAnalysis(model, x)
        activations.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        total = activations.total()
    return _count(model, model, x), total / 1e6


def _tensors(output: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in output if tensor is not None)


def _count(model: nn.Module, call: Callable[[Tensor], Any], x: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with _quiet():
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(_Call(model, call), x)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        operators = analysis.by_operator()
        total = analysis.total()
    matrices = sum(number for name, number in operators.items() if name in MATRIX_OPERATORS)
    counter = FlopCounterMode(display=False)
    with counter:  # with gradients on: fused attention is counted as nothing without them
        call(x)
    check = counter.get_total_flops() / 2
    # Attention is beyond fvcore, so the check binds where it saw every matrix product.
    if abs(matrices - check) > 0.001 * check and not _has_attention(model):
        raise GricolZooError(
            f"fvcore counts {matrices / 1e9:.4f} G multiply-adds in convolutions and linear layers, torch {check / 1e9:.4f} G. "
            "Do not use either figure until this is explained."
        )
    return max(total, check) / 1e9 if _has_attention(model) else total / 1e9


def _has_attention(model: nn.Module) -> bool:
    return any("attention" in type(module).__name__.lower() for module in model.modules())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("fvcore", "fvcore.nn.jit_analysis")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
