"""From a model and labelled images to a report: the only code that computes a score."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gricol_zoo.calibration import expected_calibration_error, softmax
from gricol_zoo.data.arrays import as_batch, label_indices, load_canvases
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.deployed import DeployedModel
from gricol_zoo.errors import GricolZooError
from gricol_zoo.metrics import bootstrap_accuracy, confusion_matrix, macro_f1, per_class_scores, perfect_groups
from gricol_zoo.model import GridModel
from gricol_zoo.weights import write_atomically

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def run_batches(
    model: GridModel | DeployedModel,
    canvases: Sequence[np.ndarray] | Any,
    batch_size: int = 64,
    dtype: str = "fp32",
    full: bool = False,
) -> Iterator[np.ndarray]:
    """Yield (b, classes) float32 logits, batch by batch (log probabilities with ``full``).

    Args:
        model: either form; ``full`` needs the full form.
        canvases: (H, W) uint8 each, as ``to_canvas`` gives them.
        batch_size: images at once.
        dtype: "fp32", or "bf16" for autocast.
        full: combine all classifiers instead of taking the lower branch.
    """
    if dtype not in DTYPES:
        raise GricolZooError(f"Expected `dtype` to be one of {', '.join(DTYPES)}, but got {dtype!r}.")
    if full and not isinstance(model, GridModel):
        raise GricolZooError("`full` inference needs the full form of the model, not the deployed one.")
    forward: Any = model.full if full else model
    device = next(model.parameters()).device
    model.eval()
    for start in range(0, len(canvases), batch_size):
        batch = as_batch(canvases[start : start + batch_size], model.spec).to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bf16"):
            yield forward(batch).float().cpu().numpy()


def predict_logits(
    model: GridModel | DeployedModel, canvases: np.ndarray, batch_size: int = 64, dtype: str = "fp32", full: bool = False
) -> np.ndarray:
    """Return (n, classes) float32 logits of (n, H, W) uint8 canvases."""
    return np.concatenate(list(run_batches(model, canvases, batch_size, dtype, full)))


def seen_in_training(records: Sequence[Record], info: dict[str, Any]) -> int | None:
    """Return how many images come from cells or cases that the weights were trained on; None if the weights do not say."""
    groups = info.get("training", {}).get("groups")
    if groups is None:
        return None
    known = set(groups)
    return sum(group_of(record) in known for record in records)


def evaluate(
    model: GridModel | DeployedModel,
    images: ImageSet,
    *,
    name: str,
    weights_sha256: str = "",
    split: str = "",
    part: str = "all",
    dtype: str = "fp32",
    full: bool = False,
) -> tuple[dict[str, Any], np.ndarray]:
    """Score a model on labelled images.

    Args:
        model: either form, with weights.
        images: every image of it is scored.
        name: written into the report, as are the next three.
        weights_sha256: of the weight file.
        split: the split's name.
        part: which part of it ``images`` is.
        dtype: "fp32" or "bf16".
        full: all classifiers combined instead of the lower branch.

    Returns:
        The report (keys as in docs/FILES.md, fractions in 0..1) and the (n, classes) logits.
    """
    start = time.perf_counter()
    labels = label_indices(images.records, model.spec.labels, str(images.store.root))
    logits = predict_logits(model, load_canvases(images, model.spec), dtype=dtype, full=full)
    seconds = time.perf_counter() - start
    # The temperature was fitted for the lower branch; the mean over all classifiers is left as it is.
    temperature = 1.0 if full else float(model.info.get("temperature", 1.0))
    report = {
        "model": name,
        "weights_sha256": weights_sha256,
        "data_sha256": images.sha256(),
        "split": split,
        "part": part,
        "inference": "full" if full else "lower",
        "dtype": dtype,
        **score(logits, labels, images.records, model.spec.labels, temperature),
        "seen_in_training": seen_in_training(images.records, model.info),
        "seconds": round(seconds, 3),
    }
    return report, logits


def score(
    logits: np.ndarray, labels: np.ndarray, records: Sequence[Record], names: Sequence[str], temperature: float = 1.0
) -> dict[str, Any]:
    """Return the scores of (n, classes) logits against (n,) labels, as JSON-able data."""
    probabilities = softmax(logits, temperature)
    predictions = probabilities.argmax(1)
    correct = predictions == labels
    matrix = confusion_matrix(labels, predictions, len(names))
    classes = per_class_scores(matrix)
    groups = [group_of(record) for record in records]
    cells = [f"{record.case}/{record.cell}" if record.cell else "" for record in records]
    perfect, cell_count = perfect_groups(correct, cells)
    interval = bootstrap_accuracy(correct, groups)
    return {
        "images": len(labels),
        "cells": cell_count,
        "cases": len({record.case for record in records if record.case}),
        "accuracy": float(correct.mean()),
        "accuracy_ci95": None if interval is None else list(interval),
        "macro_f1": macro_f1(matrix),
        "per_class": {
            name: {"images": int(matrix[i].sum()), **{key: float(values[i]) for key, values in classes.items()}}
            for i, name in enumerate(names)
        },
        "perfect_cells": perfect,
        "perfect_cells_fraction": perfect / cell_count if cell_count else None,
        "ece": expected_calibration_error(probabilities.max(1), correct),
        "temperature": temperature,
    }


def write_report(report: dict[str, Any], file: Path) -> None:
    """Write a report as JSON."""
    write_atomically(file, (json.dumps(report, indent=2) + "\n").encode())
