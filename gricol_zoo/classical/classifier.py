"""A trained classical system as a ``Classifier``, for code that works with networks and classical systems alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gricol_zoo.classical.model import ClassicalModel
from gricol_zoo.classical.profiles import Profiles, measure
from gricol_zoo.classical.saving import load_trained
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.spec import CHROMOSOMES


def as_classifier(model: ClassicalModel, name: str) -> Classifier:
    """Return a system as a classifier, which measures the chromosomes of a cell relative to that cell.

    Args:
        model: a trained system.
        name: the name that loads it again.
    """

    def answer(profiles: Sequence[Profiles], cells: Sequence[str]) -> tuple[np.ndarray, None]:
        return model.logits_of(profiles, cells), None

    return Classifier(
        name=name,
        weights_sha256=model.info.sha256,
        hub_ref="",
        dtype="fp64",
        labels=CHROMOSOMES,
        prepare=lambda grey, _: measure(grey),
        answer=answer,
        info=model.info,
        calibration=model.info.calibration,
        inference=model.system,
    )


def load_classifier(folder: str) -> Classifier:
    """Load a trained system from its folder.

    Raises:
        GricolZooError: ``folder`` is the name of a system, which has no weights, or a folder that cannot be read.
    """
    return as_classifier(load_trained(folder), folder)
