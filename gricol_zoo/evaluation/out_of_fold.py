"""The common part of all cross-validations: the settings in the folder, the folds, and the pooled scores.

``gricol_zoo.training.crossval`` trains networks on the folds, ``gricol_zoo.classical.crossval`` classical systems. Both write
to one folder:

    crossval.json    the settings; the folder does not accept a run with other settings
    fold1/, ...      one training each, and its out-of-fold logits
    predictions.csv  one row per image, out of fold: the columns of ``predict``, and ``fold``
    folds.csv        one row per fold
    report.json      the pooled scores, and the protocol that they follow
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.folds import PROTOCOLS, assign_folds, fold_split, warn_of_folds
from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.split import own_groups
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.report import score, write_report
from gricol_zoo.files import read_json, what_differs, write_atomically, write_json
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.predict import COLUMNS as PREDICTION_COLUMNS
from gricol_zoo.inference.predict import answer_columns
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.progress import Speaker

QUESTION, LOGITS, PREDICTIONS, FOLDS, REPORT = "crossval.json", "logits.npy", "predictions.csv", "folds.csv", "report.json"
COLUMNS = [*PREDICTION_COLUMNS, "fold"]


class Plan(NamedTuple):
    """The folds of one cross-validation.

    Attributes:
        images: the set with the cases and cells that the folds keep together; at image level, each image is its own cell.
        records: the same images with their true cases and cells, which the scores use.
        fold_of: (n,) int64, the fold in which each image is tested, from 0.
        seed: of the folds.
        question: the contents of crossval.json.
        out: the folder.
    """

    images: ImageSet
    records: list[Record]
    fold_of: np.ndarray
    seed: int
    question: dict[str, Any]
    out: Path

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.question["folds"])

    def folder(self, fold: int) -> Path:
        """Return the folder of a fold's training."""
        return self.out / f"fold{fold + 1}"

    def split(self, fold: int) -> dict[tuple[str, str], str]:
        """Return a fold as a split, (case, cell) -> part."""
        return fold_split(self.images, self.fold_of, fold, self.seed)

    def tested(self, fold: int) -> list[int]:
        """Return the indices of the images on which a fold is tested."""
        return np.nonzero(self.fold_of == fold)[0].tolist()


def start(
    images: ImageSet, asked: Mapping[str, Any], out: Path, say: Speaker, *, folds: int, group: str, seed: int, resume: bool
) -> Plan:
    """Assign the folds, and write the settings of the cross-validation to its folder.

    Args:
        images: the whole labelled set.
        asked: the model and its training settings, the first part of crossval.json.
        out: the folder.
        say: prints messages about the folds.
        folds: number of folds.
        group: "case" or "image", see ``PROTOCOLS``.
        seed: of the folds.
        resume: whether the folder may already hold a part of this cross-validation.

    Raises:
        GricolZooError: groups are missing or too few, the folder is in use, or it belongs to a run with other settings.
    """
    if group not in PROTOCOLS:
        raise GricolZooError(f"Expected `group` to be one of {', '.join(PROTOCOLS)}, but got {group!r}.")
    grouped = own_groups(images) if group == "image" else images
    fold_of = assign_folds(grouped, folds, seed)
    question = {
        **asked,
        "protocol": PROTOCOLS[group],
        "folds": folds,
        "fold_seed": seed,
        "data": images.name,
        "data_sha256": images.sha256(),
        "folds_sha256": hash_folds(images.records, fold_of),
    }
    note_question(out, question, resume)
    say(f"{folds}-fold cross-validation, {PROTOCOLS[group]}, images: {len(images)}")
    for note in warn_of_folds(grouped, fold_of):
        say(f"warning: {note}")
    return Plan(grouped, images.records, fold_of, seed, question, out)


