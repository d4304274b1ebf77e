"""What a karyotype needs of a model, be it a network or a classical system: grey images in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.preprocess import Prepared, pose_of, prepare
from gricol_zoo.data.quality import Reference, read_reference
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.fast import dtype_of, is_optimized
from gricol_zoo.inference.logits import predict_both
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.spec import Preprocess


class Classifier(NamedTuple):
    """A model as ``karyotype`` uses it.

    Attributes:
        name: to load it again by.
        weights_sha256: of its weights.
        hub_ref: of them on the Hub, "" if they are not from there.
        dtype: of the computation.
        labels: the classes.
        prepare: (H, W) grey in 0..1 and a factor for its pixels -> whatever ``classify`` takes of an image; raises ImageError.
        classify: what ``prepare`` gave of one cell's n images, n >= 1 -> (n, classes) calibrated probabilities, and (n,) the
            probability that the short arm is up, None where the model cannot tell.
        preprocess: how a network prepares images; None for a system that measures crops by itself, at any scale.
        reference: what the training images were like, None where that is not known.
    """

    name: str
    weights_sha256: str
    hub_ref: str
    dtype: str
    labels: tuple[str, ...]
    prepare: Callable[[np.ndarray, float], Any]
    classify: Callable[[Sequence[Any]], tuple[np.ndarray, np.ndarray | None]]
    preprocess: Preprocess | None = None
    reference: Reference | None = None

    def length(self, grey: np.ndarray) -> float:
        """Return the length of the chromosome on an (H, W) grey image, in its pixels; NaN where there is none."""
        pose = pose_of(find_chromosome(grey, self.preprocess.ground if self.preprocess else "auto").mask)
        return np.nan if pose is None else pose.length


def of_network(model: GridModel | DeployedModel, dtype: str = "fp32") -> Classifier:
    """Return a network, of either form and with weights, as a classifier by its lower branch.

    Args:
        model: it may have been optimized already; then ``dtype`` is left alone.
        dtype: "auto", "fp32" or "bf16".

    Raises:
        GricolZooError: an unknown dtype.
    """
    used = dtype_of(model) if is_optimized(model) else choose_dtype(dtype, next(model.parameters()).device)

    def classify(prepared: Sequence[Prepared]) -> tuple[np.ndarray, np.ndarray | None]:
        logits, up = predict_both(model, np.stack([item.canvas for item in prepared]), dtype=dtype)
        return softmax(logits, float(model.info.get("temperature", 1.0))), up

    return Classifier(
        name=model.name,
        weights_sha256=str(model.info.get("sha256", "")),
        hub_ref=model.hub_ref,
        dtype=used,
        labels=model.spec.labels,
        prepare=lambda grey, scale: prepare(grey, model.spec.preprocess, model.spec.image_size, scale),
        classify=classify,
        preprocess=model.spec.preprocess,
        reference=read_reference(model.info),
    )
