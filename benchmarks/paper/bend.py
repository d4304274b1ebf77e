"""Accuracy against bend, for the control (no grid), GRiL and GRiCoL: does gridding weaken the effect of bending?

    python -m benchmarks.paper.bend --data FOLDER [--runs RUNS ...] [--no-released] [--lower]
    python -m benchmarks.paper.bend

The paper claims it without measuring it. Three parts: synthetic chromosomes at each angle, nearly straight Q-band images bent
by an arc (``classical.bend``), and Q-band images as they are, by the bend of their medial axis. The released weights were
trained with bends and are scored on the test part. ``--runs`` adds a folder of trainings, such as of a recipe without bends,
with one subfolder ``<control|gril|gricol>.<seed>`` per training; they are scored on all images of cells that they have not
seen. Writes results/paper/bend.csv, bend_notes.csv, bend.md and bend.png; what they say of other groups of weights is kept.
Scores are kept in ``--work``, so the same command continues a stopped run. Without ``--data`` only the figure is drawn again,
from bend.csv.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import COMMIT, RESULTS, kept, write
from benchmarks.common.sets import open_part, open_set
from benchmarks.common.weights import create
from benchmarks.paper.bend_numbers import BENT, Outcome, mean_of, outcome_of, rows_of
from benchmarks.paper.bend_page import PARTS, SYSTEMS, draw, page
from benchmarks.paper.bend_pictures import STRAIGHT, UNMEASURED, Pictures, edges_of, measure, real, synthetic, warped
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import write_atomically
from gricol_zoo.inference.logits import predict_logits

RELEASED = {"control": "r18half_192.qband", "gricol": "gricol_r18half_n3_192.qband"}
BENDS = ("arc", "bend", "strong_bend", "elastic")  # the augmentation fields that bend
WHOLE = "unseen"  # for --runs: their own training records, not the split, say which cells they have not seen
COLUMNS = {
    "part": ("part", ""),
    "weights": ("weights", ""),
    "system": ("system", ""),
    "seed": ("seed", ""),
    "inference": ("classifiers", ""),
    "level": ("level", ""),
    "images": ("images", ""),
    "accuracy": ("accuracy", ".4f"),
}


@dataclass(frozen=True)
class Group:
    """Models that are compared with each other.

    Attributes:
        name: "released", or the folder's name.
        training: "with bends" or "without bends" in the augmentation, by their training records.
        models: by system, then by seed.
    """

    name: str
    training: str
    models: Mapping[str, Mapping[str, Any]]

    def each(self) -> list[Any]:
        """Return all its models."""
        return [model for seeds in self.models.values() for model in seeds.values()]


def make_group(name: str, models: Mapping[str, Mapping[str, Any]]) -> Group:
    """Gather models, and read from their training records how they were trained.

    Raises:
        GricolZooError: a record is missing, some were trained with bends and some without, the systems have different seeds,
            or there is no control or nothing to compare with it.
    """
    if "control" not in models or not models.keys() & {"gril", "gricol"}:
        raise GricolZooError(f"Expected a control and gril or gricol in {name}, but got {', '.join(models) or 'nothing'}.")
    if len({tuple(sorted(seeds)) for seeds in models.values()}) > 1:
        raise GricolZooError(f"Expected every system of {name} with the same seeds, but got {_seeds(models)}.")
    kinds = set()
    for model in (model for seeds in models.values() for model in seeds.values()):
        training = model.info.training
        if "groups" not in training or "recipe" not in training:
            raise GricolZooError(f"Expected weights of {name} that say which cells and which recipe they were trained on.")
        kinds.add("with bends" if any(training["recipe"]["augment"].get(key) for key in BENDS) else "without bends")
    if len(kinds) > 1:
        raise GricolZooError(f"Expected all of {name} trained with bends, or all without: give each its own --runs folder.")
    return Group(name, kinds.pop(), models)


def read_runs(folder: Path) -> Group:
    """Read the trainings in a folder.

    Raises:
        GricolZooError: there are none, or a subfolder has another name or no weights.
    """
    models: dict[str, dict[str, Any]] = {}
    for run in sorted(path for path in folder.glob("*") if path.is_dir()):
        system, _, seed = run.name.partition(".")
        if system not in SYSTEMS or not seed.isdecimal():
            raise GricolZooError(
                f"Expected subfolders such as gricol.0 ({', '.join(SYSTEMS)}) in {folder}, but got {run.name!r}."
            )
        models.setdefault(system, {})[seed] = create(str(run), deployed=False)
    return make_group(folder.name, models)


def read_released() -> Group:
    """Read the released weights."""
    models = {system: create(name, deployed=False) for system, name in RELEASED.items()}
    return make_group(
        "released", {system: {str(model.info.training["recipe"]["seed"]): model} for system, model in models.items()}
    )


def unseen(images: ImageSet, models: Sequence[Any]) -> ImageSet:
    """Return the images of cells and cases that none of the models was trained on.

    Raises:
        GricolZooError: there are none.
    """
    known = {group for model in models for group in model.info.groups}

    def new(record: Record) -> bool:
        # An image-level training names its images, each a group of its own.
        return not known & {group_of(record), record.cell, record.path}

    new_images = images.subset([index for index, record in enumerate(images.records) if new(record)])
    if not len(new_images):
        raise GricolZooError(f"The weights were trained on every cell of {images.name}: there is nothing to score them on.")
    return new_images


def score(pictures: Pictures, models: Sequence[Any], work: Path, lower: bool = False) -> list[dict[bool, tuple[Outcome, str]]]:
    """Score models on one part: for each, by the lower branch (False) and, with a grid, by all classifiers (True).

    Args:
        pictures: the part.
        models: with weights.
        work: where outcomes are kept.
        lower: by the lower branch alone.

    Returns:
        The outcomes, each with the commit that it was scored at. Outcomes of these pictures in ``work`` are not scored again.
    """
    mark, drawn = pictures.fingerprint(), {}
    cells = [group_of(record) for record in pictures.chromosomes]
    results = []
    for model in models:
        result = {}
        for full in (False, True) if model.splitter.num_cells and not lower else (False,):
            sha, inference = model.info.sha256, "full" if full else "lower"
            file = work / f"{sha[:12]}.{mark[:12]}.{pictures.part}.{inference}.json"
            if not file.exists():
                spec = model.spec
                key = (spec.preprocess, spec.image_size)
                if key not in drawn:
                    drawn = {key: pictures.canvases(spec)}
                labels = label_indices(pictures.chromosomes, spec.labels, pictures.part)[pictures.who]
                right = predict_logits(model, drawn[key], full=full).argmax(1) == labels
                text = json.dumps({"commit": COMMIT, "right": "".join("01"[int(hit)] for hit in right)})
                work.mkdir(parents=True, exist_ok=True)
                write_atomically(file, text.encode())
            stored = json.loads(file.read_text())
            right = np.array([hit == "1" for hit in stored["right"]])
            result[full] = outcome_of(pictures.levels, cells, pictures.who, pictures.level, right), stored["commit"]
            print(pictures.part, inference, sha[:12], f"{right.mean():.4f}", flush=True)
        results.append(result)
    return results


def group_rows(group: Group, pictures: Pictures, data_part: str, work: Path, lower: bool = False) -> list[dict[str, Any]]:
    """Return the rows of one group on one part: each seed, and the mean where there are several seeds."""
    scored = dict(zip(map(id, group.each()), score(pictures, group.each(), work, lower), strict=True))
    known: dict[str, Any] = {
        "part": pictures.part,
        "images_of": "renderer" if pictures.part == "synthetic" else f"Q-band {data_part}",
    }
    known |= {"weights": group.name, "training": group.training}
    known |= {"chromosomes": len(pictures.chromosomes), "cells": len({group_of(r) for r in pictures.chromosomes})}
    rows, controls = [], {seed: scored[id(model)][False][0] for seed, model in group.models["control"].items()}
    for system, seeds in group.models.items():
        for full in (False, True):
            own = {seed: scored[id(model)][full] for seed, model in seeds.items() if full in scored[id(model)]}
            compared = system != "control"
            about = {**known, "system": system, "inference": "full" if full else "lower"}
            for seed, (outcome, commit) in own.items():
                marks = {"commit": commit, "weights_sha256": seeds[seed].info.sha256}
                rows += rows_of(outcome, controls[seed] if compared else None, {**marks, **about, "seed": seed})
            if len(own) > 1:
                mean = mean_of([outcome for outcome, _ in own.values()])
                marks = {"commit": COMMIT, "weights_sha256": ""}
                against = mean_of(list(controls.values())) if compared else None
                rows += rows_of(mean, against, {**marks, **about, "seed": "mean"})
    return rows


def note_of(group: Group, images: ImageSet, bends: Mapping[str, float | None]) -> str:
    """Return a note: how many images a group of weights was scored on, and those whose bend cannot be measured."""
    found = [bends[record.path] for record in images.records]
    near = sum(value is not None and value < STRAIGHT for value in found)
    lost = [record.path for record, value in zip(images.records, found, strict=True) if value is None]
    return (
        f"{group.name}: of {len(images)} images of cells that these weights have not seen, {near} lie below {STRAIGHT:g} "
        f"degrees (warped), {len(lost)} cannot be measured ({', '.join(lost) or 'none'}; bin '{UNMEASURED}')."
    )


def main() -> None:
    """Score what is not scored yet, and write the table, the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with qband.zip; without it, only the figure is drawn")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders of trainings")
    parser.add_argument("--released", action=argparse.BooleanOptionalAction, default=True, help="the released weights")
    parser.add_argument("--part", default="test", choices=["val", "test"], help="part of the split; val for a trial run")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS), help="parts of the benchmark")
    parser.add_argument("--lower", action="store_true", help="score --runs by the lower branch alone: a tenth of the work")
    parser.add_argument("--work", type=Path, default=Path("runs/bend"))
    options = parser.parse_args()
    name = "paper/bend" if options.part == "test" else f"paper/bend_{options.part}"
    if options.data is None:
        draw(read_csv(RESULTS / f"{name}.csv"), RESULTS / f"{name}.png")
        return
    released = [read_released()] if options.released else []
    groups = [(group, options.part) for group in released] + [(read_runs(folder), WHOLE) for folder in options.runs]
    spread = measure(open_part("qband", options.data, "train"), options.work)
    edges, rows, notes = edges_of(spread), [], []
    for group, data_part in groups:
        images = open_set("qband", options.data) if data_part == WHOLE else open_part("qband", options.data, data_part)
        bends, fair = measure(images, options.work), unseen(images, group.each())
        lower = options.lower and data_part == WHOLE
        for pictures in (real(fair, bends, edges), warped(fair, bends), synthetic()):
            if pictures.part in options.only:
                rows += group_rows(group, pictures, data_part, options.work, lower)
        notes.append({"weights": group.name, "note": note_of(group, fair, bends)})
    scored = {group.name for group, _ in groups}
    rows += kept(name, scored, itemgetter("weights"))
    notes += kept(f"{name}_notes", scored, itemgetter("weights"))
    share = np.mean([value < STRAIGHT for value in spread.values() if value is not None])
    bins = f"Of the train part {100 * share:.0f} % lie below {STRAIGHT:g} degrees; it sets the bins of the real part."
    write(name, rows, COLUMNS)
    write(f"{name}_notes", notes, {"weights": ("weights", ""), "note": ("which images", "")})
    (RESULTS / f"{name}.md").write_text(page(rows, [*(row["note"] for row in notes), bins]))
    draw(rows, RESULTS / f"{name}.png")
    print("\n".join(f"{row['part']} {row['system']} {row.get('verdict', '')}" for row in rows if row["level"] == BENT))


def _seeds(models: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(f"{system}: {', '.join(seeds)}" for system, seeds in models.items())


if __name__ == "__main__":
    main()
