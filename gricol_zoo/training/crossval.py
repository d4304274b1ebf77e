"""Cross-validation of networks: train on each fold's complement, keep each image's out-of-fold prediction, score all together.

``run_folds`` writes the files that ``gricol_zoo.evaluation.out_of_fold`` describes. A fold's folder is that of a training
(``gricol_zoo.training.train``), without the checkpoint once it is done.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gricol_zoo.data.arrays import load_canvases
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.out_of_fold import LOGITS, Plan, start, write_logits, write_pooled
from gricol_zoo.evaluation.seen import seen_in_training
from gricol_zoo.factory import create_model
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.progress import Speaker
from gricol_zoo.training.checks import changed_spec
from gricol_zoo.training.config import TrainConfig
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.state import CHECKPOINT_FILE
from gricol_zoo.training.train import run_training
from gricol_zoo.weights.config import CONFIG_FILE, read_config
from gricol_zoo.weights.resolve import find_weights


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
    """Cross-validate a model; it can be stopped and resumed.

    Args:
        images: the whole labelled set.
        model_name: as for ``train``, like recipe, init, changes and device.
        recipe: how to train each fold.
        out: the output folder.
        folds: number of folds.
        group: "case" keeps each case (or cell, if cases are not known) on one side; "image" splits single images, the
            paper's protocol, in which images of one person are on both sides.
        seed: seed of the folds; the training's own seed is the recipe's.
        init: the weights that each fold starts from.
        changes: to the model's spec.
        resume: continue the run in the folder.
        time_limit: seconds after which to stop cleanly.
        device: to train on.

    Returns:
        The pooled report, or None if it was stopped.

    Raises:
        GricolZooError: groups missing or too few, initial weights that were trained on some of these images, a folder in use,
            or a folder of another run.
    """
    say = Speaker(True)
    config = TrainConfig(model_name, recipe, out, init=init, changes=changes, resume=True, time_limit=time_limit, device=device)
    deadline = time.monotonic() + time_limit
    spec = changed_spec(model_name, images, changes)
    images = read_once(images, spec.preprocess.ground)
    asked = {
        "model": model_name,
        "changes": dict(changes or {}),
        "recipe": recipe.to_dict(),
        "init_sha256": unseeing_start(init, images, say),
    }
    plan = start(images, asked, out, say, folds=folds, group=group, seed=seed, resume=resume)
    for fold in range(folds):
        if (plan.folder(fold) / LOGITS).exists():
            continue
        say(f"fold {fold + 1} of {folds}")
        if not train_fold(plan, fold, dataclasses.replace(config, time_limit=deadline - time.monotonic())):
            return None
        predict_fold(plan.images.subset(plan.tested(fold)), plan.folder(fold))
    infos = [read_config(plan.folder(fold) / CONFIG_FILE).info for fold in range(folds)]
    return write_pooled(plan, spec.labels, infos)


def train_fold(plan: Plan, fold: int, config: TrainConfig) -> bool:
    """Train on a fold's complement in its folder; False if it was stopped."""
    name = f"fold {fold + 1} of {plan.folds}, {plan.question['protocol']}, seed {plan.seed}"
    own = dataclasses.replace(config, out=plan.folder(fold), split_name=name)
    return run_training(plan.images, plan.split(fold), own)


def unseeing_start(init: str, images: ImageSet, say: Speaker) -> str:
    """Return the sha256 of the weights to start from ("" for none), which must not have been trained on any of the images.

    They must not have been trained on images with these pixels, under any file name, nor on others of their cells or cases.

    Raises:
        GricolZooError: they were, or there are no weights of that name.
    """
    if not init:
        return ""
    start = find_weights(init)
    seen = seen_in_training(images, start.info, start.pixels())
    if (either := seen.any()).any():
        first = images.records[int(either.argmax())].path
        raise GricolZooError(
            f"Expected images that {init} was not trained on, but it was trained on {either.sum()} of these {len(images)}, "
            f"or on others of their cells, such as {first}. Start from other weights, or from none."
        )
    if seen.pixels is None:
        known = "" if seen.cells is None else " by their pixels, and files may have been renamed"
        say(f"warning: {init} does not record its training images{known}; make sure that it was not trained on these")
    return start.info.sha256


def predict_fold(images: ImageSet, folder: Path) -> None:
    """Write a fold's out-of-fold logits, divided by the temperature from its val part, and delete its checkpoint."""
    model = create_model(f"local-dir:{folder}", pretrained=True, deployed=True, allow_large=True)
    logits = predict_logits(model, load_canvases(images, model.spec)) / model.info.calibration.temperature
    write_logits(logits, folder)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
