"""The interface of predicting, scoring and karyotyping to a model, network or classical system: images in, classes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.data.arrays import image_factors, read_all
from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.preprocess import Prepared, pose_of, prepare
from gricol_zoo.data.quality import Reference
from gricol_zoo.data.table import ImageSet
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import device_of, dtype_of, is_optimized
from gricol_zoo.inference.logits import best_batch_size, make_classifying
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.inference.workers import side_by_side
from gricol_zoo.models.calibration import Calibration
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import Preprocess

Answers = tuple[np.ndarray, np.ndarray | None]
"""(n, classes) logits and (n,) the probability that the short arm is up, None if the model does not predict it."""


class Classifier(NamedTuple):
    """A model with all that comes with its weights.

    Attributes:
        name: the name to load it again.
        weights_sha256: SHA-256 of its weights.
        hub_ref: their "org/repo@commit" on the Hub, "" if they are not from there.
        dtype: dtype of the computation.
        labels: the classes.
        prepare: (H, W) grey in 0..1 and a factor for its size -> whatever ``answer`` takes for an image; raises ImageError.
        answer: the results of ``prepare`` for the n images of one batch, n >= 1, and the cell of each ("" if unknown) ->
            ``Answers`` before calibration. Several threads may call it at once.
        preprocess: how a network prepares images; None for a system that measures crops by itself, at any scale.
        reference: statistics of the training's val images, None if not known.
        info: what the weights' config records: the training's groups, scores on val.
        training_pixels: which images the weights were trained on (``gricol_zoo.weights.pixels``); None if not known.
        calibration: how logits become probabilities, and which images need review.
        inference: which classifiers answer: "lower" or "full" for a network.
        batch_size: suitable number of images per batch; 0 if a cell's images are measured relative to one another, so that all
            images of a set must come together.
        runtime: the runtime, with its version if it is not torch.
    """

    name: str
    weights_sha256: str
    hub_ref: str
    dtype: str
    labels: tuple[str, ...]
    prepare: Callable[[np.ndarray, float], Any]
    answer: Callable[[Sequence[Any], Sequence[str]], Answers]
    preprocess: Preprocess | None = None
    reference: Reference | None = None
    info: WeightsInfo = WeightsInfo()
    training_pixels: bytes | None = None
    calibration: Calibration = Calibration()
    inference: str = ""
    batch_size: int = 0
    runtime: str = "torch"

    @property
    def ground(self) -> str:
        """The background that crops are assumed to have: "auto", "light" or "dark"."""
        return self.preprocess.ground if self.preprocess else "auto"

    @property
    def preparation(self) -> dict[str, Any]:
        """How images are prepared, as records of a run note it; empty for a system that measures crops by itself."""
        return {"preparation": self.preprocess.version, "ground": self.preprocess.ground} if self.preprocess else {}

    def length(self, grey: np.ndarray) -> float:
        """Return the length of the chromosome on an (H, W) grey image, in its pixels; NaN where there is none."""
        pose = pose_of(find_chromosome(grey, self.ground).mask)
        return np.nan if pose is None else pose.length

    def factors(self, images: ImageSet, scale: str | float) -> np.ndarray | None:
        """Return the scale factor of each image, (n,), as ``image_factors`` does; None if it is 1 for all."""
        return image_factors(self.preprocess, images, scale) if self.preprocess else None

    def read(self, images: ImageSet, factors: np.ndarray | None = None) -> list[Any]:
        """Read and prepare every image of a set.

        Raises:
            GricolZooError: an image cannot be read or prepared (the file is named).
        """
        return read_all(images, self.prepare, self.ground, factors)

    def logits(self, prepared: Sequence[Any], cells: Sequence[str] = (), workers: int = 0) -> Answers:
        """Return the answers for any number of images, with batches side by side.

        Args:
            prepared: n images, as ``prepare`` gives them.
            cells: (n,) the cell of each, "" if unknown; empty if all are of one cell.
            workers: batches at once; 0 takes one per core.
        """
        if not len(prepared):
            return np.zeros((0, len(self.labels))), None
        cells = cells or ["the cell"] * len(prepared)
        size = self.batch_size or len(prepared)

        def answer(start: int) -> Answers:
            return self.answer(prepared[start : start + size], cells[start : start + size])

        parts = list(side_by_side(answer, range(0, len(prepared), size), workers))
        ups = [up for _, up in parts if up is not None]
        return np.concatenate([logits for logits, _ in parts]), np.concatenate(ups) if ups else None

    def classify(self, prepared: Sequence[Any], cells: Sequence[str] = ()) -> Answers:
        """Return the answers as ``logits`` does, but with (n, classes) calibrated probabilities."""
        logits, up = self.logits(prepared, cells)
        return self.calibration.probabilities(logits), up


def of_network(model: GridModel | DeployedModel, dtype: str = "fp32", full: bool = False) -> Classifier:
    """Return a network, of either form and with weights, as a classifier on the fast path.

    Args:
        model: it may be optimized already, or on another runtime; then ``dtype`` is ignored.
        dtype: "auto", "fp32" or "bf16".
        full: all classifiers combined instead of the lower branch; needs the full form.

    Raises:
        GricolZooError: an unknown dtype, or ``full`` of the deployed form.
    """
    device = device_of(model)
    used = dtype_of(model) if is_optimized(model) else choose_dtype(dtype, device)
    polarity = model.polarity and not full
    classify = make_classifying(model, dtype, full, polarity)
    cells = model.splitter.num_cells if full and isinstance(model, GridModel) else 0
    spec, info = model.spec, model.info

    def answer(prepared: Sequence[Prepared], _: Sequence[str]) -> Answers:
        out = classify([one.canvas for one in prepared])
        return out if polarity else (out, None)

    return Classifier(
        name=model.name,
        weights_sha256=info.sha256,
        hub_ref=model.hub_ref,
        dtype=used,
        labels=spec.labels,
        prepare=lambda grey, factor: prepare(grey, spec.preprocess, spec.image_size, factor),
        answer=answer,
        preprocess=spec.preprocess,
        reference=info.reference,
        info=info,
        training_pixels=model.training_pixels,
        calibration=info.calibration_full if full else info.calibration,
        inference="full" if full else "lower",
        batch_size=best_batch_size(spec, device.type, cells),
        runtime=f"{model.runtime} {model.version}" if hasattr(model, "runtime") else "torch",
    )


def to_classifier(model: GridModel | DeployedModel | Classifier, dtype: str = "fp32", full: bool = False) -> Classifier:
    """Return a classifier as it is, and a network wrapped by ``of_network``."""
    return model if isinstance(model, Classifier) else of_network(model, dtype, full)
