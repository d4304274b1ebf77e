"""The paper's Table 2 beside ours: parameters and Gflops by grid size, and accuracy.

    python -m benchmarks.paper.table2_grid_size [--data FOLDER --budget light --runs runs/tables --time-limit 5000]

Writes results/paper/table2_grid_size.<budget>.<set>.csv and .md. Gflops are multiply-adds (one multiply-add = 1), counted by
fvcore at 1x448x456, batch-norm and pooling included, upper branch alone: counted so and cut off at one decimal, they reproduce
all six of the paper's figures. The lower branch, which alone runs at inference, is beside it. Accuracies are those of the runs
that are recorded at the budget (see runs.py); with --data the missing runs are done first, and the same command continues a
stopped run.
"""

from __future__ import annotations

import math

import gricol_zoo
from benchmarks.common.record import write
from benchmarks.paper.runs import run_missing
from benchmarks.paper.systems import SYSTEMS, TABLE2
from benchmarks.paper.tables import COLUMNS, table_of

PRINTED = {"gricol_n2": (2, 11.5, 22.1), "gricol": (3, 26.0, 27.5), "gricol_n4": (4, 46.3, 35.0)}
SHOWN = {
    "grid": ("N", ""),
    "paper_gflops": ("Gflops, paper", ""),
    "gflops": ("Gflops, ours (upper branch)", ""),
    "paper_params": ("parameters (M), paper", ""),
    "params": ("ours", ""),
    "gmacs_lower": ("lower branch, Gflops", ".3f"),
    **{key: COLUMNS[key] for key in ("shown", "interval", "paper_qband", "paper_gband", "paper_fish", "runs")},
}


def cut(value: float) -> float:
    """Cut off at one decimal."""
    return math.floor(value * 10) / 10


def counts_of(system: str) -> dict[str, object]:
    """Return a model's costs at full size, as numbers and as shown in the table, beside the paper's."""
    grid, gflops, params = PRINTED[system]
    cost = gricol_zoo.count(gricol_zoo.create_model(SYSTEMS[system].full))
    shown = {
        "gflops": f"{cut(cost.upper)} ({cost.upper:.3f})",
        "params": f"{cut(cost.params)} ({cost.params:.3f})",
    }
    return {"grid": grid, "paper_gflops": gflops, "paper_params": params, **shown, **cost.rows()}


def main() -> None:
    """Do the missing runs, count the three models, and write the table."""
    budget, tag = run_missing(__doc__, TABLE2)
    lines, conditions = table_of(budget, tag, TABLE2)
    rows = [{**line, **counts_of(system)} for system, line in zip(TABLE2, lines, strict=True)]
    note = f"Gflops and parameters are the full-size models'. Accuracy: {conditions}"
    write(f"paper/table2_grid_size.{budget}.{tag}", rows, SHOWN, note)


if __name__ == "__main__":
    main()
