"""A classified cell as the page works on it, and what is said of one."""

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
        review: it, and what can be undone.
        pictures: (h, w) uint8 by id, turned as they are drawn.
        model: the name of the page's model that classified it, "" where the page does not have it.
        saved: how many entries of the log have been saved.
        signature: of the record, where the last thing done was to check it and there is a key.
    """

    review: Review
    pictures: dict[int, np.ndarray]
    model: str
    saved: int = 0
    signature: Mapping[str, str] | None = None

    @property
    def karyotype(self) -> Karyotype:
        """The cell as it is now."""
        return self.review.karyotype

    @property
    def unsaved(self) -> bool:
        """Whether something was done that is in no file yet."""
        return len(self.karyotype.edits) > self.saved


def classified_by(karyotype: Karyotype, model: GridModel | DeployedModel) -> bool:
    """Say whether a karyotype is by these weights and of their classes, its images prepared as the model prepares them."""
    how = model.spec.preprocess
    if tuple(karyotype.labels) != model.spec.labels:
        return False  # or a class of the record's would be taken for another one of the model's
    prepared = (karyotype.options.get("preparation"), karyotype.options.get("ground")) == (how.version, how.ground)
    return prepared and bool(model.info.sha256) and karyotype.model.get("weights_sha256") == model.info.sha256


def summary(karyotype: Karyotype) -> str:
    """Return one line on how the run went."""
    unread = sum(bool(item.error) for item in karyotype.chromosomes)
    read = len(karyotype.chromosomes) - unread
    if not read:
        none = "The image could not be read" if unread == 1 else f"None of the {unread} images could be read"
        return f"{none}: {karyotype.chromosomes[0].error}."
    line = f"{read} image{'' if read == 1 else 's'} classified."
    return f"{line} {unread} could not be read." if unread else line
