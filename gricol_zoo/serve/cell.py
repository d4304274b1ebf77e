"""A classified cell on the page, and a summary of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gricol_zoo.factory import GridModel
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.review import Review
from gricol_zoo.models.deployed import DeployedModel

ZOOM = 2  # pixels per unit of the layout


@dataclass
class Cell:
    """A classified cell.

    Attributes:
        review: the cell under review, with the steps that can be undone.
        pictures: (h, w) uint8 by id, turned as they are drawn.
        model: the name of the page's model that classified it, "" if the page does not have it.
        saved: number of entries of the log that have been saved.
        signature: signature of the record, if checking it was the last action and there is a key.
    """

    review: Review
    pictures: dict[int, np.ndarray]
    model: str
    saved: int = 0
    signature: Mapping[str, str] | None = None

    @property
    def karyotype(self) -> Karyotype:
        """The cell in its current state."""
        return self.review.karyotype

    @property
    def unsaved(self) -> bool:
        """Whether there are edits that have not been saved."""
        return len(self.karyotype.edits) > self.saved


def classified_by(karyotype: Karyotype, model: GridModel | DeployedModel) -> bool:
    """Return whether a karyotype was made with these weights, their classes and the model's preparation of images."""
    how = model.spec.preprocess
    if tuple(karyotype.labels) != model.spec.labels:
        return False  # otherwise a class of the record would be taken for another one of the model
    prepared = (karyotype.options.get("preparation"), karyotype.options.get("ground")) == (how.version, how.ground)
    return prepared and bool(model.info.sha256) and karyotype.model.get("weights_sha256") == model.info.sha256


def summary(karyotype: Karyotype) -> str:
    """Return one line about the result of the run."""
    unread = sum(bool(item.error) for item in karyotype.chromosomes)
    read = len(karyotype.chromosomes) - unread
    if not read:
        none = "The image could not be read" if unread == 1 else f"None of the {unread} images could be read"
        return f"{none}: {karyotype.chromosomes[0].error}."
    line = f"{read} image{'' if read == 1 else 's'} classified."
    return f"{line} {unread} could not be read." if unread else line
