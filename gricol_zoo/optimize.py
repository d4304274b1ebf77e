"""The fast path for inference: ``optimize(model)`` is a copy of a model that gives the same answers sooner.

Batch-norm is folded into the convolutions, weights and images are channels-last, the backbone computes in bf16 where the
device has it, and no gradients are kept. ``compare`` measures what that changes. For several images at a time see
``gricol_zoo.workers``, which gives each core a batch of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.errors import GricolZooError
from gricol_zoo.lower import LowerBranch
from gricol_zoo.precision import DTYPES, choose_dtype

Model = TypeVar("Model", bound=LowerBranch)
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)


class InferenceBackbone(nn.Module):
    """A backbone for inference alone: (B, C, h, w) any float -> (B, F, h', w') float32.

    Args:
        net: the backbone, in evaluation mode, already in ``dtype``.
        num_features: F.
        dtype: what it computes in.
    """

    for_inference_only = True  # what refuses to be saved

    def __init__(self, net: Any, num_features: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.net = net
        self.num_features = num_features
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h', w')."""
        with torch.inference_mode():
            return self.net(x.to(self.dtype, memory_format=torch.channels_last)).float()

    def train(self, mode: bool = True) -> InferenceBackbone:
        """Stay in evaluation mode.

        Raises:
            GricolZooError: asked to train.
        """
        if mode:
            raise GricolZooError("This model was optimized for inference and cannot be trained. Train the one it came from.")
        return super().train(False)


def optimize(model: Model, dtype: str = "auto", compile: bool = False) -> Model:
    """Return a fast copy of a model, for inference alone; the model itself stays as it is.

    The copy is of the same class, so ``model(x)``, ``model.full(x)`` and ``model.spec`` are all there. Pooling and classifiers
    stay in float32.

    Args:
        model: either form, on any device.
        dtype: "auto" (bf16 where the device has it), "fp32" or "bf16".
        compile: also run the backbone through torch.compile, which needs a C++ compiler and a minute at the first batch.

    Raises:
        GricolZooError: an unknown dtype, or a model that was optimized already.
    """
    if is_optimized(model):
        raise GricolZooError("This model was optimized already. Optimize the one it came from.")
    device = next(model.parameters()).device
    kind = DTYPES[choose_dtype(dtype, device)]
    fast = copy.deepcopy(model).eval().requires_grad_(False)
    fold_batch_norm(fast)
    net = fast.backbone.to(kind).to(memory_format=torch.channels_last)
    fast.backbone = InferenceBackbone(torch.compile(net) if compile else net, model.num_features, kind)
    return fast.eval()


def is_optimized(model: LowerBranch) -> bool:
    """Say whether a model came out of ``optimize``."""
    return isinstance(model.backbone, InferenceBackbone)


@torch.no_grad()  # not inference mode: its tensors, as weights, cannot be shared by threads
def fold_batch_norm(model: LowerBranch) -> int:
    """Fold each batch-norm that only ever sees one convolution's output into that convolution; return how many.

    Which norm follows which convolution is seen in a forward pass, so any backbone will do. The model must give the same
    features afterwards, within rounding; otherwise it is left as it was, and 0 returned.

    Args:
        model: in evaluation mode; its backbone is changed in place.
    """
    spec, device = model.spec, next(model.parameters()).device
    x = torch.randn(2, spec.in_chans, *spec.image_size, generator=torch.Generator().manual_seed(0)).to(device)
    pairs, expected = _watch(model, x)
    before = copy.deepcopy(model.backbone) if pairs else None
    names = {id(module): name for name, module in model.backbone.named_modules()}
    for conv, norm in pairs:
        model.backbone.set_submodule(names[id(conv)], fuse_conv_bn_eval(conv, norm))  # type: ignore[arg-type]
        model.backbone.set_submodule(names[id(norm)], _what_is_left(norm))
    if pairs and not torch.allclose(model.forward_features(x), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
        model.backbone = before
        return 0
    return len(pairs)


def _watch(model: LowerBranch, x: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.Module]], Tensor]:
    """Return the (convolution, norm) pairs seen in a forward pass, each module in it called once, and the features."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor is kept, so that its id stays its own
    pairs: list[tuple[nn.Conv2d, nn.Module]] = []
    calls: dict[int, int] = {}

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[id(module)] = calls.get(id(module), 0) + 1
        if isinstance(module, nn.Conv2d):
            made[id(output)] = (module, output)
        elif inputs and id(inputs[0]) in made and module.running_mean is not None:
            pairs.append((made[id(inputs[0])][0], module))

    watched = [module for module in model.backbone.modules() if isinstance(module, (nn.Conv2d, *NORMS))]
    handles = [module.register_forward_hook(after) for module in watched]
    try:
        features = model.forward_features(x).clone()
    finally:
        for handle in handles:
            handle.remove()
    convs = [id(conv) for conv, _ in pairs]
    once = [pair for pair in pairs if calls[id(pair[0])] == calls[id(pair[1])] == convs.count(id(pair[0])) == 1]
    return once, features


def _what_is_left(norm: nn.Module) -> nn.Module:
    """Return what a norm does beside normalising: nothing, or the activation that timm's norms carry."""
    act = getattr(norm, "act", None)
    return act if isinstance(act, nn.Module) else nn.Identity()


class Parity(NamedTuple):
    """What optimizing changed, over a set of images.

    Attributes:
        images: how many.
        max_difference: the largest difference of a logit.
        changed: how many images got another class.
    """

    images: int
    max_difference: float
    changed: int


def compare(plain: LowerBranch, fast: LowerBranch, canvases: Sequence[np.ndarray], batch_size: int = 32) -> Parity:
    """Compare the logits of two models on (n, H, W) uint8 canvases, as ``load_canvases`` gives them."""
    largest, changed = 0.0, 0
    for start in range(0, len(canvases), batch_size):
        batch = as_batch(canvases[start : start + batch_size], plain.spec).to(next(plain.parameters()).device)
        with torch.inference_mode():
            expected, got = plain(batch).float(), fast(batch).float()
        largest = max(largest, float((expected - got).abs().max()))
        changed += int((expected.argmax(1) != got.argmax(1)).sum())
    return Parity(len(canvases), largest, changed)
