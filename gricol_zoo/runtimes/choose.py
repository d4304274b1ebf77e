"""One word for a runtime: torch, onnxruntime, openvino, or auto for the fastest that is installed and passes the check."""

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
        dtype: "auto" (bf16 where the processor and the runtime have it), "fp32", "bf16", or "int8", which torch does not have.
            Where both are "auto", int8 is tried too.

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
    """Return a fast copy of a model, for inference alone, on any runtime; the model itself stays as it is.

    Args:
        model: either form.
        dtype: "auto", "fp32", "bf16" or "int8", as for ``make_runner``.
        compile: also run the backbone through torch.compile (``gricol_zoo.inference.fast.optimize``); of torch alone.
        runtime: "torch", "onnxruntime", "openvino", or "auto" for the fastest that is installed and answers as torch does.

    Returns:
        What is called like the model: on torch it is of the model's class, elsewhere a ``Runner``, whose ``full`` raises.

    Raises:
        GricolZooError: as for ``make_runner``, or ``compile`` on another runtime.
    """
    if runtime == "torch":
        return fast.optimize(model, dtype, compile)
    if compile:
        raise GricolZooError(f"`compile` is of torch alone, but the runtime is {runtime!r}. Leave one of them out.")
    return make_runner(model, runtime, dtype)


def dtype_for(runtime: str, dtype: str, device: str = "cpu") -> str:
    """Return what a runtime is to compute in, on a device where it is torch.

    Raises:
        GricolZooError: it is not installed, or does not have that.
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
    raise GricolZooError(f"{runtime} computes in {' or '.join(engine.dtypes)} here, but {dtype} was asked for.")


def candidates(dtype: str) -> list[tuple[str, str]]:
    """Return what auto chooses from: each runtime that is there, with what it computes in."""
    there = ["torch", *(runtime for runtime, engine in ENGINES.items() if engine.version())]
    found = []
    for runtime in there:
        kinds = (dtype, "int8") if dtype == "auto" and runtime != "torch" else (dtype,)
        for kind in kinds:
            try:
                found.append((runtime, dtype_for(runtime, kind)))
            except GricolZooError:  # it does not have that
                continue
    return found


def fastest(model: GridModel | DeployedModel, dtype: str) -> Any:
    """Return the fastest of torch and what is installed and passes the check, by a few batches of this model.

    Which it is is remembered for the weights, the versions, the processor and the number of threads. What fails is said by a
    warning, and torch is always there.
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
    """Return where it stands what was chosen; errors where there is nothing to choose from, or no place for it."""
    return store.folder() / f"{store.digest_of(plain_form(model))}.auto.{dtype}.json"


def _measured(model: GridModel | DeployedModel, dtype: str) -> tuple[Any, str, str] | None:
    """Return the fastest candidate with its runtime and dtype; None if none can be had."""
    images = torch.zeros(best_batch_size(model.spec), model.in_chans, *model.spec.image_size)
    best, least = None, float("inf")
    for runtime, kind in candidates(dtype):
        try:
            one = make_runner(model, runtime, kind)
        except GricolZooError as error:
            warnings.warn(str(error), stacklevel=4)
            continue
        seconds = seconds_of(one, images)
        if seconds < least:
            best, least = (one, runtime, kind), seconds
    return best


def seconds_of(classify: Callable[[torch.Tensor], Any], images: torch.Tensor) -> float:
    """Return the seconds of the fastest of a few calls, after one that does not count."""
    times = []
    for _ in range(BATCHES + 1):
        started = time.perf_counter()
        with torch.inference_mode():
            classify(images)
        times.append(time.perf_counter() - started)
    return min(times[1:])
