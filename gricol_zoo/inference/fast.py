"""The fast path for inference: ``optimize(model)`` returns a copy of a model that gives the same answers faster.

Batch-norm is folded into the convolutions, weights and images are channels-last, the backbone computes in bf16 if the
device has it, and no gradients are kept. ``parity`` measures what that changes. For several images at a time see
``gricol_zoo.inference.workers``, which gives each core its own batch.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.finite import check_finite
from gricol_zoo.inference.precision import DTYPES, choose_dtype
from gricol_zoo.models.contracts import Backbone, Resizable
from gricol_zoo.models.lower import LowerBranch

Model = TypeVar("Model", bound=LowerBranch)
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


class InferenceBackbone(Backbone):
    """A backbone for inference only: (B, C, h, w) any float -> (B, F, h', w') float32.

    Args:
        net: the backbone, in evaluation mode, already folded and in ``dtype``.
        num_features: F.
        dtype: the dtype that it computes in.
    """

    for_inference_only = True  # such a model cannot be saved

    def __init__(self, net: Any, num_features: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.net = net
        self.num_features = num_features
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h', w')."""
        with torch.inference_mode():
            return self.net(x.to(self.dtype, memory_format=torch.channels_last)).float()

    def to_stage(self, x: Tensor, stage: int) -> Tensor:
        """(B, C, h, w) -> the map after a stage, in ``dtype``."""
        with torch.inference_mode():
            return self.net.to_stage(x.to(self.dtype, memory_format=torch.channels_last), stage)

    def from_stage(self, x: Tensor, stage: int) -> Tensor:
        """Run what comes after a stage on its map; gives (B, F, h', w') float32."""
        with torch.inference_mode():
            return self.net.from_stage(x.to(self.dtype, memory_format=torch.channels_last), stage).float()

    def forward_intermediates(self, *arguments: Any, **options: Any) -> Any:
        """Not supported.

        Raises:
            GricolZooError: always; only the original model gives features of every level.
        """
        raise GricolZooError("An optimized model only gives logits and its last features. Use the original model.")

    prune_intermediate_layers = forward_intermediates

    def set_input_size(self, size: tuple[int, int]) -> None:
        """Adapt to images of another (height, width), if the network supports it."""
        if isinstance(self.net, Resizable):
            self.net.set_input_size(size)

    def train(self, mode: bool = True) -> InferenceBackbone:
        """Stay in evaluation mode.

        Raises:
            GricolZooError: asked to train.
        """
        if mode:
            raise GricolZooError("This model was optimized for inference and cannot be trained. Train the original model.")
        return super().train(False)


def optimize(model: Model, dtype: str = "auto", compile: bool = False) -> Model:
    """Return a fast copy of a model, for inference only; the model itself is not changed.

    The copy is of the same class, so ``model(x)``, ``model.full(x)`` and ``model.spec`` are all there. Pooling and classifiers
    stay in float32.

    Args:
        model: either form, on any device.
        dtype: "auto" (bf16 where the device has it), "fp32" or "bf16".
        compile: also run the backbone through torch.compile, which needs a C++ compiler and a minute at the first batch.

    Raises:
        GricolZooError: an unknown dtype, a model of another library, or one that was optimized already.
    """
    if not isinstance(model, LowerBranch):
        raise GricolZooError(
            f"Expected a gricol_zoo model, but got {type(model).__name__}. Use `for_inference` for other networks."
        )
    if is_optimized(model):
        raise GricolZooError("This model is already optimized. Optimize the original model.")
    device = next(model.parameters()).device
    kind = DTYPES[choose_dtype(dtype, device)]
    fast = copy.deepcopy(model).eval().requires_grad_(False)
    x = torch.randn(2, model.in_chans, *model.spec.image_size, generator=torch.Generator().manual_seed(0)).to(device)
    if getattr(fast, "cell_norm", None) is not None:  # folding mixes norms into kernels, so the cells need their own
        cells: Any = fast.cell_backbone
        fast.cell_norm = for_inference(copy.deepcopy(cells), fast.overview(x), kind, compile)
    fast.backbone = for_inference(fast.backbone, fast.overview(x), kind, compile)
    return fast.eval()


def for_inference(net: nn.Module, x: Tensor, dtype: torch.dtype, compile: bool = False) -> InferenceBackbone:
    """Turn any network in evaluation mode into its fast form; the network is changed.

    Args:
        net: (B, C, h, w) -> a tensor, with ``num_features``.
        x: an example input, to see which batch-norm follows which convolution.
        dtype: the dtype to compute in.
        compile: run it through torch.compile.
    """
    num_features = int(net.num_features)  # type: ignore[arg-type]
    net = fold_batch_norm(net, x).to(dtype).to(memory_format=torch.channels_last)
    return InferenceBackbone(torch.compile(net) if compile else net, num_features, dtype)


