"""Cross-validation of networks: train on each fold's complement, keep each image's out-of-fold prediction, score all together.

``run_folds`` leaves what ``gricol_zoo.evaluation.out_of_fold`` describes; a fold's folder is a training's (``gricol_zoo.training.train``), without
its checkpoint once it is done. ``compare_runs`` compares two such folders, whatever was trained in them.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.data.arrays import load_canvases
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.evaluation.out_of_fold import FOLDS, LOGITS, PREDICTIONS, QUESTION, start, write_logits, write_pooled
from gricol_zoo.evaluation.report import predict_logits, seen_in_training
from gricol_zoo.evaluation.significance import corrected_t_test, mcnemar_exact
from gricol_zoo.factory import create_model, find_weights
from gricol_zoo.progress import Speaker
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.train import CHECKPOINT_FILE, changed_spec, train


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
    asked = {
        "model": model_name,
        "changes": dict(changes or {}),
        "recipe": recipe.to_dict(),
        "init_sha256": unseeing_start(init, images.records, say),
    }
    plan = start(images, asked, out, say, folds=folds, group=group, seed=seed, resume=resume)
    for fold in range(folds):
        if (plan.folder(fold) / LOGITS).exists():
            continue
        say(f"fold {fold + 1} of {folds}")
        finished = train(
            plan.images,
            plan.split(fold),
            model_name,
            recipe,
            plan.folder(fold),
            init=init,
            changes=changes,
            resume=True,
            time_limit=deadline - time.monotonic(),
            device=device,
            split_name=f"fold {fold + 1} of {folds}, {plan.question['protocol']}, seed {seed}",
        )
        if not finished:
            return None
        predict_fold(plan.images.subset(plan.tested(fold)), plan.folder(fold))
    infos = [_info(plan.folder(fold)) for fold in range(folds)]
    return write_pooled(plan, changed_spec(model_name, images, changes).labels, infos)


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


def predict_fold(images: ImageSet, folder: Path) -> None:
    """Write a fold's out-of-fold logits, divided by the temperature that its val part gave, and drop its checkpoint."""
    model = create_model(f"local-dir:{folder}", pretrained=True, deployed=True)
    logits = predict_logits(model, load_canvases(images, model.spec)) / float(model.info["temperature"])
    write_logits(logits, folder)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)


def _info(folder: Path) -> dict[str, Any]:
    """Return what a training kept of itself."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    info: dict[str, Any] = config["gricol_zoo"]
    return info


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
