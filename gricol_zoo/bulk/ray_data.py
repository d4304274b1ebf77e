"""Prediction on Ray Data: batches go to workers on one or many machines; rows come back in order and go to one file.

The driver lists the images and writes the rows; the workers read, prepare and classify. If a worker dies, nothing is lost: Ray
gives its batch to another worker. The driver sees each batch once, so each image has one row.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gricol_zoo.bulk.columns import FACTOR, FILE, LENGTH, PIXELS, ROOT, Batch, ColumnClassifier, ColumnMeasurer
from gricol_zoo.bulk.tables import PARQUET, RowGroups, open_table, row_groups
from gricol_zoo.data.scale import find_scales
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, QualityWarning
from gricol_zoo.inference.predict import Seen, open_paths
from gricol_zoo.progress import LOGGER

MAX_BLOCKS = 4096  # of image names: few enough to keep track of, many enough that a worker that dies loses little work
Work = Callable[[Batch], dict[str, Any]]


class PredictSettings(NamedTuple):
    """Settings of a prediction.

    Attributes:
        classify: the classifier that each worker runs.
        workers: number of workers; 0 takes one per CPU of the cluster.
        batch_size: images per batch; 0 takes the model's own.
        scale: "auto", "none" or a number (``gricol_zoo.data.scale``).
    """

    classify: ColumnClassifier
    workers: int = 0
    batch_size: int = 0
    scale: str | float = "none"


def predict(
    paths: Sequence[str | Path], out: Path, settings: PredictSettings, layout: str = "auto"
) -> Iterator[list[dict[str, Any]]]:
    """Classify images on Ray, and yield the rows of each batch as they are written.

    The rows have the columns of predictions.csv, with numbers as numbers. Ray finds its cluster as usual (``RAY_ADDRESS``);
    without one it starts processes on this machine. All workers must see the files at the same paths.

    Args:
        paths: images, folders, zips and CSVs, as for ``open_paths``; or Parquet files with a column of images (bytes, or a
            mapping with bytes; its name is ``settings.classify.image``) and optionally path, case, cell and label.
        out: the file to write; Parquet if its suffix is .parquet, else CSV.
        settings: see ``PredictSettings``.
        layout: of folders and zips, as for ``open_paths``.

    Raises:
        GricolZooError: Ray is not installed, there is nothing to predict, Parquet is mixed with other inputs, or a worker
            failed.
    """
    ray = _start()
    classifier = settings.classify.classifier
    size = settings.batch_size or classifier.batch_size
    tasks = _tasks(paths, layout, size, settings)
    scaled = settings.classify if settings.scale == "none" or classifier.preprocess is None else _scaled(ray, tasks, settings)
    twice = Twice()
    with open_table(out) as write:
        for rows in _run(ray, tasks, scaled, settings.workers):
            known = [twice.look(row) for row in rows]
            write(known)
            yield known


def _start() -> Any:
    """Start Ray unless it is running, and return its module.

    Raises:
        GricolZooError: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise GricolZooError("The engine ray is not installed. Run: pip install 'gricol_zoo[ray]'") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    return ray


class Tasks(NamedTuple):
    """The work to spread over the workers: tables (one per block), the rows per batch, and a wrapper of the work."""

    blocks: Sequence[Any]
    rows: int
    prepare: Callable[[Work], Any]


def _tasks(paths: Sequence[str | Path], layout: str, size: int, settings: PredictSettings) -> Tasks:
    """Return the names of the images in batches, or the row groups of Parquet files; no pixels are read yet.

    Raises:
        GricolZooError: as for ``open_paths`` and ``row_groups``, or Parquet is mixed with other inputs.
    """
    tables = [Path(path) for path in paths if Path(path).suffix.lower() == PARQUET]
    if not tables:
        return Tasks(_named(open_paths(paths, layout), size), size, lambda work: work)
    if len(tables) < len(paths):
        raise GricolZooError("Parquet files cannot be mixed with images, folders, zips and CSVs. Predict them separately.")
    image = settings.classify.image
    return Tasks(row_groups(tables, image), 1, lambda work: RowGroups(work, size))