def dtype_of(model: LowerBranch) -> str:
    """Return "fp32", "bf16" or another runtime's "int8": what an optimized model computes in."""
    if hasattr(model, "runtime"):
        return str(model.dtype)
    return next(name for name, dtype in DTYPES.items() if dtype == model.backbone.dtype)


def device_of(model: LowerBranch) -> torch.device:
    """Return the device of a model; on another runtime it is the processor."""
    return torch.device("cpu") if hasattr(model, "runtime") else next(model.parameters()).device


def is_optimized(model: LowerBranch) -> bool:
    """Return whether a model was made by ``optimize``, or is on another runtime (``gricol_zoo.runtimes``)."""
    return hasattr(model, "runtime") or isinstance(model.backbone, InferenceBackbone)


@torch.no_grad()  # not inference mode: threads cannot share weights that are inference tensors
def fold_batch_norm(net: nn.Module, x: Tensor) -> nn.Module:
    """Fold each batch-norm that only ever sees one convolution's output into that convolution.

    A forward pass shows which norm follows which convolution, so any network will do. The folded network must give
    the same output, within rounding; otherwise the given one is returned, unchanged, with a warning.

    Args:
        net: in evaluation mode.
        x: an example input.
    """
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # TF32's rounding would hide what folding changes
        pairs, expected = _watch(net, x)
        check_finite(expected)
        folded = _folded(net, pairs)
        agrees = torch.allclose(folded(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    if not agrees:
        warnings.warn("Batch-norm was not folded, because folding would have changed the outputs.", stacklevel=2)
    return folded if agrees else net


def _folded(net: nn.Module, pairs: list[tuple[Any, Any]]) -> nn.Module:
    names = {id(module): name for name, module in net.named_modules()}
    folded = copy.deepcopy(net)
    for conv, norm in pairs:
        folded.set_submodule(names[id(conv)], fuse_conv_bn_eval(conv, norm))
        folded.set_submodule(names[id(norm)], _what_is_left(norm))
    return folded


def _watch(net: nn.Module, x: Tensor) -> tuple[list[tuple[Any, Any]], Tensor]:
    """Return the pairs of a convolution and a norm that only occur together in a forward pass, and the output."""
    made: dict[int, tuple[nn.Module, Tensor]] = {}  # the tensor is kept, so that its id stays its own
    pairs: list[tuple[nn.Module, nn.Module]] = []
    calls: Counter[int] = Counter()

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[id(module)] += 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)
        elif inputs and id(inputs[0]) in made and module.running_mean is not None:
            pairs.append((made[id(inputs[0])][0], module))

    watched = [module for module in net.modules() if isinstance(module, (nn.Conv2d, *NORMS))]
    handles = [module.register_forward_hook(after) for module in watched]
    try:
        output = net(x).clone()
    finally:
        for handle in handles:
            handle.remove()
    seen = Counter((id(conv), id(norm)) for conv, norm in pairs)
    each = {(id(conv), id(norm)): (conv, norm) for conv, norm in pairs}
    return [pair for key, pair in each.items() if seen[key] == calls[key[0]] == calls[key[1]]], output


def _what_is_left(norm: nn.Module) -> nn.Module:
    """Return what a norm does besides normalising: nothing, or the activation that timm's norms contain."""
    act = getattr(norm, "act", None)
    return act if isinstance(act, nn.Module) else nn.Identity()


class Parity(NamedTuple):
    """What optimizing changed, over a set of images.

    Attributes:
        images: number of images.
        max_difference: the largest absolute difference of a logit.
        changed: number of images that got another class.
    """

    images: int
    max_difference: float
    changed: int


def parity(plain: LowerBranch, fast: LowerBranch, canvases: Sequence[np.ndarray], batch_size: int = 32) -> Parity:
    """Compare the logits of two models on (n, H, W) uint8 canvases, as ``load_canvases`` gives them."""
    training = plain.training
    plain.eval()
    largest, changed = 0.0, 0
    for start in range(0, len(canvases), batch_size):
        batch = as_batch(canvases[start : start + batch_size], plain.spec).to(next(plain.parameters()).device)
        with torch.inference_mode():
            expected, got = plain(batch).float(), fast(batch).float()
        largest = max(largest, float((expected - got).abs().max()))
        changed += int((expected.argmax(1) != got.argmax(1)).sum())
    plain.train(training)
    return Parity(len(canvases), largest, changed)
