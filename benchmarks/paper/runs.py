"""Train and score what the tables need, one run per (system, seed, fold); a finished run is never repeated.

Shared by table1_overlap.py, table2_grid_size.py and table3_comparison.py. Five folds by case or cell (fold seed 0), of which
the light budget tests only the first; a tenth of the other groups is val, for calibration. Nothing is selected: the averaged
weights after the last epoch are scored once, on the fold that they have not seen. Each run adds a line to
results/paper/table_runs.<budget>.<set>.csv and a column to table_predictions.<budget>.<set>.csv; both are kept, and a stopped
run continues from its checkpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.record import COMMAND, COMMIT, RESULTS
from benchmarks.common.sets import NAMES, open_set
from benchmarks.paper.systems import BUDGETS, FOLD_SEED, FOLDS, SYSTEMS, Budget, of_budget
from gricol_zoo.classical.model import fit, reassign
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.folds import assign_folds, fold_split
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.data.split import apply_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.report import score
from gricol_zoo.factory import create_model
from gricol_zoo.files import write_atomically
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.models.flops import count
from gricol_zoo.progress import show_progress
from gricol_zoo.spec import CHROMOSOMES
from gricol_zoo.training.train import train

PLACE = {"path", "case", "cell", "label", "fold"}


class Run(NamedTuple):
    """One training: of what, with which seed, tested on which fold (counted from 0)."""

    system: str
    seed: int
    fold: int

    @property
    def column(self) -> str:
        """The name of its column of predictions, which all folds share."""
        return f"{self.system}.{self.seed}"


class Work(NamedTuple):
    """What is to be trained.

    Attributes:
        budget, tag: names of the budget and of the image set.
        images: all of them.
        folder: where the runs are stored.
        systems, seeds: what to train now.
        deadline: of time.monotonic().
        device: to train on.
        precision: number format for systems that leave it to the recipe; "" for the recipe's own.
    """

    budget: str
    tag: str
    images: ImageSet
    folder: Path
    systems: tuple[str, ...]
    seeds: tuple[int, ...]
    deadline: float
    device: str
    precision: str = ""

    @property
    def plan(self) -> Budget:
        """How much is trained."""
        return BUDGETS[self.budget]


def runs_file(budget: str, tag: str) -> Path:
    """Return the file that has one line per finished run."""
    return RESULTS / "paper" / f"table_runs.{budget}.{tag}.csv"


def predictions_file(budget: str, tag: str) -> Path:
    """Return the file with every run's prediction for every tested image."""
    return RESULTS / "paper" / f"table_predictions.{budget}.{tag}.csv"


def read_rows(file: Path) -> list[dict[str, str]]:
    """Read a CSV; return no rows if it does not exist yet."""
    return read_csv(file) if file.exists() else []