def hash_folds(records: Sequence[Record], fold_of: np.ndarray) -> str:
    """Return a hash of each image's case, cell and fold; data_sha256 only covers paths, labels and file bytes."""
    lines = (f"{record.case}\0{record.cell}\0{fold}" for record, fold in zip(records, fold_of, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def note_question(out: Path, question: Mapping[str, Any], resume: bool) -> None:
    """Write the settings to a new folder, or check that a folder has the same settings.

    Raises:
        GricolZooError: the folder is in use, or belongs to a cross-validation with other settings.
    """
    file = out / QUESTION
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_json(file, question)
        return
    if not resume:
        raise GricolZooError(f"{out} already has a cross-validation. Give --resume to continue it, or another --out.")
    if differs := what_differs(read_json(file, "a cross-validation's question"), question):
        raise GricolZooError(f"{out} belongs to another cross-validation: {differs}. Use the same command, or another --out.")


def write_logits(logits: np.ndarray, folder: Path) -> None:
    """Write a fold's calibrated out-of-fold logits, (n, classes), as float32."""
    buffer = io.BytesIO()
    np.save(buffer, logits.astype(np.float32))
    write_atomically(folder / LOGITS, buffer.getvalue())


def fold_row(fold: int, logits: np.ndarray, records: list[Record], names: Sequence[str], info: WeightsInfo) -> dict[str, Any]:
    """Return a fold's row of folds.csv.

    Args:
        fold: its number, from 0.
        logits: (n, classes) out-of-fold logits of the images on which it was tested.
        records: (n,) these images, with their true cases and cells.
        names: of the classes.
        info: the record of the training: training, and, if it had images for calibration, val and review_threshold.
    """
    report = score(logits, label_indices(records, names, "the fold"), records, names)
    return {
        "fold": fold + 1,
        "train_images": info.training["images"],
        **{key: report[key] for key in ("images", "cells", "cases")},
        **{key: round(report[key], 6) for key in ("accuracy", "macro_f1", "ece")},
        "val_accuracy": round(info.val["accuracy"], 6) if info.val else "",
        "review_threshold": info.calibration.threshold,  # None (a blank cell) if not calibrated
    }


def pool(plan: Plan, names: Sequence[str]) -> np.ndarray:
    """Return the out-of-fold logits of all images, (n, classes) float32, from the files of the folds."""
    pooled = np.zeros((len(plan.records), len(names)), np.float32)
    for fold in range(plan.folds):
        pooled[plan.tested(fold)] = np.load(plan.folder(fold) / LOGITS)
    return pooled


def write_pooled(
    plan: Plan,
    names: Sequence[str],
    infos: Sequence[WeightsInfo],
    inference: str = "lower",
    errors: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Write folds.csv, predictions.csv and report.json; return the report.

    Args:
        plan: a cross-validation whose folds are all done.
        names: of the classes.
        infos: one per fold, as for ``fold_row``.
        inference: the form of inference, written into the report.
        errors: image index -> why it has no prediction (its logits are NaN); its row only has the error, and counts as wrong.
    """
    logits, errors = pool(plan, names), errors or {}
    tested = [plan.tested(fold) for fold in range(plan.folds)]
    rows = [
        fold_row(fold, logits[own], [plan.records[index] for index in own], names, infos[fold])
        for fold, own in enumerate(tested)
    ]
    write_atomically(plan.out / FOLDS, to_csv(rows).encode())
    lines = []
    for index, (record, fold, values) in enumerate(zip(plan.records, plan.fold_of, logits, strict=True)):
        known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label, "fold": fold + 1}
        told = answer_columns(softmax(values[None])[0], names, rows[fold]["review_threshold"]) if index not in errors else {}
        lines.append({**known, **told, "error": errors.get(index, "")})
    write_atomically(plan.out / PREDICTIONS, to_csv(lines, COLUMNS).encode())
    scores = score(logits, label_indices(plan.records, names, str(plan.out)), plan.records, names)
    del scores["temperature"]  # the logits of each fold were divided by its own temperature
    report = {
        **plan.question,
        "part": "out of fold",
        "inference": inference,
        **scores,
        "fold_accuracies": [row["accuracy"] for row in rows],
    }
    write_report(report, plan.out / REPORT)
    return report
