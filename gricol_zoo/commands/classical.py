"""What `train`, `validate` and `predict` do for a classical system: the one place that knows of both kinds of model."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gricol_zoo.errors import GricolZooError, ImageError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet

RECIPE = "light"  # the option's default, which says nothing
ONLY_NETWORKS = ("epochs", "init", "change", "resume", "grad_checkpointing", "compile", "device")


def is_classical(name: str) -> bool:
    """Say whether a name is a classical system's, or a folder holds one."""
    from gricol_zoo.classical.saving import is_saved
    from gricol_zoo.classical.table import CLASSICAL

    return name in CLASSICAL or (name != "" and is_saved(name))  # "" is the packaged model, not this folder


def train_classical(options: argparse.Namespace) -> int:
    """Train a system as `train`'s options say; return the exit status.

    Raises:
        GricolZooError: an option that only networks have, or anything wrong with the images or the split.
    """
    from gricol_zoo.classical.model import fit
    from gricol_zoo.classical.saving import save
    from gricol_zoo.classical.table import CLASSICAL
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.split import apply_split, check_leaks, read_split, split_for

    for name in ONLY_NETWORKS:
        if getattr(options, name):
            raise GricolZooError(f"--{name.replace('_', '-')} is of networks alone; {options.model!r} has none. Leave it out.")
    if options.recipe != RECIPE:
        raise GricolZooError(f"--recipe is of networks alone; {options.model!r} has its own settings. Leave it out.")
    if options.model not in CLASSICAL:
        raise GricolZooError(f"{options.model!r} is trained already. Expected one of the names {', '.join(CLASSICAL)}.")
    images, seed = open_images(options.data, options.layout), options.seed or 0
    if options.split:
        split = read_split(options.split)
    else:
        images, split, name = split_for(images, seed)
        print(f"no --split given: {name}", file=sys.stderr)
    parts = apply_split(images, split)
    check_leaks(parts)
    print(f"{options.model}: measuring {len(parts['train'])} and {len(parts['val'])} images", file=sys.stderr)
    save(fit(options.model, parts["train"], parts["val"], seed=seed), options.out)
    print(f"saved in {options.out}", file=sys.stderr)
    return 0


def evaluate_classical(options: argparse.Namespace, images: ImageSet, part: str, split: str) -> dict[str, Any]:
    """Return the report of a trained system, each image by itself; the keys are those of ``evaluate``.

    Raises:
        GricolZooError: not trained, `--full`, or an image that cannot be measured.
    """
    from gricol_zoo.data.arrays import label_indices
    from gricol_zoo.evaluate import score, seen_in_training
    from gricol_zoo.spec import CHROMOSOMES

    if options.full:
        raise GricolZooError("--full is of grid models alone: a classical system has one classifier. Leave it out.")
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
    }


def write_classical(name: str, sets: Iterable[ImageSet], stream: TextIO) -> Iterator[list[dict[str, Any]]]:
    """Write predictions.csv to a stream and yield the rows, set by set: a cell's scale needs all of its images.

    Raises:
        GricolZooError: not trained. An image that cannot be measured is a row with its error.
    """
    from gricol_zoo.calibration import softmax
    from gricol_zoo.classical.model import cells_of
    from gricol_zoo.classical.profiles import measure
    from gricol_zoo.data.images import read_grey
    from gricol_zoo.predict import COLUMNS, describe
    from gricol_zoo.spec import CHROMOSOMES

    model = _load(name)
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for images in sets:
        rows: list[dict[str, Any]] = []
        found, good = [], []
        for index, record in enumerate(images.records):
            rows.append({"path": record.path, "case": record.case, "cell": record.cell, "label": record.label, "review": ""})
            try:
                found.append(measure(read_grey(images.read(record))))
                good.append(index)
            except (ImageError, OSError) as error:
                rows[-1]["error"] = " ".join(str(error).split())
        logits = model.logits_of(found, cells_of([images.records[index] for index in good]))
        threshold = float(model.info.get("review_threshold", 0.0))
        for index, values in zip(good, softmax(logits, float(model.info.get("temperature", 1.0))), strict=True):
            rows[index].update(describe(values, CHROMOSOMES, threshold))
        rows = [{column: row.get(column, "") for column in COLUMNS} for row in rows]
        writer.writerows(rows)
        yield rows


def _load(name: str) -> Any:
    from gricol_zoo.classical.saving import load

    if not Path(name).is_dir():
        raise GricolZooError(
            f"{name!r} has no released weights. Train it (`gricol-zoo train --model {name}`) and give the folder."
        )
    return load(name)
