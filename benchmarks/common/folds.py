"""The folds of a cross-validation, whose weights are not part of this repository: each network with the images it never saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gricol_zoo.data.folds import assign_folds
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.out_of_fold import LOGITS, QUESTION


def finished_folds(crossval: Path, images: ImageSet) -> Iterator[tuple[Path, ImageSet]]:
    """Give the folder and the tested images of each finished fold of a run of `gricol-zoo crossval` on these images."""
    asked = json.loads((crossval / QUESTION).read_text(encoding="utf-8"))
    fold_of = assign_folds(images, asked["folds"], asked["fold_seed"])
    for fold in range(asked["folds"]):
        folder = crossval / f"fold{fold + 1}"
        if (folder / LOGITS).exists():
            yield folder, images.subset(np.nonzero(fold_of == fold)[0].tolist())


def title_of_folds(crossval: Path, done: int) -> str:
    """Return what stands for a cross-validation in a table: how many folds of which model, and their epochs."""
    asked = json.loads((crossval / QUESTION).read_text(encoding="utf-8"))
    return f"{done} of {asked['folds']} folds of {asked['model']}, {asked['recipe']['epochs']} epochs"
