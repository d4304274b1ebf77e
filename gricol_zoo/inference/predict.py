"""Bulk prediction: one row per image, in constant memory; a bad file becomes a row, not a crash."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from gricol_zoo.data.images import pixel_hash, read_crop
from gricol_zoo.data.preprocess import Prepared
from gricol_zoo.data.quality import SAME, image_warnings, measure
from gricol_zoo.data.readers import is_image, open_files, open_images
from gricol_zoo.data.rows import guarded
from gricol_zoo.data.split import cells_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier, to_classifier
from gricol_zoo.inference.workers import side_by_side
from gricol_zoo.models.deployed import DeployedModel

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
    "turned",
    "warnings",
]
MAX_SEEN = 100_000  # images among which duplicates are searched


def open_paths(paths: Iterable[str | Path], layout: str = "auto") -> list[ImageSet]:
    """Open images, folders, zips and CSVs. All single images are one set; with several sets, each gets its path as prefix.

    Raises:
        GricolZooError: a path that does not exist, or nothing to predict in it.
    """
    places = [Path(path) for path in paths]
    single = [place for place in places if is_image(place)]
    sets: list[tuple[Path, ImageSet]] = []
    whole: set[Path] = set()
    for place in places:
        if place not in single:
            if place.resolve() in whole:
                raise GricolZooError(f"{place} is given twice. Remove one.")
            whole.add(place.resolve())
            sets.append((place, open_images(place, layout)))
        elif place is single[0]:
            files = open_files(single)
            sets.append((files.store.root, files))
    if not sets:
        raise GricolZooError("No paths given. Expected images, folders, zips or CSVs.")
    if len(sets) > 1:
        for place, images in sets:
            images.prefix = "" if place == Path() else f"{place.as_posix().rstrip('/')}/"
    return [images for _, images in sets]


def predict_rows(
    model: GridModel | DeployedModel | Classifier,
    images: ImageSet,
    batch_size: int = 0,
    dtype: str = "auto",
    workers: int = 0,
    factors: np.ndarray | None = None,
    start: int = 0,
) -> Iterator[list[dict[str, Any]]]:
    """Yield rows (see ``COLUMNS``) batch by batch, in the set's order; only hashes of pixels are kept between batches.

    Each worker reads, decodes, resizes and classifies its own batches, so that the network never waits for files.
    The images of a classical system form one batch, because it measures those of a cell relative to one another.

    Args:
        model: a network of either form, whose lower branch classifies, or any ``Classifier``.
        images: what to classify.
        batch_size: images at once; 0 takes what suits the model.
        dtype: of a network: "auto" (bf16 where the device has it), "fp32" or "bf16".
        workers: batches at once; 0 takes one per core.
        factors: (n,) what each crop's pixels are multiplied by (``gricol_zoo.data.scale``); None for 1.
        start: number of images at the beginning to leave out, because they have their rows already.
    """
    classifier = to_classifier(model, dtype)
    work = partial(predict_batch, classifier, images)
    size, left_out = (batch_size or classifier.batch_size, start) if classifier.batch_size else (len(images), 0)
    records = islice(zip(images.records, repeat(1.0) if factors is None else factors, strict=False), left_out, None)
    batches = iter(lambda: list(islice(records, size)), [])
    seen = Seen()
    seen.recall(images, left_out, classifier.ground)
    for answers in side_by_side(work, batches, workers):
        rows = []
        for row, digest in answers:
            twice = seen.before(row, digest)
            row["warnings"] = "; ".join([*row["warnings"], *([twice] if twice else [])])
            row["path"] = images.prefix + row["path"]
            rows.append(row)
        yield rows[start - left_out :]


class Seen:
    """The pixels of the images so far, to find the same picture twice in a cell; without cells, in the whole set.

    After every ``MAX_SEEN`` images they are forgotten, so that memory stays flat.
    """

    def __init__(self) -> None:
        self.paths: dict[tuple[str, str, bytes], str] = {}

    def before(self, row: Mapping[str, Any], digest: bytes) -> str:
        """Return a warning if an image's pixels occurred before, else ""; and remember them."""
        if not digest:
            return ""
        if len(self.paths) >= MAX_SEEN:
            self.paths.clear()
        key = (row["case"], row["cell"], digest)
        if key in self.paths:
            return f"{SAME} as {self.paths[key]}: take one out"
        self.paths[key] = row["path"]
        return ""

    def recall(self, images: ImageSet, end: int, ground: str) -> None:
        """Read the images before number ``end`` again that share a cell with a later one, and remember their pixels."""
        later = {(record.case, record.cell) for record in images.records[end:]} if end else set()
        for record in images.records[max(0, end - MAX_SEEN) : end]:
            if (record.case, record.cell) in later:
                with contextlib.suppress(ImageError, OSError):
                    self.before(_row(record), pixel_hash(read_crop(images.read(record), ground).grey))


