"""Cross-validation: train on each fold's complement, keep every image's out-of-fold prediction, score them together.

``run_folds`` writes into one folder:

    crossval.json    what was asked for; another question is refused there
    fold1/, ...      one training each (see ``gricol_zoo.train``), its out-of-fold logits, no checkpoint once it is done
    predictions.csv  one row an image, out of fold: the columns of ``predict``, and ``fold``
    folds.csv        one row a fold
    report.json      the pooled scores, and which protocol they follow
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.calibration import softmax
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.folds import PROTOCOLS, assign_folds, fold_split, warn_of_folds
from gricol_zoo.data.split import group_of, own_groups
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluate import predict_logits, score, seen_in_training, write_report
from gricol_zoo.factory import create_model, find_weights
from gricol_zoo.files import write_atomically
from gricol_zoo.metrics import bootstrap_mean
from gricol_zoo.predict import COLUMNS as PREDICTION_COLUMNS
from gricol_zoo.predict import describe
from gricol_zoo.progress import Speaker
from gricol_zoo.recipes import Recipe
from gricol_zoo.rows import read_csv, to_csv
from gricol_zoo.significance import corrected_t_test, mcnemar_exact
from gricol_zoo.train import CHECKPOINT_FILE, changed_spec, train

QUESTION, LOGITS, PREDICTIONS, FOLDS, REPORT = "crossval.json", "logits.npy", "predictions.csv", "folds.csv", "report.json"
COLUMNS = [*PREDICTION_COLUMNS, "fold"]


def run_folds(
    images: ImageSet,
    model_name: str,
    recipe: Recipe,
    out: Path,
    *,
    folds: int = 5,
    group: str = "case",
    seed: int = 0,
    init: str = "",
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    time_limit: float = math.inf,
    device: str = "",
) -> dict[str, Any] | None:
    """Cross-validate a model; fold by fold it can be stopped and gone on with.

    Args:
        images: the whole labelled set.
        model_name: as for ``train``, like recipe, init, changes and device.
        recipe: how to train each fold.
        out: the folder.
        folds: how many.
        group: "case" keeps each case (or cell, where cases are not known) on one side; "image" splits single images, the
            paper's protocol, where images of one person stand on both sides.
        seed: of the folds; the training's own seed is the recipe's.
        init: the weights that each fold starts from.
        changes: to the model's spec.
        resume: go on with what is in the folder.
        time_limit: seconds after which to stop cleanly.
        device: to train on.

    Returns:
        The pooled report, or None if it was stopped.

    Raises:
        GricolZooError: groups missing or too few, a start that was trained on some of these images, a folder in use, or one
            that answers another question.
    """
    deadline, say = time.monotonic() + time_limit, Speaker(True)
    if group not in PROTOCOLS:
        raise GricolZooError(f"Expected `group` to be one of {', '.join(PROTOCOLS)}, but got {group!r}.")
    whole = images  # whose cells the bootstrap and the perfect cells go by, whatever the folds go by
    images = own_groups(images) if group == "image" else images
    fold_of = assign_folds(images, folds, seed)
    question = {
        "model": model_name,
        "changes": dict(changes or {}),
        "recipe": recipe.to_dict(),
        "init_sha256": unseeing_start(init, whole.records, say),
        "protocol": PROTOCOLS[group],
        "folds": folds,
        "fold_seed": seed,
        "data": images.name,
        "data_sha256": whole.sha256(),
        "folds_sha256": hash_folds(whole.records, fold_of),
    }
    ask(out, question, resume)
    say(f"{folds}-fold cross-validation, {PROTOCOLS[group]}: {len(images)} images")
    for note in warn_of_folds(images, fold_of):
        say(f"warning: {note}")
    rows, pooled = [], np.zeros((len(images), 0), np.float32)
    for fold in range(folds):
        folder, tested = out / f"fold{fold + 1}", np.nonzero(fold_of == fold)[0]
        if not (folder / LOGITS).exists():
            say(f"fold {fold + 1} of {folds}")
            split = fold_split(images, fold_of, fold, seed)
            finished = train(
                images,
                split,
                model_name,
                recipe,
                folder,
                init=init,
                changes=changes,
                resume=True,
                time_limit=deadline - time.monotonic(),
                device=device,
                split_name=f"fold {fold + 1} of {folds}, {PROTOCOLS[group]}, seed {seed}",
            )
            if not finished:
                return None
            predict_fold(images.subset(tested), folder)
        logits = np.load(folder / LOGITS)
        pooled = pooled if pooled.shape[1] else np.zeros((len(images), logits.shape[1]), np.float32)
        pooled[tested] = logits
        rows.append(fold_row(fold, logits, [whole.records[index] for index in tested], folder))
    spec = changed_spec(model_name, whole, changes)
    return write_pooled(out, question, whole.records, spec.labels, fold_of, pooled, rows)


def unseeing_start(init: str, records: Sequence[Record], say: Speaker) -> str:
    """Return the sha256 of the weights to start from ("" for none), which must not have been trained on any of the images.

    Raises:
        GricolZooError: they were, or there are none of that name.
    """
    if not init:
        return ""
    start = find_weights(init)
    seen = seen_in_training(records, dict(start.info))
    if seen:
        raise GricolZooError(
            f"{init} was trained on {seen} of these {len(records)} images, so no fold would be unseen. "
            "Start from weights of other images, or from none."
        )
    if seen is None:
        say(f"warning: {init} does not say what it was trained on; make sure that it was none of these images")
    return start.sha256


def hash_folds(records: Sequence[Record], fold_of: np.ndarray) -> str:
    """Return a hash of each image's case, cell and fold: data_sha256 has paths, labels and pixels alone."""
    lines = (f"{record.case}\0{record.cell}\0{fold}" for record, fold in zip(records, fold_of, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def ask(out: Path, question: Mapping[str, Any], resume: bool) -> None:
    """Write down what a folder is to answer, or check that it answers just that.

    Raises:
        GricolZooError: it is in use, or answers another question.
    """
    question = json.loads(json.dumps(question))
    file = out / QUESTION
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (json.dumps(question, indent=2) + "\n").encode())
        return
    if not resume:
        raise GricolZooError(f"{out} holds a cross-validation already. Give --resume to go on with it, or another --out.")
    found = json.loads(file.read_text(encoding="utf-8"))
    for key, value in question.items():
        if found.get(key) != value:
            raise GricolZooError(
                f"{out} is of another cross-validation: its {key} differs. Use the same command, or another --out."
            )


def predict_fold(images: ImageSet, folder: Path) -> None:
    """Write a fold's out-of-fold logits, divided by the temperature that its val part gave, and drop its checkpoint."""
    model = create_model(f"local-dir:{folder}", pretrained=True, deployed=True)
    logits = predict_logits(model, load_canvases(images, model.spec)) / float(model.info["temperature"])
    buffer = io.BytesIO()
    np.save(buffer, logits.astype(np.float32))
    write_atomically(folder / LOGITS, buffer.getvalue())
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def fold_row(fold: int, logits: np.ndarray, records: list[Record], folder: Path) -> dict[str, Any]:
    """Return a fold's line of folds.csv."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names, training = config["label_names"], config["gricol_zoo"]["training"]
    report = score(logits, label_indices(records, names, "the fold"), records, names)
    return {
        "fold": fold + 1,
        "train_images": training["images"],
        **{key: report[key] for key in ("images", "cells", "cases")},
        **{key: round(report[key], 6) for key in ("accuracy", "macro_f1", "ece")},
        "val_accuracy": round(config["gricol_zoo"]["val"]["accuracy"], 6),
        "review_threshold": config["gricol_zoo"]["review_threshold"],
    }


def write_pooled(
    out: Path,
    question: Mapping[str, Any],
    records: list[Record],
    names: tuple[str, ...],
    fold_of: np.ndarray,
    logits: np.ndarray,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write folds.csv, predictions.csv and report.json; return the report."""
    write_atomically(out / FOLDS, to_csv(rows).encode())
    lines = []
    for record, fold, values in zip(records, fold_of, logits, strict=True):
        known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label, "fold": fold + 1}
        lines.append({**known, **describe(softmax(values[None])[0], names, rows[fold]["review_threshold"])})
    write_atomically(out / PREDICTIONS, to_csv(lines, COLUMNS).encode())
    scores = score(logits, label_indices(records, names, str(out)), records, names)
    del scores["temperature"]  # each fold's logits were divided by its own
    report = {
        **question,
        "part": "out of fold",
        "inference": "lower",
        **scores,
        "fold_accuracies": [row["accuracy"] for row in rows],
    }
    write_report(report, out / REPORT)
    return report


