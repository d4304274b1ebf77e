"""The paper's Table 2 beside ours: parameters and Gflops by grid size, and accuracy.

    python benchmarks/table2_grid_size.py [--data FOLDER --budget light --runs runs/tables --time-limit 5000]

Writes results/table2_grid_size.csv and .md. Gflops are multiply-adds (one multiply-add = 1), counted by fvcore at 1x448x456,
batch-norm and pooling included, upper branch alone: that reading, cut off at one decimal, gives back all six of the paper's
figures. The lower branch, which alone runs at inference, stands beside it. With --data the runs that are missing are done first
(see runs.py); accuracies, results/table2_accuracy.<budget>.<set>.csv and .md, are those of all runs that are recorded.
"""

from __future__ import annotations

import math

from record import write
from runs import do_runs, parse
from systems import TABLE2
from tables import conditions, line_of

import gricol_zoo

PRINTED = {2: (11.5, 22.1), 3: (26.0, 27.5), 4: (46.3, 35.0)}
COLUMNS = {
    "grid": ("N", ""),
    "paper_gflops": ("Gflops, paper", ""),
    "gmacs_upper_cut": ("Gflops, ours (upper branch)", ""),
    "gmacs_upper": ("not cut off", ".3f"),
    "paper_params_m": ("parameters (M), paper", ""),
    "params_m_cut": ("ours", ""),
    "params_m": ("not cut off", ".3f"),
    "gmacs_lower": ("lower branch, Gflops", ".3f"),
}
ACCURACY_COLUMNS = {
    "name": ("model", ""),
    "accuracy": ("accuracy, %", ".1f"),
    "spread": ("spread", ".1f"),
    "low": ("95 % by cell, from", ".1f"),
    "high": ("to", ".1f"),
    "full": ("all classifiers, %", ".1f"),
    "paper_qband": ("paper, Q-band, %", ""),
    "paper_gband": ("paper, G-band", ""),
    "paper_fish": ("paper, FISH", ""),
    "runs": ("runs", ""),
}


def cut(value: float) -> float:
    """Cut off at one decimal."""
    return math.floor(value * 10) / 10


def main() -> None:
    """Count the three models, do what runs are missing, and write both tables."""
    asked = parse(__doc__, TABLE2)
    rows = []
    for grid, (gflops, params) in PRINTED.items():
        cost = gricol_zoo.count(gricol_zoo.create_model(f"gricol_r50half_n{grid}"))
        ours = {"gmacs_upper_cut": cut(cost.upper), "params_m_cut": cut(cost.params), **cost.rows()}
        rows.append(
            {"model": f"gricol_r50half_n{grid}", "grid": grid, "paper_gflops": gflops, "paper_params_m": params, **ours}
        )
    write("table2_grid_size", rows, COLUMNS)
    if asked.work is not None:
        do_runs(asked.work)
    lines = [line_of(asked.budget, asked.tag, system) for system in TABLE2]
    write(f"table2_accuracy.{asked.budget}.{asked.tag}", lines, ACCURACY_COLUMNS, conditions(asked.budget, asked.tag, lines))


if __name__ == "__main__":
    main()
