"""What the commands do for a classical system: the one place that knows of both kinds of model."""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.karyotype.classifier import Classifier

# Options that say nothing of a classical system, with their defaults: given otherwise, they are refused.
OF_TRAINING: dict[str, Any] = {
    "epochs": None,
    "init": "",
    "change": [],
    "device": "",
    "recipe": "light",
    "time_limit": math.inf,
}
OF_TRAIN = {
    **OF_TRAINING,
    "resume": False,
    "scale": "none",
    "grad_checkpointing": False,
    "compile": False,
    "checkpoint_every": 120,
}
PREPARATION: dict[str, Any] = {"preparation": 0, "ground": ""}
OF_VALIDATE: dict[str, Any] = {"device": "cpu", "full": False, "scale": "none", **PREPARATION}
OF_PREDICT: dict[str, Any] = {"device": "cpu", "batch_size": 0, "workers": 0, "scale": "none", **PREPARATION}
OF_KARYOTYPE: dict[str, Any] = {"device": "cpu", "scale": "auto", **PREPARATION}


def is_classical(name: str) -> bool:
    """Say whether a name is a classical system's, or a folder holds one."""
    from gricol_zoo.classical.saving import is_saved
    from gricol_zoo.classical.table import CLASSICAL

    return name in CLASSICAL or (name != "" and is_saved(name))  # "" is the packaged model, not this folder


def refuse(options: argparse.Namespace, defaults: Mapping[str, Any]) -> None:
    """Refuse options that are of networks alone; ``--dtype`` may ask for less than the float64 it always is, but not bf16.

    Raises:
        GricolZooError: names the option.
    """
    for name, default in defaults.items():
        if getattr(options, name) != default:
            raise GricolZooError(
                f"--{name.replace('_', '-')} is of networks alone; {options.model!r} is a classical system. Leave it out."
            )
    if getattr(options, "dtype", "") == "bf16":
        raise GricolZooError(f"--dtype bf16 is of networks alone; {options.model!r} computes in float64. Leave it out.")


def refuse_classical(name: str) -> None:
    """Refuse a classical system where a network is needed.

    Raises:
        GricolZooError: it is one.
    """
    if is_classical(name):
        raise GricolZooError(
            f"{name!r} is a classical system, and this command takes networks alone. Classical systems are for train, "
            "validate, predict, crossval, karyotype, verify and info."
        )


def train_classical(options: argparse.Namespace) -> int:
    """Train a system as `train`'s options say; return the exit status.

    Raises:
        GricolZooError: an option that only networks have, or anything wrong with the images or the split.
    """
    from gricol_zoo.classical.model import fit
    from gricol_zoo.classical.saving import save
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.split import apply_split, check_leaks, read_split, split_for

    refuse(options, OF_TRAIN)
    _check_untrained(options.model)
    images, seed = open_images(options.data, options.layout), options.seed or 0
    if options.split:
        split = read_split(options.split)
    else:
        images, split, name = split_for(images, seed)
        print(f"no --split given: {name}", file=sys.stderr)
    parts = apply_split(images, split)
    check_leaks(parts)
    print(f"{options.model}: measuring {len(parts['train'])} and {len(parts['val'])} images", file=sys.stderr)
    model = fit(
        options.model, parts["train"], parts["val"], seed=seed, say=lambda note: print(f"warning: {note}", file=sys.stderr)
    )
    save(model, options.out)
    print(f"saved in {options.out}", file=sys.stderr)
    return 0


def _check_untrained(name: str) -> None:
    from gricol_zoo.classical.table import CLASSICAL

    if name not in CLASSICAL:
        raise GricolZooError(f"{name!r} is trained already. Expected one of the names {', '.join(CLASSICAL)}.")