def compare_runs(first: Path, second: Path) -> dict[str, Any]:
    """Compare two cross-validations on the same images.

    Returns:
        Both accuracies and their difference (first - second) with its 95 % interval by case or cell; McNemar's exact test;
        and, where both used the same folds, the corrected t-test.

    Raises:
        GricolZooError: a folder without a finished cross-validation, or two over different images.
    """
    one, two = read_predictions(first), read_predictions(second)
    asked = [json.loads((folder / QUESTION).read_text(encoding="utf-8")) for folder in (first, second)]
    if one.keys() != two.keys() or asked[0]["data_sha256"] != asked[1]["data_sha256"]:
        raise GricolZooError(f"{first} and {second} are over different images, so they cannot be paired.")
    paths = sorted(one)
    right = [np.array([run[path]["prediction"] == run[path]["label"] for path in paths]) for run in (one, two)]
    groups = [group_of(Record(path, case=one[path]["case"], cell=one[path]["cell"])) for path in paths]
    fold_of = np.array([int(one[path]["fold"]) for path in paths])
    same = asked[0]["folds_sha256"] == asked[1]["folds_sha256"]
    test = None
    if same:
        folds = read_csv(first / FOLDS)
        by_fold = [np.array([hits[fold_of == int(row["fold"])].mean() for row in folds]) for hits in right]
        share = float(np.mean([int(row["images"]) / int(row["train_images"]) for row in folds]))
        test = corrected_t_test(by_fold[0], by_fold[1], share)
    return {
        "first": str(first),
        "second": str(second),
        "images": len(paths),
        "accuracy_first": float(right[0].mean()),
        "accuracy_second": float(right[1].mean()),
        "difference": float(right[0].mean() - right[1].mean()),
        "difference_ci95": bootstrap_mean(right[0].astype(int) - right[1], groups),
        "mcnemar": mcnemar_exact(*right)._asdict(),
        "same_folds": same,
        "corrected_t_test": test._asdict() if test else None,
    }


def read_predictions(folder: Path) -> dict[str, dict[str, str]]:
    """Read a cross-validation's predictions.csv: path -> row.

    Raises:
        GricolZooError: there is none.
    """
    for name in (QUESTION, PREDICTIONS, FOLDS):
        if not (folder / name).is_file():
            raise GricolZooError(f"{folder} holds no finished cross-validation: {name} is missing.")
    return {row["path"]: row for row in read_csv(folder / PREDICTIONS)}
