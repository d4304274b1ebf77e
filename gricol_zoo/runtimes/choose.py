"""One word for a runtime: torch, onnxruntime, openvino, or auto for the fastest that is installed and passes the check."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import optimize
from gricol_zoo.inference.logits import best_batch_size
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes.engines import ENGINES
from gricol_zoo.runtimes.runner import open_runner

RUNTIMES = ("torch", *ENGINES, "auto")
BATCHES = 3


def make_runner(model: GridModel | DeployedModel, runtime: str = "auto", dtype: str = "auto") -> Any:
    """Return a model as a callable of a runtime: (B, C, H, W) images -> (B, classes) logits.

    Args:
        model: either form, on the processor for other runtimes than torch.
        runtime: one of ``RUNTIMES``.
        dtype: "auto" (bf16 where the processor and the runtime have it), "fp32" or "bf16".

    Returns:
        For torch a copy of the model by ``optimize``, else a ``Runner``; for "auto" whichever is faster.

    Raises:
        CheckpointError: the runtime gives other answers than torch.
        GricolZooError: an unknown runtime, one that is not installed, or a dtype that it does not have.
    """
    if runtime not in RUNTIMES:
        raise GricolZooError(f"Expected the runtime to be one of {', '.join(RUNTIMES)}, but got {runtime!r}.")
    if runtime == "torch":
        return optimize(model, dtype)
    if runtime == "auto":
        return fastest(model, dtype)
    return open_runner(model, runtime, ENGINES[runtime], dtype_for(runtime, dtype))


def dtype_for(runtime: str, dtype: str) -> str:
    """Return what a runtime is to compute in.

    Raises:
        GricolZooError: it is not installed, or does not have that.
    """
    engine = ENGINES[runtime]
    if not engine.version():
        raise GricolZooError(f"The runtime {runtime} is not installed. Run: pip install 'gricol_zoo[{engine.extra}]'")
    wanted = choose_dtype(dtype)
    if wanted in engine.dtypes:
        return wanted
    if dtype == "auto":
        return engine.dtypes[0]
    raise GricolZooError(f"{runtime} computes in {' or '.join(engine.dtypes)} here, but {dtype} was asked for.")


def fastest(model: GridModel | DeployedModel, dtype: str) -> Any:
    """Return the fastest of torch and what is installed and passes the check, by a few batches of this model."""
    candidates: list[Any] = [optimize(model, dtype)]
    if next(model.parameters()).device.type == "cpu":
        for runtime, engine in ENGINES.items():
            if engine.version() and (dtype == "auto" or dtype in engine.dtypes):
                try:
                    candidates.append(open_runner(model, runtime, engine, dtype_for(runtime, dtype)))
                except CheckpointError as error:
                    warnings.warn(str(error), stacklevel=2)
    images = torch.zeros(best_batch_size(model.spec), model.in_chans, *model.spec.image_size)
    return min(candidates, key=lambda one: seconds_of(one, images))


def seconds_of(classify: Callable[[torch.Tensor], Any], images: torch.Tensor) -> float:
    """Return the seconds of the fastest of a few calls, after one that does not count."""
    times = []
    for _ in range(BATCHES + 1):
        started = time.perf_counter()
        with torch.inference_mode():
            classify(images)
        times.append(time.perf_counter() - started)
    return min(times[1:])
