"""A trained classical system as ``gricol_zoo.karyotype`` takes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gricol_zoo.classical.model import ClassicalModel
from gricol_zoo.classical.profiles import Profiles, measure
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.karyotype.classifier import Classifier
from gricol_zoo.spec import CHROMOSOMES


def as_classifier(model: ClassicalModel, name: str) -> Classifier:
    """Return a system as a classifier of one cell, by whose own scale its chromosomes are measured.

    Args:
        model: trained.
        name: to load it again by.
    """

    def classify(profiles: Sequence[Profiles]) -> tuple[np.ndarray, None]:
        logits = model.logits_of(profiles, ["the cell"] * len(profiles))
        return softmax(logits, float(model.info.get("temperature", 1.0))), None

    sha256 = str(model.info.get("sha256", ""))
    return Classifier(name, sha256, "", "fp64", CHROMOSOMES, lambda grey, _: measure(grey), classify)
