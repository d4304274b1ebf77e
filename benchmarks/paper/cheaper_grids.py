"""Cells cut from a feature map instead of from the image: accuracy beside Gflops, at equal seeds.

    python -m benchmarks.paper.cheaper_grids --data FOLDER --budget light --runs runs/tables [--time-limit 5000]

Does the runs that are missing (see runs.py) and writes results/paper/cheaper_grids.<budget>.<set>.csv and .md; without --data
it only rewrites them. Gflops are multiply-adds (one multiply-add = 1) of one image through both branches, which is what a
training step and `full` inference compute; the lower branch alone costs the same for all. Differences are against the pixel
splitter, by the lower branch, image by image over the same seeds, with a 95 % bootstrap interval over whole cases or cells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import gricol_zoo
from benchmarks.common.record import write
from benchmarks.paper.runs import run_missing
from benchmarks.paper.systems import CHEAPER, SYSTEMS, of_budget
from benchmarks.paper.tables import line_of, read_result, spread, table_of
from gricol_zoo.evaluation.metrics import bootstrap_mean

SHOWN = {
    "name": ("system", ""),
    "gmacs_full": ("both branches, Gflops", ".3f"),
    "part": ("of the pixel splitter's", ".0%"),
    "gmacs_upper": ("upper branch", ".3f"),
    "full_size": ("both, `gricol_r50half_n3`, Gflops", ".2f"),
    "shown": ("lower branch, accuracy, % ± spread", ""),
    "gap": ("minus pixel splitter, points (95 % by cell)", ""),
    "full_shown": ("all classifiers, % ± spread", ""),
    "seconds": ("training, s", ".0f"),
    "runs": ("runs", ""),
}


def cost_of(system: str) -> dict[str, Any]:
    """Return what a system costs, at the light size and at the paper's."""
    made = [of_budget(SYSTEMS[system], budget) for budget in ("light", "full")]
    light, full = (gricol_zoo.count(gricol_zoo.create_model(name, **changes)) for name, changes in made)
    return {**light.rows(), "full_size": full.full}


def against(system: str, budget: str, tag: str) -> dict[str, Any]:
    """Return how a system's lower branch compares with the pixel splitter's, and the spread of all its classifiers."""
    one, pixel = read_result(budget, tag, system), read_result(budget, tag, CHEAPER[0])
    if one is None or pixel is None:
        return {}
    full = np.array([100 * line["full"] for line in one.lines])
    apart = spread(full)
    row: dict[str, Any] = {
        "full_shown": f"{full.mean():.1f}" + (f" ± {apart:.1f}" if apart != "" else ""),
        "full_spread": apart,
    }
    if system == CHEAPER[0] or [line["seed"] for line in one.lines] != [line["seed"] for line in pixel.lines]:
        return row  # different seeds are not compared
    gap = one.right.mean(1) - pixel.right.mean(1)
    low, high = bootstrap_mean(gap, one.groups) or (math.nan, math.nan)
    difference, low, high = (100 * float(value) for value in (gap.mean(), low, high))
    shown = f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"
    return row | {"gap": shown, "difference": difference, "gap_low": low, "gap_high": high}


def main() -> None:
    """Do what is missing, count the systems, and write the table."""
    budget, tag = run_missing(__doc__, CHEAPER)
    _, note = table_of(budget, tag, CHEAPER)
    costs = {system: cost_of(system) for system in CHEAPER}
    pixel = costs[CHEAPER[0]]["gmacs_full"]
    rows = [
        {**line_of(budget, tag, system), **cost, "part": cost["gmacs_full"] / pixel, **against(system, budget, tag)}
        for system, cost in costs.items()
    ]
    write(f"paper/cheaper_grids.{budget}.{tag}", rows, SHOWN, note)


if __name__ == "__main__":
    main()