def crossval_classical(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Cross-validate a system as `crossval`'s options say; return the set's name and the report.

    Raises:
        GricolZooError: an option that only networks have, or anything wrong with the images or the folder.
    """
    from gricol_zoo.classical.crossval import run_folds
    from gricol_zoo.data.readers import open_images

    refuse(options, OF_TRAINING)
    _check_untrained(options.model)
    images = open_images(options.data, options.layout)
    for note in images.notes:
        print(note, file=sys.stderr)
    report = run_folds(
        images,
        options.model,
        options.out,
        training_seed=options.seed or 0,
        folds=options.folds,
        group=options.group,
        seed=options.fold_seed,
        resume=options.resume,
    )
    return images.name, report


def list_classical(pattern: str) -> list[str]:
    """Return the names of the classical systems that match a pattern such as ``*2012``."""
    from fnmatch import fnmatchcase

    from gricol_zoo.classical.table import CLASSICAL

    return [name for name in CLASSICAL if fnmatchcase(name, pattern)]


def describe_classical(name: str) -> dict[str, Any]:
    """Return what `info` says of a classical system: its name's defaults, or what a folder holds.

    Raises:
        GricolZooError: a folder that cannot be read.
    """
    from gricol_zoo.classical.info import describe, describe_trained
    from gricol_zoo.classical.table import CLASSICAL

    return describe(name) if name in CLASSICAL else describe_trained(name, _load(name))


def evaluate_classical(options: argparse.Namespace, images: ImageSet, part: str, split: str) -> dict[str, Any]:
    """Return the report of a trained system, each image by itself; the keys are those of ``evaluate``.

    Raises:
        GricolZooError: not trained, an option that only networks have, or an image that cannot be measured.
    """
    from gricol_zoo.data.arrays import label_indices
    from gricol_zoo.evaluation.report import score, seen_in_training
    from gricol_zoo.spec import CHROMOSOMES

    refuse(options, OF_VALIDATE)
    model, start = _load(options.model), time.perf_counter()
    labels = label_indices(images.records, CHROMOSOMES, str(images.store.root))
    logits = model.predict_logits(images)
    seconds = time.perf_counter() - start
    return {
        "model": options.model,
        "weights_sha256": model.info.get("sha256", ""),
        "data_sha256": images.sha256(),
        "split": split,
        "part": part,
        "inference": model.system,
        "dtype": "fp64",
        **score(logits, labels, images.records, CHROMOSOMES, float(model.info.get("temperature", 1.0))),
        "seen_in_training": seen_in_training(images.records, dict(model.info)),
        "seconds": round(seconds, 3),
        "preparation": None,
        "ground": None,
        "scale": "none",
        "polarity_accuracy": None,
    }


def write_classical(options: argparse.Namespace, sets: Iterable[ImageSet], stream: TextIO) -> Iterator[list[dict[str, Any]]]:
    """Write predictions.csv to a stream and yield the rows, set by set: a cell's scale needs all of its images.

    Raises:
        GricolZooError: not trained. (An image that cannot be measured is a row with its error.)
    """
    from gricol_zoo.classical.measuring import measure_images
    from gricol_zoo.classical.model import cells_of
    from gricol_zoo.inference.calibration import softmax
    from gricol_zoo.inference.predict import COLUMNS, describe
    from gricol_zoo.spec import CHROMOSOMES

    model = _load(options.model)
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for images in sets:
        measured = measure_images(images)
        rows: list[dict[str, Any]] = [
            {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label, "review": ""}
            for record in images.records
        ]
        for index, error in measured.errors.items():
            rows[index]["error"] = error
        good, found = measured.among(range(len(images)))
        logits = model.logits_of(found, cells_of([images.records[index] for index in good]))
        threshold = float(model.info.get("review_threshold", 0.0))
        for index, values in zip(good, softmax(logits, float(model.info.get("temperature", 1.0))), strict=True):
            rows[index].update(describe(values, CHROMOSOMES, threshold))
        rows = [{column: row.get(column, "") for column in COLUMNS} for row in rows]
        writer.writerows(rows)
        yield rows


def load_classifier(options: argparse.Namespace, name: str) -> Classifier:
    """Load a trained system for `karyotype` or `verify`.

    Raises:
        GricolZooError: not trained, or an option that only networks have.
    """
    from gricol_zoo.classical.classifier import as_classifier

    refuse(options, OF_KARYOTYPE if hasattr(options, "device") else {})
    return as_classifier(_load(name), name)


def _load(name: str) -> Any:
    from gricol_zoo.classical.saving import load

    if not Path(name).is_dir():
        raise GricolZooError(
            f"{name!r} has no released weights. Train it (`gricol-zoo train --model {name}`) and give the folder."
        )
    return load(name)
