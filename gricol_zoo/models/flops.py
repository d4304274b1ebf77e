"""Multiply-adds and parameters of a model, branch by branch.

The unit is one multiply-add = 1, as fvcore counts it, batch-norm and pooling included; papers often call this "Gflops".
Convolutions, linear layers and attention alone are counted a second time by torch's own counter, which must agree.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.grid import TwoBranchModel
from gricol_zoo.models.lower import GRID_KEYS, LowerBranch

ATTENTION = "scaled_dot_product_attention"
MATRIX_OPERATORS = ("conv", "linear", "addmm", "matmul", "bmm", "einsum", ATTENTION)


@dataclass(frozen=True)
class Cost:
    """What one image costs, and how many parameters a model has.

    Attributes:
        upper: 1e9 multiply-adds of the upper branch: K backbone passes, gates, linear layers, classifiers of Y_0..Y_K.
        lower: 1e9 multiply-adds of the lower branch: overview, one backbone pass, one classifier.
        full: both; less than their sum where they share the first stages (splitter ``feature_overlap``).
        params, params_deployed: millions of parameters, of the full and of the deployed form.
        image_size: (channels, height, width) of the image that was counted.
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


def count(model: nn.Module) -> Cost:
    """Count a model at its own image size, on the device it is on.

    Args:
        model: ours, in any form and dtype, or a timm model. One without a grid has no upper branch.

    Raises:
        GricolZooError: the two counters disagree, or the network does not state its image size.
    """
    size = image_size_of(model)
    if any(parameter.dtype == torch.float16 for parameter in model.parameters()):
        model = copy.deepcopy(model).float()  # a CPU takes ten times as long over half precision
    like = next(model.parameters(), torch.empty(0))
    x = torch.zeros(1, *size, device=like.device, dtype=like.dtype)
    grid = GRID_KEYS if isinstance(model, TwoBranchModel) else ()
    params = sum(parameter.numel() for parameter in model.parameters())
    deployed = sum(p.numel() for name, p in model.named_parameters() if not name.startswith(grid))
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        upper, lower, full = _branches(model, x) if isinstance(model, TwoBranchModel) else _one_branch(model, x)
    finally:
        for module, training in modes.items():
            module.training = training
    return Cost(upper, lower, full, params / 1e6, deployed / 1e6, size)


def image_size_of(model: nn.Module) -> tuple[int, int, int]:
    """Return the (channels, height, width) that a model of ours, or of timm, is made for.

    Raises:
        GricolZooError: neither.
    """
    if isinstance(model, LowerBranch):
        return (model.spec.in_chans, *model.spec.image_size)
    config = getattr(model, "pretrained_cfg", None)
    if not isinstance(config, dict) or "input_size" not in config:
        raise GricolZooError(f"Expected a model of gricol_zoo or timm, but got {type(model).__name__}. Use `count_forward`.")
    channels, height, width = config["input_size"]
    return int(getattr(model, "in_chans", channels)), height, width


def _one_branch(model: nn.Module, x: Tensor) -> tuple[float, float, float]:
    lower = _count(model, model, x)
    return 0.0, lower, lower


def _branches(model: TwoBranchModel, x: Tensor) -> tuple[float, float, float]:
    norms = model.cell_norm
    model.cell_norm = None  # norms of the cells' own cost what the shared ones do, and fvcore knows only registered modules
    try:
        upper = _count(model, lambda images: _tensors(model.upper(images)), x) if model.splitter.num_cells else 0.0
        lower = _count(model, model, x)
        full = _count(model, lambda images: _tensors(model.branches(images)), x) if model.grid.shared else upper + lower
    finally:
        model.cell_norm = norms
    return upper, lower, full


def count_forward(model: nn.Module, x: Tensor) -> tuple[float, float]:
    """Count any network's forward pass: 1e9 multiply-adds per image, and 1e6 output values of convolutions and linear layers.

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

    # Neither counter sees every kind of fused attention; torch's sees the two products that it is made of.
    with _quiet(), sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(_Call(model, call), x).set_op_handle(f"aten::{ATTENTION}", _attention)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        operators = analysis.by_operator()
        counter = FlopCounterMode(display=False)
        with counter:
            call(x)
    matrices = sum(number for name, number in operators.items() if name in MATRIX_OPERATORS)
    check = counter.get_total_flops() / 2
    if abs(matrices - check) > 0.001 * check:
        raise GricolZooError(
            f"fvcore counts {matrices / 1e9:.4f} G multiply-adds in convolutions, linear layers and attention, torch "
            f"{check / 1e9:.4f} G. Do not use either figure until this is explained."
        )
    return sum(operators.values()) / 1e9


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    """Count attention for fvcore: queries (B, heads, L, E) by keys (B, heads, S, E), and that by values (B, heads, S, V)."""
    query, key, value = (one.type().sizes() for one in inputs[:3])
    return Counter({ATTENTION: math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


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
