"""Turn a model's name into steps that can be timed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.benchmark.peers import on_runtime
from gricol_zoo.benchmark.timing import Step, finish, time_in_turn
from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.factory import GridModel, create_model
from gricol_zoo.inference.fast import for_inference, optimize
from gricol_zoo.inference.precision import DTYPES
from gricol_zoo.models.backbones.from_timm import create_timm
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.flops import count_forward, image_size_of
from gricol_zoo.models.names import parse_backbone_name, parse_model_name
from gricol_zoo.runtimes.choose import candidates, dtype_for, make_runner
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import make_optimizer
from gricol_zoo.training.recipes import LIGHT
from gricol_zoo.training.task import TrainingTask

FORMS = ("as is", "optimized", "compiled")


@dataclass(frozen=True)
class Subject:
    """One model to measure: its form, dtype, input channels, device and runtime.

    Attributes:
        name: one of our names, or ``timm/<name>`` for one of timm's own.
        form: "as is" (fp32, as ``create_model`` returns it), "optimized" (channels-last, batch-norm folded for inference,
            in ``dtype``), or "compiled" (the same, with torch.compile).
        dtype: "fp32", "bf16", or "int8" on a runtime other than torch; "as is" is always fp32.
        in_chans: input channels; 0 takes the model's own.
        device: "cpu" or "cuda".
        changes: fields of the spec to change, as for ``create_model``; for a timm model, arguments of timm's.
        runtime: the runtime of an "optimized" form for inference (``gricol_zoo.runtimes``).

    Raises:
        GricolZooError: an unknown form, or a runtime other than torch for another form or a GPU.
    """

    name: str
    form: str = "as is"
    dtype: str = "fp32"
    in_chans: int = 0
    device: str = "cpu"
    changes: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = "torch"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise GricolZooError(f"Expected `form` to be one of {', '.join(FORMS)}, but got {self.form!r}.")
        if self.runtime != "torch" and (self.form != "optimized" or self.device != "cpu"):
            raise GricolZooError(f"{self.runtime} only runs optimized models on the processor. Use the runtime torch.")


def load(subject: Subject) -> tuple[Any, tuple[int, int, int]]:
    """Return the model and its input size (channels, height, width); trained weights if the name has a tag, else random."""
    torch.manual_seed(0)
    is_timm, name = parse_backbone_name(subject.name)
    if not is_timm:
        tagged = bool(parse_model_name(subject.name).tag)
        model: Any = create_model(subject.name, tagged, **{"in_chans": subject.in_chans or None, **subject.changes})
        return model.to(subject.device), image_size_of(model)
    net = create_timm(name, {"in_chans": subject.in_chans or 3, **subject.changes})
    return net.to(subject.device), image_size_of(net)


def inference_step(subject: Subject, batch_size: int) -> Step:
    """Return a step that runs a forward pass of the lower branch, or of a timm model, on random images."""
    model, size = load(subject)
    model = model.deploy() if isinstance(model, GridModel) else model
    model.eval()
    x = torch.randn(batch_size, *size, device=subject.device)
    if subject.form != "as is":
        model = _fast(model, x, subject)

    def step() -> Tensor:
        with torch.inference_mode():
            output: Tensor = model(x)
        finish(x.device)
        return output

    return step


def _fast(model: Any, x: Tensor, subject: Subject) -> Any:
    """Return a model of ours or timm's in the subject's form for inference; x is (B, C, H, W)."""
    compiled, ours = subject.form == "compiled", isinstance(model, DeployedModel)
    if subject.runtime != "torch":
        if ours:
            return make_runner(model, subject.runtime, subject.dtype)
        return on_runtime(model, torch.randn(8, *x.shape[1:]), subject.runtime, subject.dtype)
    return optimize(model, subject.dtype, compiled) if ours else for_inference(model, x[:2], DTYPES[subject.dtype], compiled)


def settled(subject: Subject, batch_size: int) -> Subject:
    """Return a subject with the dtype that its runtime computes in; for "auto", also with the fastest runtime.

    Raises:
        GricolZooError: the runtime is not installed, or does not support the dtype.
    """
    if subject.form == "as is":
        return subject
    if subject.runtime != "auto":
        return replace(subject, dtype=dtype_for(subject.runtime, subject.dtype, subject.device))
    steps: list[tuple[Subject, Step]] = []
    for runtime, dtype in candidates(subject.dtype):
        one = replace(subject, runtime=runtime, dtype=dtype)
        with contextlib.suppress(CheckpointError):  # skip a runtime whose logits differ from torch's
            steps.append((one, inference_step(one, batch_size)))
    times = time_in_turn({index: step for index, (_, step) in enumerate(steps)}, rounds=3)
    return steps[min(times, key=lambda index: times[index].median)][0]


def training_step(subject: Subject, batch_size: int, grad_checkpointing: bool = False) -> Step:
    """Return a training step with AdamW on random images and labels.

    A model of ours trains all its branches; a timm model trains with cross entropy. "as is" is fp32 in the default memory
    format. "optimized" has the memory format, dtype and optimizer of ``train`` (channels-last, autocast for bf16), without its
    augmentation, gradient clipping and weight averaging.
    """
    model, size = load(subject)
    if grad_checkpointing:
        model.set_grad_checkpointing()
    task: nn.Module = TrainingTask(model, GridLoss()) if isinstance(model, GridModel) else PlainTask(model)
    task.train()
    x = torch.randn(batch_size, *size, device=subject.device)
    if subject.form != "as is":
        task.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if subject.form == "compiled":
        getattr(model, "backbone", model).compile()
    labels = torch.randint(0, model.num_classes, (batch_size,), device=subject.device)
    optimizer = make_optimizer(task, LIGHT)

    def step() -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=subject.dtype == "bf16" and subject.form != "as is"):
            loss = task(x, labels, 0.0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        finish(x.device)

    return step


class PlainTask(nn.Module):
    """Training task of a network without branches: cross entropy."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, labels: Tensor, epoch: float) -> Tensor:
        """Return the loss, a scalar, of (B, C, H, W) images and (B,) labels; ``epoch`` is ignored."""
        return F.cross_entropy(self.model(images).float(), labels)


def cost_of(subject: Subject) -> dict[str, Any]:
    """Return the cost of the deployed form: size (C, H, W), gmacs (1e9), macts (activations, 1e6) and params (1e6)."""
    model, size = load(replace(subject, device="cpu"))
    if isinstance(model, GridModel):
        model = model.deploy()
    model.eval()
    gmacs, macts = count_forward(model, torch.zeros(1, *size))
    params = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return {"size": size, "gmacs": gmacs, "macts": macts, "params": params}
