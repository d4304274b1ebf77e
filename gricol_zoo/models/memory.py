"""Memory of a model's activations, found on torch's meta device: nothing is computed, and nothing is allocated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gricol_zoo.models.grid import TwoBranchModel
from gricol_zoo.spec import ModelSpec

SLACK = 4  # allowed multiple of what the registered model needs: twice its canvas in each direction
LITTLE = 1 << 26  # bytes that any config may take: four times what a light model takes
PARTS = ("backbone", "splitter", "head", "overview", "backbone_options", "splitter_options", "head_options")
OF_MEMORY = (*PARTS, "grid", "image_size", "cell_size", "in_chans", "cell_norm")


def activation_bytes(model: TwoBranchModel) -> int:
    """Return the bytes of all activations of a model on the meta device for one image, with all classifiers, in fp32."""
    total = 0

    def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal total
        outputs = output if isinstance(output, (tuple, list)) else [output]
        total += sum(4 * item.numel() for item in outputs if isinstance(item, Tensor))

    hooks = [module.register_forward_hook(count) for module in model.modules() if not any(module.children())]
    training = model.training
    try:
        with torch.inference_mode():
            model.eval().full(torch.empty(1, model.spec.in_chans, *model.spec.image_size, device="meta"))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return total


def takes_the_same(spec: ModelSpec, known: ModelSpec) -> bool:
    """Return whether a spec equals a known one in all that decides the memory per image, and prepares no larger images."""
    return all(getattr(spec, name) == getattr(known, name) for name in OF_MEMORY) and prepared(spec) <= prepared(known)


def prepared(spec: ModelSpec) -> int:
    """Return the pixels of the largest image that the preparation makes."""
    pad = spec.preprocess.pad_to or (0, 0)
    return max(pad[0] * pad[1], spec.image_size[0] * spec.image_size[1])
