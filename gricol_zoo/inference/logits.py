"""Logits of canvases: batches of the right size, one on each core, on the fast path."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import device_of, is_optimized, optimize
from gricol_zoo.inference.finite import check_finite
from gricol_zoo.inference.workers import side_by_side
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.spec import ModelSpec

# Beyond this a larger batch gains little on a processor (benchmarks/results/speed/speed_batch.csv); a GPU has more to fill.
PIXELS_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 23}


def best_batch_size(spec: ModelSpec, device: str = "cpu", cells: int = 0) -> int:
    """Return a power of two that keeps a device busy; on a processor 32 at 128x96 and 8 at 224x224.

    Args:
        spec: spec of the model.
        device: "cpu" or "cuda".
        cells: number of cells of the grid, if all classifiers run; else 0.
    """
    height, width = spec.image_size if spec.overview == "none" else spec.cell_size
    pixels = height * width + cells * spec.cell_size[0] * spec.cell_size[1]
    return 1 << max(0, (PIXELS_AT_ONCE.get(device, PIXELS_AT_ONCE["cpu"]) // pixels).bit_length() - 1)


def make_classifying(
    model: GridModel | DeployedModel, dtype: str = "fp32", full: bool = False, polarity: bool = False
) -> Callable[[Any], Any]:
    """Return a function from b canvases, (H, W) uint8 each, to (b, classes) float32 logits, on the fast path.

    It may run in several threads at once; on a GPU the network then takes one batch at a time. (A compiled model compiles at
    its first batch: call it once before.)

    Args:
        model: either form; ``full`` needs the full form. It may be optimized already; then ``dtype`` is ignored.
        dtype: "auto", "fp32" or "bf16".
        full: log probabilities of all classifiers combined instead of the lower branch's logits.
        polarity: return the logits and the probability that the short arm is up, (b,) float32; needs a model with polarity.

    Raises:
        GricolZooError: ``full`` of the deployed form, ``polarity`` of a model without polarity, or an unknown dtype.
    """
    if full and not isinstance(model, GridModel):
        raise GricolZooError("`full` inference needs the full form of the model, but got the deployed one.")
    device = device_of(model)
    fast = model if is_optimized(model) else optimize(model, dtype)
    forward: Any = fast.both if polarity else fast.full if full else fast
    alone = contextlib.nullcontext() if device.type == "cpu" else threading.Lock()

    def classify(canvases: Sequence[np.ndarray]) -> Any:
        with alone, torch.inference_mode():
            out = forward(as_batch(canvases, fast.spec).to(device))
            parts = [part.float().cpu().numpy() for part in (out if polarity else (out,))]
        for part in parts:
            check_finite(part, model.name)
        return tuple(parts) if polarity else parts[0]

    return classify


def predict_logits(
    model: GridModel | DeployedModel,
    canvases: np.ndarray,
    batch_size: int = 0,
    dtype: str = "fp32",
    full: bool = False,
    workers: int = 0,
) -> np.ndarray:
    """Return (n, classes) float32 logits of (n, H, W) uint8 canvases.

    Args:
        model: either form.
        canvases: as ``load_canvases`` gives them.
        batch_size: images at once; 0 takes ``best_batch_size``.
        dtype: "auto", "fp32" or "bf16".
        full: all classifiers combined instead of the lower branch alone.
        workers: batches at once; 0 takes one per core.
    """
    return np.concatenate(list(_by_batches(model, canvases, batch_size, make_classifying(model, dtype, full), full, workers)))


def predict_both(
    model: GridModel | DeployedModel, canvases: np.ndarray, batch_size: int = 0, dtype: str = "fp32", workers: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (n, classes) float32 logits of (n, H, W) uint8 canvases, and (n,) the probability that the short arm is up.

    The second is None for a model without polarity. Args as for ``predict_logits``.
    """
    if not model.polarity:
        return predict_logits(model, canvases, batch_size, dtype, workers=workers), None
    parts = list(_by_batches(model, canvases, batch_size, make_classifying(model, dtype, polarity=True), False, workers))
    return np.concatenate([logits for logits, _ in parts]), np.concatenate([up for _, up in parts])


def _by_batches(
    model: GridModel | DeployedModel,
    canvases: np.ndarray,
    batch_size: int,
    classify: Callable[[Any], Any],
    full: bool,
    workers: int,
) -> Iterator[Any]:
    cells = model.splitter.num_cells if full and isinstance(model, GridModel) else 0
    size = batch_size or best_batch_size(model.spec, device_of(model).type, cells)
    batches = [canvases[start : start + size] for start in range(0, len(canvases), size)]
    return side_by_side(classify, batches, workers)
