"""The result of a training: averaged weights, calibrated on the val part, and statistics of the val images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gricol_zoo.data.arrays import image_factors, load_prepared
from gricol_zoo.data.quality import UNSURE, fit_reference, measure
from gricol_zoo.data.split import cells_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.report import polarity_accuracy
from gricol_zoo.factory import GridModel, build
from gricol_zoo.inference.calibration import (
    expected_calibration_error,
    fit_temperature,
    review_threshold,
    softmax,
)
from gricol_zoo.inference.logits import predict_both, predict_logits
from gricol_zoo.spec import ModelSpec
from gricol_zoo.training.state import Job, Likeness, Training
from gricol_zoo.weights.tensors import half_precision, save_model


def measure_val(images: ImageSet, spec: ModelSpec, scale: str | float) -> Likeness | None:
    """Measure the val images; None if the preparation measures nothing."""
    how = spec.preprocess
    if how.version < 2 or how.orientation == "as-is":
        return None
    factors = image_factors(how, images, scale)
    prepared = load_prepared(images, spec, factors)
    each = np.ones(len(prepared)) if factors is None else factors
    measures = [measure(one, how.length, float(by)) for one, by in zip(prepared, each, strict=True)]
    return Likeness(measures, cells_of(images.records), [one.light for one in prepared])


def averaged_model(run: Training, spec: ModelSpec) -> GridModel:
    """Return a copy of the model with the averaged weights, for evaluation."""
    model = build(spec)
    model.load_state_dict(run.average)
    device = next(run.task.parameters()).device
    return model.to(device).to(memory_format=torch.channels_last).eval()


def write_result(job: Job, record: dict[str, Any], pixels: bytes | None) -> None:
    """Write the averaged weights, calibrated on the val part in the precision in which they are stored.

    Args:
        job: the finished training.
        record: what the config records about the training images.
        pixels: hashes of their pixels (``gricol_zoo.weights.pixels``); None if not known.
    """
    model = averaged_model(job.run, job.spec)  # on the training's device: a processor would take minutes for a large model
    model.training_pixels = pixels
    model.name = job.run.task.model.name
    model.load_state_dict(half_precision(model.state_dict()))  # as they will be on disk
    canvases, labels, arms = job.data.canvases["val"], job.data.labels["val"], job.data.arms["val"]
    logits, up = predict_both(model, canvases)
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits, temperature).max(1)
    correct = logits.argmax(1) == labels
    threshold = review_threshold(confidence, correct)
    val = job.data.val
    reference = None if val is None else fit_reference(val.measures, val.cells, confidence < UNSURE, val.light)
    every = predict_logits(model, canvases, full=True) if model.splitter.num_cells else logits
    polarity = {} if up is None else {"polarity_accuracy": polarity_accuracy(model, canvases, arms, up)}
    model.info = {
        "temperature": round(temperature, 4),
        "temperature_full": round(fit_temperature(every, labels), 4),
        "review_threshold": threshold,
        "val": {
            "images": len(labels),
            "accuracy": float(correct.mean()),
            "ece": expected_calibration_error(confidence, correct),
            "review_fraction": float((confidence < threshold).mean()),
            **polarity,
        },
        **({} if reference is None else {"reference": reference.to_dict()}),
        "training": {
            **record,
            "recipe": job.recipe.to_dict(),
            "library": {"torch": torch.__version__, "numpy": np.__version__},
        },
    }
    save_model(model.cpu(), job.config.out)
    job.say(f"val accuracy {correct.mean():.4f}; weights in {job.config.out}")
