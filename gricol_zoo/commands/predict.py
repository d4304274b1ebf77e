"""``gricol-zoo predict``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gricol_zoo.commands.common import (
    count_of,
    layout_option,
    model_option,
    networks_only,
    positive,
    preparation_options,
    run_options,
    runtime_option,
    say_notes,
    say_pages,
    say_unchecked,
    warn,
)
from gricol_zoo.commands.kinds import load_classifier
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.inference.classifier import Classifier
    from gricol_zoo.inference.shards import Tally
    from gricol_zoo.models.info import WeightsInfo

MIN_IMAGES = 10  # with fewer, no warning: they say too little about the camera
MANY_DOUBTS = 0.3  # a warning needs more than this fraction of images to review
HELP = "classify images; writes one row per image"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("paths", nargs="+", metavar="PATH", help="images, folders, zips or CSVs")
    layout_option(command)
    model_option(command)
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="CSV", help="write all rows to this file")
    shards = "write one CSV per PATH into DIR; rerun to resume; several processes may share the work"
    networks_only(where.add_argument("--shards", type=Path, metavar="DIR", help=shards))
    engine = "where to compute: local, or ray for a cluster (Ray Data), which also reads and writes Parquet"
    networks_only(
        command.add_argument("--engine", choices=["local", "ray"], default="local", help=f"{engine} (default: local)")
    )
    size, workers = "images per batch (default: chosen for the model)", "parallel workers (default: one per core)"
    networks_only(command.add_argument("--batch-size", type=positive, default=0, help=size))
    networks_only(command.add_argument("--workers", type=positive, default=0, help=workers))
    preparation_options(command, "none")
    run_options(command, "auto")
    runtime_option(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    _check(options)
    return run_shards(options) if options.shards else run_one(options)


def _check(options: argparse.Namespace) -> None:
    """Check that the options suit the engine.

    Raises:
        GricolZooError: an option or a file needs the other engine.
    """
    if options.engine == "ray":
        if options.shards or options.device != "cpu":
            raise GricolZooError("--engine ray writes one file and runs on CPUs. Use --out, and leave out --device.")
    elif any(Path(path).suffix.lower() == ".parquet" for path in (*options.paths, options.out or "")):
        raise GricolZooError("Only --engine ray reads and writes Parquet.")


def run_one(options: argparse.Namespace) -> int:
    """Classify all images into one file; return the exit status."""
    from tqdm import tqdm

    from gricol_zoo.data.images import pages_left_out

    given = settings(options)
    total, failed, review, warned = 0, 0, 0, 0
    pages: list[int] = []
    images, classifier, batches = ENGINES[options.engine](options, given)
    say_unchecked(classifier)
    with tqdm(total=images, unit="image", disable=None) as bar:
        for rows in batches:
            total += len(rows)
            failed += sum(bool(row["error"]) for row in rows)
            review += sum(row["review"] == 1 for row in rows)
            warned += sum(bool(row["warnings"]) for row in rows)
            pages += [left for row in rows if (left := pages_left_out(row["warnings"]))]
            bar.update(len(rows))
    marked = to_review(review, classifier)
    print(f"{count_of(total, 'image')}, {marked}, {failed} could not be read; rows in {options.out}", file=sys.stderr)
    say_pages(*pages)
    say_warned(warned, options.out)
    for line in doubts(review, total - failed, classifier.info):
        warn(line)
    return 0


Work = tuple[int | None, "Classifier", "Iterator[list[dict[str, Any]]]"]
"""Number of images (None if unknown), classifier, and the rows batch by batch as they are written."""


def _here(options: argparse.Namespace, given: dict[str, Any]) -> Work:
    """Predict in this process."""
    from gricol_zoo.inference.predict import open_paths, write_predictions

    sets = open_paths(options.paths, options.layout)
    say_notes(sets)
    classifier = load(options, options.device)

    def rows() -> Iterator[list[dict[str, Any]]]:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            yield from write_predictions(classifier, sets, stream, **given)

    return sum(map(len, sets)), classifier, rows()


def _on_ray(options: argparse.Namespace, given: dict[str, Any]) -> Work:
    """Predict on Ray."""
    from gricol_zoo.bulk.columns import ColumnClassifier
    from gricol_zoo.bulk.ray_data import PredictSettings, predict

    named = ("model", "runtime", "dtype", "preparation", "ground")
    classify = ColumnClassifier(threads=1, **{name: getattr(options, name) for name in named})
    return None, classify.classifier, predict(options.paths, options.out, PredictSettings(classify, **given), options.layout)


ENGINES = {"local": _here, "ray": _on_ray}


def to_review(count: int, classifier: Classifier) -> str:
    """Return how many images are to review, or that the weights are not calibrated for that."""
    return "not calibrated, none marked for review" if classifier.calibration.threshold is None else f"{count} to review"


def say_warned(count: int, file: Path) -> None:
    """Print how many images have a warning, and where to find the warnings."""
    if count:
        warn(f"{count_of(count, 'image')} with warnings, see the column `warnings` of {file}")


def doubts(review: int, readable: int, info: WeightsInfo) -> list[str]:
    """Return a warning if many more images are to review than in the val part of the weights; else an empty list."""
    expected = float(info.val.get("review_fraction", 1.0))
    if readable < MIN_IMAGES or review / readable <= max(MANY_DOUBTS, 2 * expected):
        return []
    return [
        f"{review / readable:.0%} of the images need review, against {expected:.0%} of the validation images. "
        "Try `--scale auto`, `--ground`, or weights for another banding"
    ]


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the prediction that the options give."""
    from gricol_zoo.data.scale import read_scale

    scale = read_scale(options.scale)
    return {"batch_size": options.batch_size, "workers": options.workers, "scale": scale}


