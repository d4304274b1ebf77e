"""The grid against its control at 192x96 on the Q-band test part, with several seeds by the released recipe, in pairs.

    python -m benchmarks.make.train_queue benchmarks/queues/grid.qband.json --data FOLDER --runs runs/grid
    python -m benchmarks.paper.grid_seeds --data FOLDER --runs runs/grid

Scores each finished training of the queue on the test part that is not scored yet, and the released weights in place of the
queue's seed 0 where they are by the same recipe; without --data it only writes the tables again. Writes results/paper/
grid_seeds_runs.csv (a line per training) and grid_seeds_predictions.csv (a column per training), and from them grid_seeds.csv:
each system's accuracy, and its difference to the control over the seeds that both have. No choice is based on the test part.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.recipes import RECIPES, read_recipe
from benchmarks.common.record import COMMIT, RESULTS, write
from benchmarks.common.sets import NAMES, open_part, split_file
from benchmarks.common.weights import HUB, create, unseen
from benchmarks.make.train_queue import is_done, read_queue
from benchmarks.paper.tables import accuracy_of
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.evaluation.significance import mcnemar_exact
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.spec import CHROMOSOMES

TAG = "qband"
QUEUE = Path(__file__).parent.parent / "queues" / "grid.qband.json"
CONTROL = "r18half_192"
SYSTEMS = {
    CONTROL: "control",
    "gril_r18half_192": "GRiL, N = 3",
    "gricol_r18half_n3_192": "GRiCoL, N = 3",
    "gricol_r18half_rows3_192": "GRiCoL, three rows",
}
RUNS, PREDICTIONS = (RESULTS / "paper" / f"grid_seeds_{what}.csv" for what in ("runs", "predictions"))
COLUMNS = {
    "name": ("system", ""),
    "shown": ("accuracy, % ± spread", ""),
    "interval": ("95 % by cell", ""),
    "full": ("all classifiers, %", ".1f"),
    "seeds": ("seeds", ""),
    "difference": ("minus the control, points", "+.2f"),
    "difference_interval": ("95 % by cell", ""),
    "mcnemar": ("McNemar's p, seed by seed", ""),
}


def column_of(model: str, seed: int | str) -> str:
    """Return the name of a training's column of predictions."""
    return f"{model}.seed{seed}"


def trainings(queue: Sequence[Mapping[str, Any]], runs: Path) -> Iterator[tuple[str, int, Path]]:
    """Give model, seed and folder of what can be scored: released weights by the queue's recipe, then finished runs."""
    ours = [one for one in queue if one["split"] == split_file(TAG).name]
    recipe = {key: ours[0][key] for key in ("recipe", "epochs", "init")}
    for model in SYSTEMS:
        name = f"{model}.{TAG}"
        if (HUB / name).is_dir() and (RECIPES / f"{name}.json").exists():
            known = read_recipe(name)
            if {key: known.get(key) for key in recipe} == recipe:
                yield model, int(known["seed"]), HUB / name
    for one in ours:
        if is_done(runs / one["name"]):
            yield one["model"], int(one["seed"]), runs / one["name"]


def score_training(model_name: str, seed: int, folder: Path, test: ImageSet) -> tuple[dict[str, Any], list[str]]:
    """Return a training's line, and its predictions for the test part."""
    model = create(str(folder), deployed=False)
    unseen(test, model)
    canvases, truth = load_canvases(test, model.spec), label_indices(test.records, CHROMOSOMES, test.name)
    predicted = predict_logits(model, canvases).argmax(1)
    training = model.info.training
    line: dict[str, Any] = {
        "model": model_name,
        "seed": seed,
        "images": len(test),
        "cells": len({group_of(record) for record in test.records}),
        "accuracy": float((predicted == truth).mean()),
        "epochs": training["recipe"]["epochs"],
        "train_images": training["images"],
        "val_accuracy": model.info.val["accuracy"],
        "weights_sha256": model.info.sha256,
    }
    if model.spec.splitter != "none":
        line["full"] = float((predict_logits(model, canvases, full=True).argmax(1) == truth).mean())
    return line, [CHROMOSOMES[index] for index in predicted]


