"""What a karyotype needs of a model, be it a network or a classical system: grey images in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.calibration import softmax
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.deployed import DeployedModel
from gricol_zoo.evaluate import predict_logits
from gricol_zoo.inference import dtype_of, is_optimized
from gricol_zoo.model import GridModel
from gricol_zoo.precision import choose_dtype


class Classifier(NamedTuple):
    """A model as ``karyotype`` uses it.

    Attributes:
        name: to load it again by.
        weights_sha256: of its weights.
        hub_ref: of them on the Hub, "" if they are not from there.
        dtype: of the computation.
        labels: the classes.
        prepare: (H, W) grey in 0..1 -> whatever ``classify`` takes of an image; raises ImageError.
        classify: what ``prepare`` gave of one cell's n images, n >= 1 -> (n, classes) calibrated probabilities.
    """

    name: str
    weights_sha256: str
    hub_ref: str
    dtype: str
    labels: tuple[str, ...]
    prepare: Callable[[np.ndarray], Any]
    classify: Callable[[Sequence[Any]], np.ndarray]


def of_network(model: GridModel | DeployedModel, dtype: str = "fp32") -> Classifier:
    """Return a network, of either form and with weights, as a classifier by its lower branch.

    Args:
        model: it may have been optimized already; then ``dtype`` is left alone.
        dtype: "auto", "fp32" or "bf16".

    Raises:
        GricolZooError: an unknown dtype.
    """
    used = dtype_of(model) if is_optimized(model) else choose_dtype(dtype, next(model.parameters()).device)

    def classify(canvases: Sequence[np.ndarray]) -> np.ndarray:
        logits = predict_logits(model, np.stack(canvases), dtype=dtype)
        return softmax(logits, float(model.info.get("temperature", 1.0)))

    return Classifier(
        name=model.name,
        weights_sha256=str(model.info.get("sha256", "")),
        hub_ref=model.hub_ref,
        dtype=used,
        labels=model.spec.labels,
        prepare=lambda grey: to_canvas(grey, model.spec.preprocess, model.spec.image_size),
        classify=classify,
    )
