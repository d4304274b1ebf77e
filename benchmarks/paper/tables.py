"""The results of the runs, read from results/paper/table_runs and table_predictions: tables are made without images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.record import number
from benchmarks.common.sets import NAMES
from benchmarks.paper.runs import predictions_file, read_rows, runs_file
from benchmarks.paper.systems import BUDGETS, FOLDS, SYSTEMS
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import Record
from gricol_zoo.evaluation.metrics import bootstrap_mean

COLUMNS = {
    "name": ("system", ""),
    "shown": ("accuracy, % ± spread", ""),
    "interval": ("95 % by cell", ""),
    "full": ("all classifiers, %", ".1f"),
    "reassigned": ("reassigned within the cell, %", ".1f"),
    "paper_qband": ("paper: Q-band", ""),
    "paper_gband": ("G-band", ""),
    "paper_fish": ("FISH", ""),
    "params_m": ("parameters, M", ".2f"),
    "gmacs": ("Gflops (multiply-adds)", ".3f"),
    "runs": ("runs", ""),
}
"""The columns of the readable tables."""


class Result(NamedTuple):
    """A system's runs.

    Attributes:
        lines: one per run, by seed and fold, numbers as numbers.
        right: (images, seeds) bool, whether each tested image was classified right.
        groups: (images,) case or cell of each.
    """

    lines: list[dict[str, Any]]
    right: np.ndarray
    groups: list[str]


def read_result(budget: str, tag: str, system: str) -> Result | None:
    """Return a system's results over the seeds whose folds are all done; None if there is no such seed."""
    lines = [row for row in read_rows(runs_file(budget, tag)) if row["system"] == system]
    tested = {str(fold) for fold in BUDGETS[budget].tested}
    seeds = sorted({row["seed"] for row in lines}, key=int)
    seeds = [seed for seed in seeds if {row["fold"] for row in lines if row["seed"] == seed} == tested]
    if not seeds:
        return None
    images = [row for row in read_rows(predictions_file(budget, tag)) if row.get(f"{system}.{seeds[0]}")]
    right = np.array([[row[f"{system}.{seed}"] == row["label"] for seed in seeds] for row in images])
    groups = [group_of(Record(row["path"], case=row["case"], cell=row["cell"])) for row in images]
    kept = sorted((row for row in lines if row["seed"] in seeds), key=lambda row: (int(row["seed"]), int(row["fold"])))
    return Result([{key: number(value) for key, value in row.items()} for row in kept], right, groups)


def table_of(budget: str, tag: str, systems: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """Return a table's lines, and the note under it that states the conditions."""
    lines = [line_of(budget, tag, system) for system in systems]
    return lines, conditions(budget, tag, lines)


def line_of(budget: str, tag: str, system: str) -> dict[str, Any]:
    """Return a system's line of a table: accuracies in %, their spread over the runs, the 95 % interval by case or cell."""
    known = SYSTEMS[system]
    line: dict[str, Any] = {"system": system, "name": known.label}
    result = read_result(budget, tag, system)
    if result is not None:
        line |= _summary(result)
    return line | {f"paper_{which}": known.paper.get(which, "") for which in ("gband", "fish", "qband")}


def _summary(result: Result) -> dict[str, Any]:
    first = result.lines[0]
    line = {key: first[key] for key in ("model", "changes", "params_m", "image_size", "epochs") if first.get(key, "") != ""}
    if first.get("gmacs_lower", "") != "":
        line["gmacs"] = first["gmacs_lower"]
    line |= accuracy_of(result.right, result.groups)
    line |= {"runs": len(result.lines), "images": len(result.right)}
    for key in ("full", "reassigned"):
        if first.get(key, "") != "":
            line[key] = 100 * float(np.mean([row[key] for row in result.lines]))
    return line | {"seconds": float(np.mean([row["seconds"] for row in result.lines]))}


def accuracy_of(right: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
    """Return the accuracy in % of several runs on the same images, its spread over them and its 95 % interval, also as texts.

    Args:
        right: (images, runs) bool, whether each was classified right.
        groups: (images,) case or cell of each, drawn whole for the interval; NaN where there is one alone.
    """
    accuracy, apart = 100 * float(right.mean()), spread(100 * right.mean(0))
    low, high = (100 * value for value in bootstrap_mean(right.mean(1), groups) or (math.nan, math.nan))
    shown = f"{accuracy:.1f}" + (f" ± {apart:.1f}" if apart != "" else "")
    values = {"accuracy": accuracy, "spread": apart, "low": low, "high": high}
    return {**values, "shown": shown, "interval": f"{low:.1f} to {high:.1f}"}


def spread(values: np.ndarray) -> float | str:
    """Return the standard deviation of several figures, "" for a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else ""


def conditions(budget: str, tag: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the conditions under which a table's accuracies were obtained, in words."""
    plan, runs = BUDGETS[budget], sorted({int(line["runs"]) for line in lines if "runs" in line})
    if not runs:
        return f"No run at the {budget} budget on {NAMES[tag]} is recorded yet."
    images = sorted({int(line["images"]) for line in lines if "images" in line})
    folds = f"fold {plan.tested[0] + 1}" if len(plan.tested) == 1 else f"{len(plan.tested)} folds"
    bends = "no augmentation that bends"
    trunk = "`r18half` stands for every ResNet-50 and images are 128x96; " if budget == "light" else ""
    return (
        f"{NAMES[tag]}, {folds} of {FOLDS} by case or cell ({', '.join(map(str, images))} unseen images), "
        f"{' or '.join(map(str, runs))} runs each (seeds from 0), random start, {plan.recipe.epochs} epochs of AdamW at "
        f"{plan.recipe.lr:g}, {bends}; {trunk}the last epoch's averaged weights, nothing selected. Accuracy of single images, "
        "%, mean of the runs; the spread is their standard deviation, the 95 % interval draws whole cases or cells."
    )
