"""Cross-validation of a classical system: every image is measured once, and each fold's system is fitted on the other folds.

The output folder has the layout of ``gricol_zoo.evaluation.out_of_fold``, so ``compare`` can pair it with a network's. An image
that cannot be measured is left out of training. In testing it has no prediction: its row only has the error, and it counts as
wrong.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.classical.config import info_of, read_config
from gricol_zoo.classical.measuring import Measured, measure_images, name_errors
from gricol_zoo.classical.model import ClassicalModel, cells_of, fit_measured, reassign
from gricol_zoo.classical.registry import get_system
from gricol_zoo.classical.saving import save
from gricol_zoo.classical.system import Settings
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.split import apply_split, check_classes, check_leaks, group_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.metrics import bootstrap_mean, perfect_groups
from gricol_zoo.evaluation.out_of_fold import LOGITS, REPORT, Plan, pool, start, write_logits, write_pooled
from gricol_zoo.evaluation.report import write_report
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.karyotype.assign import MAX_CHROMOSOMES, UNASSIGNED
from gricol_zoo.progress import Speaker
from gricol_zoo.spec import CHROMOSOMES
from gricol_zoo.weights.config import CONFIG_FILE


def run_folds(
    images: ImageSet,
    system: str,
    out: Path,
    *,
    settings: Settings | None = None,
    training_seed: int = 0,
    folds: int = 5,
    group: str = "case",
    seed: int = 0,
    resume: bool = False,
    measured: Measured | None = None,
) -> dict[str, Any]:
    """Cross-validate a classical system.

    Args:
        images: the whole labelled set.
        system: a name of ``CLASSICAL``.
        out: the output folder.
        settings: None takes the system's defaults.
        training_seed: as ``fit``'s seed.
        folds: number of folds.
        group: "case" keeps each case (or cell) in one fold; "image" splits single images, which are then measured with the
            typical scale, because their cells are not known.
        seed: of the split into folds.
        resume: continue a run that the folder holds in part.
        measured: the measured images, if they were measured before, for another system.

    Returns:
        The pooled report; ``reassigned`` in it has the scores after the classes of each cell are assigned together.

    Raises:
        GricolZooError: an unknown system or label, images of only one class, groups missing or too few, an image in two parts
            of a fold, a folder in use, or a folder with a run of other settings.
    """
    settings, say = settings or get_system(system).settings, Speaker(True)
    truth = label_indices(images.records, CHROMOSOMES, str(images.store.root))
    check_classes(images)
    asked = {"model": system, "settings": asdict(settings), "training_seed": training_seed}
    images = read_once(images)
    plan = start(images, asked, out, say, folds=folds, group=group, seed=seed, resume=resume)
    todo = [fold for fold in range(folds) if not (plan.folder(fold) / LOGITS).exists()]
    if todo and measured is None:
        say(f"measuring {len(images)} images")
    measured = measured or measure_images(images if todo else images.subset([]))
    if measured.errors:
        say(f"warning: {name_errors(images, measured)}. They are excluded from training and count as errors.")
    for fold in todo:
        say(f"fold {fold + 1} of {folds}")
        _fit_fold(plan, fold, measured, system, settings, training_seed)
    infos = [info_of(read_config(plan.folder(fold) / CONFIG_FILE)) for fold in range(folds)]
    logits = pool(plan, CHROMOSOMES)
    unanswered = np.nonzero(np.isnan(logits).any(1))[0].tolist()
    why = measure_images(images.subset(unanswered)).errors
    report = write_pooled(plan, CHROMOSOMES, infos, system, {unanswered[place]: error for place, error in why.items()})
    report["reassigned"] = reassigned_scores(logits, truth, images)
    if report["reassigned"] is None:
        say(f"no joint assignment: the images name no cells, or a cell has more than {MAX_CHROMOSOMES} images")
    write_report(report, out / REPORT)
    return report


def _fit_fold(plan: Plan, fold: int, measured: Measured, system: str, settings: Settings, seed: int) -> None:
    """Fit a system on a fold's train part, calibrate it on its val part, and write the system and its out-of-fold logits."""
    split, records = plan.split(fold), plan.images.records
    check_leaks(apply_split(plan.images, split))
    part_of = [split[record.case, record.cell] for record in records]
    train, val, test = (
        measured.among(index for index, own in enumerate(part_of) if own == part) for part in ("train", "val", "test")
    )
    train_records, val_records = ([records[index] for index in part[0]] for part in (train, val))
    model = fit_measured(system, train_records, train[1], val_records, val[1], settings, seed)
    save(model, plan.folder(fold))
    tested = plan.tested(fold)
    logits = np.full((len(tested), len(CHROMOSOMES)), np.nan)
    places = {index: row for row, index in enumerate(tested)}
    logits[[places[index] for index in test[0]]] = _calibrated(model, test[1], cells_of([records[i] for i in test[0]]))
    write_logits(logits, plan.folder(fold))


def _calibrated(model: ClassicalModel, profiles: list[Any], cells: list[str]) -> np.ndarray:
    return model.logits_of(profiles, cells) / model.info.calibration.temperature


def reassigned_scores(logits: np.ndarray, truth: np.ndarray, images: ImageSet) -> dict[str, Any] | None:
    """Return the scores after the classes of each cell are assigned together (``reassign``), as JSON-able data.

    Returns None if no image names a cell, or if a cell has more images than a cell can have.

    Args:
        logits: (n, 24) calibrated, out of fold; an image whose row is NaN is left out of the assignment and counts as wrong.
        truth: (n,) class indices.
        images: n images, which name their cells.
    """
    names = cells_of(images.records)
    sizes = Counter(names)
    if set(sizes) == {""} or any(size > MAX_CHROMOSOMES for name, size in sizes.items() if name):
        return None
    answered = np.nonzero(~np.isnan(logits).any(1))[0]
    classes = np.full(len(logits), UNASSIGNED)
    classes[answered] = reassign(softmax(logits[answered]), [images.records[index] for index in answered])
    correct = classes == truth
    perfect, cells = perfect_groups(correct, names)
    interval = bootstrap_mean(correct, [group_of(record) for record in images.records])
    return {
        "accuracy": float(correct.mean()),
        "accuracy_ci95": None if interval is None else list(interval),
        "perfect_cells": perfect,
        "perfect_cells_fraction": perfect / cells,
        "unassigned": int((classes[answered] == UNASSIGNED).sum()),
    }