def load(options: argparse.Namespace, device: str) -> Classifier:
    """Return the model that the options name."""
    how = {"dtype": options.dtype, "preparation": options.preparation, "ground": options.ground, "runtime": options.runtime}
    return load_classifier(options.model, device=device, **how)


def run_shards(options: argparse.Namespace) -> int:
    """Write one CSV per shard; several processes may share the work."""
    from tqdm import tqdm

    from gricol_zoo import __version__
    from gricol_zoo.inference.predict import write_predictions
    from gricol_zoo.inference.shards import join_run, own_device, work_on
    from gricol_zoo.progress import stop_on_signals

    given = settings(options)
    classifier = load(options, own_device(options.device, os.environ))
    say_unchecked(classifier)
    identity = {"model": classifier.name, "weights_sha256": classifier.weights_sha256, "dtype": classifier.dtype}
    identity |= {**classifier.preparation, "scale": given["scale"]}
    identity |= {} if classifier.runtime == "torch" else {"runtime": classifier.runtime}
    identity |= {} if options.layout == "auto" else {"layout": options.layout}
    shards = join_run(options.shards, options.paths, {**identity, "gricol_zoo": __version__})
    with stop_on_signals() as stop, tqdm(unit="image", disable=None) as bar:
        tally = work_on(
            shards,
            lambda images, stream, start: write_predictions(classifier, [images], stream, start=start, **given),
            stop,
            lambda tally: bar.update(tally.images - bar.n),
            options.layout,
        )
    print(summary(tally, len(shards), options.shards, to_review(tally.review, classifier)), file=sys.stderr)
    say_warned(tally.warned, options.shards)
    for line in doubts(tally.review, tally.images - tally.unreadable, classifier.info):
        warn(line)
    if tally.failed and not tally.stopped:
        raise GricolZooError(
            f"{len(tally.failed)} of {len(shards)} shards failed, the others are done: "
            + " ".join(f"{path}: {reason}" for path, reason in tally.failed.items())
        )
    return 1 if tally.stopped else 0


def summary(tally: Tally, total: int, folder: Path, marked: str) -> str:
    """Return the summary of a run over shards."""
    text = (
        f"{count_of(total, 'shard')}: {tally.here} done here, {tally.elsewhere} by others, {tally.before} before; here "
        f"{count_of(tally.images, 'image')}, {marked}, {tally.unreadable} could not be read; rows in {folder}"
    )
    return f"{text}. Stopped; run the same command again to resume." if tally.stopped else text