def predict_batch(
    classifier: Classifier, images: ImageSet, batch: Sequence[tuple[Record, float]]
) -> list[tuple[dict[str, Any], bytes]]:
    """Classify one batch; for an image that cannot be read the row gives the reason, and the others go on.

    Args:
        classifier: prepares and classifies the images.
        images: the set of the records.
        batch: each image's record, and the factor for its size.

    Returns:
        For each image its row, whose warnings are still a list, and a hash of its pixels, b"" if they were not measured.
    """
    unit = classifier.preprocess.length if classifier.preprocess else 0.0
    rows, digests = [_row(record) for record, _ in batch], [b""] * len(batch)
    prepared, readable = [], []
    for index, ((record, factor), row) in enumerate(zip(batch, rows, strict=True)):
        try:
            crop = read_crop(images.read(record), classifier.ground)
            one = classifier.prepare(crop.grey, float(factor))
        except (ImageError, OSError) as error:  # errors of the file; any other error is a bug, and stops the run
            row["error"] = str(error).splitlines()[0] if str(error) else type(error).__name__
            continue
        if isinstance(one, Prepared):  # otherwise a system that measures crops in its own way
            digests[index] = pixel_hash(crop.grey)
            said = image_warnings(one, measure(one, unit, float(factor)), classifier.reference)
            row["warnings"] = [*crop.notes, *(one.text for one in said)]
        prepared.append(one)
        readable.append(index)
    if prepared:
        logits, up = classifier.answer(prepared, cells_of([batch[index][0] for index in readable]))
        for place, (index, values) in enumerate(zip(readable, classifier.calibration.probabilities(logits), strict=True)):
            turned = "" if up is None else int(up[place] < 0.5)
            rows[index].update(answer_columns(values, classifier.labels, classifier.calibration.threshold), turned=turned)
    return list(zip(rows, digests, strict=True))


def _row(record: Record) -> dict[str, Any]:
    known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label, "warnings": []}
    return {column: known.get(column, "") for column in COLUMNS}


def answer_columns(probabilities: np.ndarray, names: Sequence[str], threshold: float | None) -> dict[str, Any]:
    """Return the columns for one image's (classes,) probabilities: the two likeliest classes, and whether to review it.

    Weights that are not calibrated have no threshold; then ``review`` is "".
    """
    first, second = np.argsort(-probabilities, kind="stable")[:2] if len(probabilities) > 1 else (0, 0)
    return {
        "prediction": names[first],
        "probability": f"{probabilities[first]:.4f}",
        "second": names[second],
        "second_probability": f"{probabilities[second]:.4f}",
        "review": "" if threshold is None else int(probabilities[first] < threshold),
    }


def write_predictions(
    model: GridModel | DeployedModel | Classifier,
    sets: Iterable[ImageSet],
    stream: TextIO,
    batch_size: int = 0,
    dtype: str = "auto",
    workers: int = 0,
    start: int | None = None,
    scale: str | float = "none",
) -> Iterator[list[dict[str, Any]]]:
    """Write predictions.csv to a stream, flushed batch by batch, and yield the rows as they are written.

    Args and speed as for ``predict_rows``. ``start`` continues a file that has a header and that many rows. With ``scale``
    "auto" the crops are read once before, to measure their lengths; a scale that stays unknown is reported by a warning.
    """
    classifier = to_classifier(model, dtype)
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    if start is None:
        writer.writeheader()
    for images in sets:
        factors = classifier.factors(images, scale)
        for rows in predict_rows(classifier, images, batch_size, dtype, workers, factors, start or 0):
            writer.writerows(map(guarded, rows))
            stream.flush()
            yield rows