def _named(sets: Sequence[ImageSet], size: int) -> list[Any]:
    """Return tables that name the images of the sets, one row per image, in blocks of whole batches."""
    import pyarrow as pa

    for images in sets:
        for note in images.notes:
            LOGGER.info(f"{images.store.root}: {note}")
    rows = [
        {
            "path": images.prefix + record.path,
            "case": record.case,
            "cell": record.cell,
            "label": record.label,
            ROOT: str(images.store.root.absolute()),
            FILE: record.path,
        }
        for images in sets
        for record in images.records
    ]
    block = max(1, len(rows) // (size * MAX_BLOCKS)) * size
    return [pa.Table.from_pylist(rows[start : start + block]) for start in range(0, len(rows), block)]


def _run(ray: Any, tasks: Tasks, work: Work, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of all tasks in order; ``work`` is sent once to each worker process, which stays alive.

    Raises:
        GricolZooError: Ray reports an error of a worker. (A worker that dies is replaced.)
    """
    processors = int(ray.cluster_resources().get("CPU", 1))
    workers = workers or processors
    answers = ray.data.from_arrow(list(tasks.blocks)).map_batches(
        Worker,
        fn_constructor_args=(tasks.prepare(work),),
        batch_size=tasks.rows,
        batch_format="numpy",
        concurrency=workers,
        num_cpus=min(1, processors / workers),  # else Ray would wait for workers that it has no room for
    )
    try:
        for table in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield table.to_pylist()
    except ray.exceptions.RayError as error:
        reason = [line for line in str(error).splitlines() if line.strip()][-1].strip()
        raise GricolZooError(f"A worker of Ray failed: {reason}") from error


class Worker:
    """A worker process of Ray: it holds a callable of batches."""

    def __init__(self, work: Any) -> None:
        self.work = work

    def __call__(self, batch: Batch) -> Any:
        """Return the result of a batch, or an iterator of several results."""
        return self.work(batch)


def _scaled(ray: Any, tasks: Tasks, settings: PredictSettings) -> Work:
    """Return the work with scale factors added to each batch; for "auto" all images are measured first."""
    if settings.scale != "auto":
        return Scaled(settings.classify, {}, float(settings.scale))
    preprocess = settings.classify.classifier.preprocess
    assert preprocess is not None  # a network
    measured = _run(ray, tasks, ColumnMeasurer(preprocess, settings.classify.image), settings.workers)
    rows = [row for batch in measured for row in batch]
    records = [Record("", cell=_word(row, "cell"), case=_word(row, "case")) for row in rows]
    scales = find_scales(records, np.array([row[LENGTH] for row in rows], float), preprocess.length)
    for note in scales.notes:
        warnings.warn(note, QualityWarning, stacklevel=3)
    factors = {(one.case, one.cell): float(factor) for one, factor in zip(records, scales.factors, strict=True)}
    return Scaled(settings.classify, factors, 1.0)


class Scaled:
    """Adds the column ``factor`` to batches, then runs ``work`` on them.

    Args:
        work: what to run.
        factors: scale factors by (case, cell).
        rest: the factor of all other images.
    """

    def __init__(self, work: Work, factors: Mapping[tuple[str, str], float], rest: float) -> None:
        self.work, self.factors, self.rest = work, factors, rest

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Return the result of a batch."""
        return self.work(self.with_factors(batch))

    def with_factors(self, batch: Batch) -> dict[str, Any]:
        """Return a batch with the column ``factor``."""
        columns = {name: list(values) for name, values in batch.items()}
        count = len(next(iter(columns.values())))
        keys = zip(*(map(str, columns.get(name) or [""] * count) for name in ("case", "cell")), strict=True)
        return columns | {FACTOR: [self.factors.get(key, self.rest) for key in keys]}


def _word(row: Mapping[str, Any], name: str) -> str:
    return "" if row.get(name) is None else str(row[name])


class Twice:
    """Finds the same image twice within a cell of one input, and numbers the images that have no path."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.count = 0

    def look(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with all columns of the table, and a warning if the image was seen before."""
        self.count += 1
        known = {name: _word(row, name) for name in ("path", "case", "cell", "label")}
        known["path"] = known["path"] or f"image {self.count}"
        seen = self.seen.setdefault(_word(row, ROOT), Seen())
        before = seen.before({**known, "path": _word(row, FILE) or known["path"]}, bytes.fromhex(row[PIXELS]))
        return {**row, **known, "warnings": "; ".join(filter(None, (row["warnings"], before)))}