def run_missing(doc: str | None, systems: Sequence[str], full_only: Sequence[str] = ()) -> tuple[str, str]:
    """Read the command line that the tables share, and do the missing runs; return the budget and the tag of the image set.

    ``full_only`` are systems that only the full budget has.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip; without it nothing is trained")
    parser.add_argument("--set", choices=sorted(NAMES), default="qband")
    parser.add_argument("--budget", choices=sorted(BUDGETS), default="light")
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"))
    parser.add_argument(
        "--only", nargs="+", choices=(*systems, *full_only), help="only these systems now; processes can share the work"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="only these seeds now")
    parser.add_argument("--time-limit", type=float, default=math.inf, help="seconds; the same command continues")
    parser.add_argument("--device", default="")
    parser.add_argument("--precision", default="", choices=["", "fp32", "bf16"], help="default: the recipe's own")
    options = parser.parse_args()
    show_progress()
    if options.data is None:
        return options.budget, options.set
    seeds = tuple(options.seeds or BUDGETS[options.budget].seeds)
    deadline = time.monotonic() + options.time_limit
    images, folder = open_set(options.set, options.data), options.runs / f"{options.budget}.{options.set}"
    only = tuple(options.only or (*systems, *(full_only if options.budget == "full" else ())))
    do_runs(Work(options.budget, options.set, images, folder, only, seeds, deadline, options.device, options.precision))
    return options.budget, options.set


def do_runs(work: Work) -> None:
    """Do what is not done yet, seed by seed, until the time is over; runs that another process holds are skipped."""
    fold_of = assign_folds(work.images, FOLDS, FOLD_SEED)
    for seed in work.seeds:
        for fold in work.plan.tested:
            for name in work.systems:
                run = Run(name, seed, fold)
                with _mine(work.folder / f"{name}.{seed}.{fold}") as mine:
                    if mine and not _is_done(work, run) and (time.monotonic() > work.deadline or not _do(work, run, fold_of)):
                        return


def _is_done(work: Work, run: Run) -> bool:
    key = (run.system, str(run.seed), str(run.fold))
    return any((row["system"], row["seed"], row["fold"]) == key for row in read_rows(runs_file(work.budget, work.tag)))


def _do(work: Work, run: Run, fold_of: np.ndarray) -> bool:
    """Do one run; False if it was stopped, by the deadline or by a signal."""
    split = fold_split(work.images, fold_of, run.fold, FOLD_SEED)
    parts = apply_split(work.images, split)
    print(f"{run.system}, seed {run.seed}, fold {run.fold + 1}", flush=True)
    found = _classical(run, parts) if SYSTEMS[run.system].classical else _network(work, run, parts, split)
    if found is None:
        return False
    row, logits = found
    test = parts["test"]
    scores = score(logits, label_indices(test.records, CHROMOSOMES, test.name), test.records, CHROMOSOMES)
    kept = {key: scores[key] for key in ("images", "cells", "accuracy", "macro_f1")}
    known = {"system": run.system, "seed": run.seed, "fold": run.fold, "budget": work.budget, "data": work.tag}
    line = {**known, **kept, "train_images": len(parts["train"]), **row, "commit": COMMIT, "command": COMMAND}
    _write(work, run, line, test, [CHROMOSOMES[index] for index in logits.argmax(1)])
    return True


def _classical(run: Run, parts: dict[str, ImageSet]) -> tuple[dict[str, Any], np.ndarray]:
    started, test = time.monotonic(), parts["test"]
    model = fit(SYSTEMS[run.system].light, parts["train"], parts["val"], seed=run.seed)
    logits = model.predict_logits(test)
    together = reassign(model.predict_probabilities(test), test.records)
    right = float((together == label_indices(test.records, CHROMOSOMES, test.name)).mean())
    return {"model": model.system, "reassigned": right, "seconds": round(time.monotonic() - started)}, logits


def _network(
    work: Work, run: Run, parts: dict[str, ImageSet], split: dict[tuple[str, str], str]
) -> tuple[dict[str, Any], np.ndarray] | None:
    """Return a run's line and its logits for the test fold, or None if the training was stopped before its end."""
    name, changes = of_budget(SYSTEMS[run.system], work.budget)
    precision = SYSTEMS[run.system].precision or work.precision or work.plan.recipe.precision
    recipe = dataclasses.replace(work.plan.recipe, seed=run.seed, precision=precision)
    out, started = work.folder / f"{run.system}.{run.seed}.{run.fold}", time.monotonic()
    if not (out / "config.json").exists():  # written last
        left = work.deadline - started
        which = f"fold {run.fold + 1} of {FOLDS}, seed {FOLD_SEED}"
        if not train(
            work.images,
            split,
            name,
            recipe,
            out,
            changes=changes,
            resume=True,
            time_limit=left,
            device=work.device,
            split_name=which,
        ):
            return None
        (out / "checkpoint.pt").unlink()
    model: Any = create_model(f"local-dir:{out}", pretrained=True)
    cost, test = count(model), parts["test"]
    canvases, truth = load_canvases(test, model.spec), label_indices(test.records, CHROMOSOMES, test.name)
    log = read_csv(out / "log.csv")
    row = {
        "model": name,
        "changes": "; ".join(f"{key}={value}" for key, value in changes.items()),
        "epochs": recipe.epochs,
        "precision": recipe.precision,
        **cost.rows(),
        "val_accuracy": float(log[-1]["val_accuracy"]),
        "sha256": model.info.sha256,
        "seconds": round(sum(float(line["seconds"]) for line in log)),
    }
    if int(model.splitter.num_cells):
        row["full"] = float((predict_logits(model, canvases, full=True).argmax(1) == truth).mean())
    return row, predict_logits(model, canvases)


def _write(work: Work, run: Run, line: dict[str, Any], test: ImageSet, predicted: Sequence[str]) -> None:
    """Add a finished run to both files: first its predictions, then the line that says it is done."""
    with _locked(work.folder / "files"):
        file = predictions_file(work.budget, work.tag)
        rows = {row["path"]: row for row in read_rows(file)}
        for record, prediction in zip(test.records, predicted, strict=True):
            known = {"path": record.path, "case": record.case, "cell": record.cell, "label": record.label}
            rows.setdefault(record.path, {**known, "fold": str(run.fold)})[run.column] = prediction
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        order = [key for key in columns if key in PLACE] + sorted(set(columns) - PLACE)
        write_atomically(file, to_csv(list(rows.values()), order).encode())
        lines = [*read_rows(runs_file(work.budget, work.tag)), line]
        write_atomically(runs_file(work.budget, work.tag), to_csv(lines).encode())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time change the files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _mine(path: Path) -> Iterator[bool]:
    """Yield True to the one process that holds a run's lock, False to others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