def score_missing(data: Path, runs: Path) -> None:
    """Score what is finished and has no line yet, and keep lines and predictions."""
    lines = read_csv(RUNS) if RUNS.exists() else []
    rows = {row["path"]: row for row in read_csv(PREDICTIONS)} if PREDICTIONS.exists() else {}
    test = open_part(TAG, data, "test")
    done = {(line["model"], line["seed"]) for line in lines}
    for model, seed, folder in trainings(read_queue(QUEUE), runs):
        if (model, str(seed)) in done:
            continue
        done.add((model, str(seed)))
        line, predictions = score_training(model, seed, folder, test)
        print(model, seed, f"{line['accuracy']:.4f}", flush=True)
        lines.append({**line, "commit": COMMIT})
        for record, prediction in zip(test.records, predictions, strict=True):
            known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label}
            rows.setdefault(record.path, known)[column_of(model, seed)] = prediction
    RUNS.write_text(to_csv(lines))
    PREDICTIONS.write_text(to_csv(list(rows.values())))


def table() -> list[dict[str, Any]]:
    """Return a line per system, from the kept files."""
    lines, images = read_csv(RUNS), read_csv(PREDICTIONS)
    groups = [group_of(Record(row["path"], case=row["case"], cell=row["cell"])) for row in images]
    seeds = {model: sorted(int(line["seed"]) for line in lines if line["model"] == model) for model in SYSTEMS}

    def right(model: str, which: Sequence[int]) -> np.ndarray:
        return np.array([[row[column_of(model, seed)] == row["label"] for seed in which] for row in images])

    found = []
    for model, name in SYSTEMS.items():
        if not seeds[model]:
            continue
        own = [line for line in lines if line["model"] == model]
        full = [float(line["full"]) for line in own if line.get("full")]
        line = {
            "model": model,
            "name": name,
            **accuracy_of(right(model, seeds[model]), groups),
            "full": 100 * float(np.mean(full)) if full else "",
            "seeds": ", ".join(map(str, seeds[model])),
            "runs": len(seeds[model]),
            "epochs": own[0]["epochs"],
            "images": len(images),
        }
        both = [seed for seed in seeds[model] if seed in seeds[CONTROL]]
        if model != CONTROL and both:
            line |= against_control(right(model, both), right(CONTROL, both), groups)
        found.append(line)
    return found


def against_control(ours: np.ndarray, control: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
    """Compare two (images, seeds) arrays of hits: the mean difference in points, its interval by cell, McNemar's p per seed."""
    gap = ours.mean(1) - control.mean(1)
    low, high = (100 * value for value in bootstrap_mean(gap, groups) or (math.nan, math.nan))
    each = [mcnemar_exact(ours[:, index], control[:, index]).p for index in range(ours.shape[1])]
    return {
        "difference": 100 * float(gap.mean()),
        "difference_low": low,
        "difference_high": high,
        "difference_interval": f"{low:+.2f} to {high:+.2f}",
        "mcnemar": ", ".join(f"{p:.2g}" for p in each),
    }


def main() -> None:
    """Score what is finished and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with qband.zip; without it nothing is scored")
    parser.add_argument("--runs", type=Path, default=Path("runs/grid"), help="where the queue's runs are")
    options = parser.parse_args()
    if options.data:
        score_missing(options.data, options.runs)
    queue = read_queue(QUEUE)[0]
    lines = table()
    counts = {line["images"] for line in lines}
    note = (
        f"{NAMES[TAG]}, test part ({', '.join(map(str, counts))} images never seen), lower branch; all from {queue['init']} by "
        f"the recipe {queue['recipe']}, {queue['epochs']} epochs; nothing selected. The spread is the standard deviation over "
        "the seeds; intervals draw whole cells. Differences are over the seeds that the system and the control both have."
    )
    write("paper/grid_seeds", lines, COLUMNS, note)


if __name__ == "__main__":
    main()
