"""Evaluate a model on labelled images and write a report: the only code that computes scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.data.arrays import arms_up, label_indices
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.split import cells_of, group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.evaluation.metrics import bootstrap_mean, confusion_matrix, macro_f1, per_class_scores, perfect_groups
from gricol_zoo.evaluation.seen import seen_in_training
from gricol_zoo.factory import GridModel
from gricol_zoo.files import write_json
from gricol_zoo.inference.calibration import expected_calibration_error, softmax
from gricol_zoo.inference.classifier import Classifier, to_classifier
from gricol_zoo.inference.logits import predict_both
from gricol_zoo.inference.variables import changing_variables
from gricol_zoo.models.deployed import DeployedModel


def polarity_accuracy(
    model: GridModel | DeployedModel, canvases: np.ndarray, arms: np.ndarray, up: np.ndarray, dtype: str = "fp32"
) -> float:
    """Return the fraction of images, 0..1, whose upper end is predicted correctly, as they are and rotated by 180 degrees.

    In nearly all images of the sets the short arm is up. Without the rotated images, a model that always predicts "up" would
    score well.

    Args:
        model: a model with polarity.
        canvases: (n, H, W) uint8.
        arms: (n,) bool, whether the short arm is up.
        up: (n,) the predicted probability that it is up.
        dtype: "auto", "fp32" or "bf16".
    """
    _, turned = predict_both(model, np.ascontiguousarray(canvases[:, ::-1, ::-1]), dtype=dtype)
    assert turned is not None
    return _share_correct(arms, up, turned)


def _share_correct(arms: np.ndarray, up: np.ndarray, turned: np.ndarray) -> float:
    return float(np.concatenate([(up > 0.5) == arms, (turned > 0.5) == ~arms]).mean())


def evaluate(
    model: GridModel | DeployedModel | Classifier,
    images: ImageSet,
    *,
    name: str,
    weights_sha256: str = "",
    split: str = "",
    part: str = "all",
    dtype: str = "fp32",
    full: bool = False,
    scale: str | float = "none",
) -> tuple[dict[str, Any], np.ndarray]:
    """Score a model on labelled images.

    Args:
        model: a network of either form, with weights, or any ``Classifier``.
        images: the set; every image is scored.
        name: the name of the model; written into the report, as are the next three.
        weights_sha256: hash of the weight file.
        split: the name of the split.
        part: the part of the split that ``images`` is.
        dtype: for a network: "auto", "fp32" or "bf16"; the one used is in the report.
        full: for a network: use all classifiers instead of the lower branch.
        scale: scale factor of the crops: "none", a number, or "auto" for one estimated from the lengths in each cell
            (``gricol_zoo.data.scale``). It is in the report, because only with "none" are images scored singly.

    Returns:
        The report (keys as in docs/reference/files.md, fractions in 0..1) and the (n, classes) logits.

    Raises:
        GricolZooError: an image cannot be read, or a label is not a class of the model.
    """
    start = time.perf_counter()
    classifier = to_classifier(model, dtype, full)
    images = read_once(images, classifier.ground)
    labels = label_indices(images.records, classifier.labels, str(images.store.root))
    prepared = classifier.read(images, classifier.factors(images, scale))
    logits, up = classifier.logits(prepared, cells_of(images.records))
    seconds = time.perf_counter() - start
    polarity = None
    if up is not None:
        _, turned = classifier.logits([one._replace(canvas=one.canvas[::-1, ::-1]) for one in prepared])
        assert turned is not None
        polarity = _share_correct(arms_up(images.records), up, turned)
    report = {
        "model": name,
        "weights_sha256": weights_sha256,
        "data_sha256": images.sha256(),
        "split": split,
        "part": part,
        "inference": classifier.inference,
        "dtype": classifier.dtype,
        **({} if classifier.runtime == "torch" else {"runtime": classifier.runtime}),
        **score(logits, labels, images.records, classifier.labels, classifier.calibration.temperature),
        **seen_in_training(images, classifier.info, classifier.training_pixels).counts(),
        "seconds": round(seconds, 3),
        **(classifier.preparation or {"preparation": None, "ground": None}),
        "scale": scale,
        "polarity_accuracy": polarity,
    }
    if variables := changing_variables():
        report["environment"] = variables
    return report, logits


def score(
    logits: np.ndarray, labels: np.ndarray, records: Sequence[Record], names: Sequence[str], temperature: float = 1.0
) -> dict[str, Any]:
    """Return the scores of (n, classes) logits against (n,) labels, as JSON-able data.

    A NaN row means "no prediction" and counts as an error.
    """
    probabilities, answered = softmax(logits, temperature), ~np.isnan(logits).any(1)
    predictions = np.where(answered, probabilities.argmax(1), len(names))  # no prediction is an extra class, which no image has
    correct = predictions == labels
    matrix = confusion_matrix(labels, predictions, len(names) + 1)
    classes = per_class_scores(matrix)
    groups = [group_of(record) for record in records]
    cells = cells_of(records)
    perfect, cell_count = perfect_groups(correct, cells)
    interval = bootstrap_mean(correct, groups)
    return {
        "images": len(labels),
        "cells": cell_count,
        "cases": len({record.case for record in records if record.case}),
        "accuracy": float(correct.mean()),
        "accuracy_ci95": None if interval is None else list(interval),
        "macro_f1": macro_f1(matrix, len(names)),
        "per_class": {
            name: {"images": int(matrix[i].sum()), **{key: float(values[i]) for key, values in classes.items()}}
            for i, name in enumerate(names)
        },
        "perfect_cells": perfect,
        "perfect_cells_fraction": perfect / cell_count if cell_count else None,
        "ece": expected_calibration_error(probabilities[answered].max(1), correct[answered]),
        "temperature": temperature,
    }


def write_report(report: dict[str, Any], file: Path) -> None:
    """Write a report as JSON."""
    write_json(file, report)
