"""Bulk prediction: images in, one row an image out, in flat memory; a bad file is a row, not a crash."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from gricol_zoo.calibration import softmax
from gricol_zoo.data.images import SUFFIXES, read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.deployed import DeployedModel
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.evaluate import best_batch_size, make_classifying
from gricol_zoo.inference import is_optimized, optimize
from gricol_zoo.model import GridModel
from gricol_zoo.workers import side_by_side

COLUMNS = [
    "path",
    "case",
    "cell",
    "label",
    "prediction",
    "probability",
    "second",
    "second_probability",
    "review",
    "error",
]


def open_paths(paths: Iterable[str | Path]) -> list[ImageSet]:
    """Open images, folders, zips and CSVs; single images form one set together.

    Raises:
        GricolZooError: a path that does not exist, or nothing to predict in it.
    """
    sets = []
    for path in map(Path, paths):
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            if not path.is_file():
                raise GricolZooError(f"No such file: {path}.")
            sets.append(ImageSet(str(path.parent), [Record(path.name)], Store(path.parent, [path.name])))
        else:
            sets.append(open_images(path))
    if not sets:
        raise GricolZooError("No paths given. Expected images, folders, zips or CSVs.")
    return sets


def predict_rows(
    model: GridModel | DeployedModel, images: ImageSet, batch_size: int = 0, dtype: str = "auto", workers: int = 0
) -> Iterator[list[dict[str, Any]]]:
    """Yield rows (see ``COLUMNS``) batch by batch, in the set's order; nothing is kept between batches.

    Each worker reads, decodes, resizes and classifies batches of its own, so that the network never waits for files.

    Args:
        model: either form; the lower branch classifies.
        images: what to classify.
        batch_size: images at once; 0 takes what suits the model.
        dtype: "auto" (bf16 where the device has it), "fp32" or "bf16".
        workers: batches at once; 0 takes one a core.
    """
    classify = make_classifying(model, dtype)
    size = batch_size or best_batch_size(model.spec, next(model.parameters()).device.type)
    records = iter(images.records)
    batches = iter(lambda: list(islice(records, size)), [])
    yield from side_by_side(lambda batch: _predict_batch(model, classify, images, batch), batches, workers)


def _predict_batch(
    model: GridModel | DeployedModel,
    classify: Callable[[Sequence[np.ndarray]], np.ndarray],
    images: ImageSet,
    batch: Sequence[Record],
) -> list[dict[str, Any]]:
    rows = [_row(record) for record in batch]
    canvases, readable = [], []
    for record, row in zip(batch, rows, strict=True):
        try:
            canvases.append(to_canvas(read_grey(images.read(record)), model.spec.preprocess, model.spec.image_size))
            readable.append(row)
        except (ImageError, OSError) as error:  # what a file can be guilty of; anything else is our fault, and stops
            row["error"] = str(error).splitlines()[0] if str(error) else type(error).__name__
    if canvases:
        for row, values in zip(readable, _describe(model, classify(canvases)), strict=True):
            row.update(values)
    return rows


def _row(record: Record) -> dict[str, Any]:
    known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label}
    return {column: known.get(column, "") for column in COLUMNS}


def _describe(model: GridModel | DeployedModel, logits: np.ndarray) -> Iterator[dict[str, Any]]:
    probabilities = softmax(logits, float(model.info.get("temperature", 1.0)))
    threshold = float(model.info.get("review_threshold", 0.0))
    return (describe(values, model.spec.labels, threshold) for values in probabilities)


def describe(probabilities: np.ndarray, names: Sequence[str], threshold: float) -> dict[str, Any]:
    """Return the columns that tell of one image's (classes,) probabilities: the two likeliest, and whether to review it."""
    first, second = np.argsort(-probabilities, kind="stable")[:2] if len(probabilities) > 1 else (0, 0)
    return {
        "prediction": names[first],
        "probability": f"{probabilities[first]:.4f}",
        "second": names[second],
        "second_probability": f"{probabilities[second]:.4f}",
        "review": int(probabilities[first] < threshold),
    }


def write_predictions(
    model: GridModel | DeployedModel,
    sets: Iterable[ImageSet],
    stream: TextIO,
    batch_size: int = 0,
    dtype: str = "auto",
    workers: int = 0,
    header: bool = True,
) -> Iterator[list[dict[str, Any]]]:
    """Write predictions.csv to a stream, flushed batch by batch, and yield the rows as they are written.

    Args and speed as for ``predict_rows``; without a header, a file that was begun goes on.
    """
    fast = model if is_optimized(model) else optimize(model, dtype)
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    for images in sets:
        for rows in predict_rows(fast, images, batch_size, dtype, workers):
            writer.writerows(rows)
            stream.flush()
            yield rows
