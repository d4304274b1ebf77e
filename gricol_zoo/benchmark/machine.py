"""Peak speed of a machine: multiply-adds per second in a matrix product and in several convolutions."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gricol_zoo.benchmark.timing import Spread, Step, finish
from gricol_zoo.inference.precision import DTYPES

MATRIX = 2048
CONVOLUTIONS = {  # name: channels in, channels out, kernel, height and width; batch 8, as in a ResNet's stages
    "conv 3x3 64x56x56": (64, 64, 3, 56),
    "conv 3x3 128x28x28": (128, 128, 3, 28),
    "conv 3x3 256x14x14": (256, 256, 3, 14),
    "conv 1x1 128-256x28x28": (128, 256, 1, 28),
    "conv 1x1 256-512x14x14": (256, 512, 1, 14),
}
BATCH = 8


def peak_steps(dtype: str, device: str = "cpu") -> tuple[dict[str, Step], dict[str, float]]:
    """Return steps that only multiply, to be timed in turn with the models, and the multiply-adds of each (in 1e9)."""
    kind, where = DTYPES[dtype], torch.device(device)
    a, b = (torch.randn(MATRIX, MATRIX, device=where).to(kind) for _ in range(2))
    steps: dict[str, Step] = {f"matrix {MATRIX}": _waiting(lambda: a @ b, where)}
    gmacs = {f"matrix {MATRIX}": MATRIX**3 / 1e9}
    for name, (channels, out, kernel, size) in CONVOLUTIONS.items():
        layer = nn.Conv2d(channels, out, kernel, padding=kernel // 2, bias=False)
        layer = layer.to(where, kind).to(memory_format=torch.channels_last)
        x = torch.randn(BATCH, channels, size, size, device=where).to(kind).contiguous(memory_format=torch.channels_last)
        steps[name] = _waiting(lambda layer=layer, x=x: layer(x), where)  # type: ignore[misc]
        gmacs[name] = BATCH * channels * out * kernel**2 * size**2 / 1e9
    return steps, gmacs


def _waiting(step: Step, device: torch.device) -> Step:
    def call() -> None:
        with torch.inference_mode():
            step()
        finish(device)

    return call


def best_convolution(times: Mapping[str, Spread], gmacs: Mapping[str, float]) -> float:
    """Return the peak: the speed of the fastest convolution by median time, in 1e9 multiply-adds per second."""
    return max(gmacs[name] / times[name].median for name in CONVOLUTIONS)


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """Return the conditions of a measurement: device name, number of CPU threads, torch version."""
    if device != "cpu":
        what = torch.cuda.get_device_name(device)
    else:
        known: dict[str, Any] = dict(getattr(torch.cpu, "get_capabilities", dict)())
        name = known.get("cpu_name") or platform.processor() or platform.machine()
        what = f"{name} ({torch.backends.cpu.get_cpu_capability()})"
    return {"device": what, "threads": torch.get_num_threads(), "torch": torch.__version__}
