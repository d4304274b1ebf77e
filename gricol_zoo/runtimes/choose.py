"""Choose a runtime: torch, onnxruntime, openvino, or auto for the fastest that is installed and passes the check."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference import fast
from gricol_zoo.inference.logits import best_batch_size
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.inference.workers import usable_cores
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes import store
from gricol_zoo.runtimes.engines import ENGINES
from gricol_zoo.runtimes.runner import open_runner, plain_form

RUNTIMES = ("torch", *ENGINES, "auto")
BATCHES = 3


def make_runner(model: GridModel | DeployedModel, runtime: str = "auto", dtype: str = "auto") -> Any:
    """Return a model as a callable of a runtime: (B, C, H, W) images -> (B, classes) logits.

    Args:
        model: either form, on the processor for other runtimes than torch.
        runtime: one of ``RUNTIMES``.
        dtype: "auto" (bf16 if the processor and the runtime have it), "fp32", "bf16", or "int8", which torch does not have.
            If both are "auto", int8 is tried too.

    Returns:
        For torch a copy of the model by ``optimize``, else a ``Runner``; for "auto" whichever is faster.

    Raises:
        CheckpointError: the runtime gives other answers than torch.
        GricolZooError: an unknown runtime, one that is not installed, or a dtype that it does not have.
    """
    if runtime not in RUNTIMES:
        raise GricolZooError(f"Expected the runtime to be one of {', '.join(RUNTIMES)}, but got {runtime!r}.")
    if runtime == "torch":
        return fast.optimize(model, dtype)
    if runtime == "auto":
        return fastest(model, dtype)
    return open_runner(model, runtime, ENGINES[runtime], dtype_for(runtime, dtype))


def optimize(model: GridModel | DeployedModel, dtype: str = "auto", compile: bool = False, runtime: str = "torch") -> Any:
    """Return a fast copy of a model, for inference only, on any runtime; the model itself is not changed.

    Args:
        model: either form.
        dtype: "auto", "fp32", "bf16" or "int8", as for ``make_runner``.
        compile: also run the backbone through torch.compile (``gricol_zoo.inference.fast.optimize``); torch only.
        runtime: "torch", "onnxruntime", "openvino", or "auto" for the fastest that is installed and agrees with torch.

    Returns:
        A callable with the model's interface: on torch of the model's class, elsewhere a ``Runner``, whose ``full`` raises.

    Raises:
        GricolZooError: as for ``make_runner``, or ``compile`` on another runtime.
    """
    if runtime == "torch":
        return fast.optimize(model, dtype, compile)
    if compile:
        raise GricolZooError(f"`compile` only works with torch, but the runtime is {runtime!r}. Leave one of them out.")
    return make_runner(model, runtime, dtype)


def dtype_for(runtime: str, dtype: str, device: str = "cpu") -> str:
    """Return the dtype in which a runtime is to compute; ``device`` is only used for torch.

    Raises:
        GricolZooError: the runtime is not installed, or does not support that dtype.
    """
    if runtime == "torch":
        return choose_dtype(dtype, device)
    engine = ENGINES[runtime]
    if not engine.version():
        raise GricolZooError(f"The runtime {runtime} is not installed. Run: pip install 'gricol_zoo[{engine.extra}]'")
    wanted = dtype if dtype in engine.dtypes else choose_dtype(dtype)
    if wanted in engine.dtypes:
        return wanted
    if dtype == "auto":
        return "fp32"
    raise GricolZooError(f"{runtime} computes in {' or '.join(engine.dtypes)} here, but {dtype} was requested.")


def candidates(dtype: str) -> list[tuple[str, str]]:
    """Return what auto chooses from: (runtime, dtype) for each installed runtime."""
    there = ["torch", *(runtime for runtime, engine in ENGINES.items() if engine.version())]
    found = []
    for runtime in there:
        kinds = (dtype, "int8") if dtype == "auto" and runtime != "torch" else (dtype,)
        for kind in kinds:
            try:
                found.append((runtime, dtype_for(runtime, kind)))
            except GricolZooError:  # it does not support that dtype
                continue
    return found


def fastest(model: GridModel | DeployedModel, dtype: str) -> Any:
    """Return the fastest of torch and the installed runtimes that pass the check, timed on a few batches of this model.

    The choice is remembered for these weights, versions, processor and number of threads. A runtime that fails gives a
    warning; torch is always available.
    """
    try:
        noted = _noted(model, dtype)
    except GricolZooError as error:
        if next(model.parameters()).device.type == "cpu":
            warnings.warn(f"Only torch can be used: {error}", stacklevel=3)
        return fast.optimize(model, dtype)
    conditions = {
        "versions": {"torch": torch.__version__, **{name: engine.version() for name, engine in ENGINES.items()}},
        "processor": store.processor(),
        "threads": [usable_cores(), torch.get_num_threads()],
    }
    record = store.read_record(noted)
    if all(record.get(key) == value for key, value in conditions.items()):
        return make_runner(model, record["runtime"], record["dtype"])
    best = _measured(model, dtype)
    if best is None:
        return fast.optimize(model, dtype)
    chosen, runtime, kind = best
    store.write_record(noted, {**conditions, "runtime": runtime, "dtype": kind})
    return chosen


def _noted(model: GridModel | DeployedModel, dtype: str) -> Path:
    """Return the file that records the choice.

    Raises:
        GricolZooError: the model can run on torch only, or the cache cannot be written.
    """
    return store.folder() / f"{store.digest_of(plain_form(model))}.auto.{dtype}.json"


def _measured(model: GridModel | DeployedModel, dtype: str) -> tuple[Any, str, str] | None:
    """Return the fastest candidate with its runtime and dtype; None if all fail."""
    images = torch.zeros(best_batch_size(model.spec), model.in_chans, *model.spec.image_size)
    best, fastest = None, float("inf")
    for runtime, kind in candidates(dtype):
        try:
            one = make_runner(model, runtime, kind)
        except GricolZooError as error:
            warnings.warn(str(error), stacklevel=4)
            continue
        seconds = seconds_of(one, images)
        if seconds < fastest:
            best, fastest = (one, runtime, kind), seconds
    return best


def seconds_of(classify: Callable[[torch.Tensor], Any], images: torch.Tensor) -> float:
    """Return the seconds of the fastest of a few calls, after one warm-up call."""
    times = []
    for _ in range(BATCHES + 1):
        started = time.perf_counter()
        with torch.inference_mode():
            classify(images)
        times.append(time.perf_counter() - started)
    return min(times[1:])
