"""The paper's Table 3, all systems by one recipe on the same folds and seeds, beside the printed figures.

    python -m benchmarks.paper.table3_comparison --data FOLDER --budget light --runs runs/tables [--only gril]

Does the runs that are missing (see runs.py) and writes results/paper/table3_comparison.<budget>.<set>.csv and .md. The same
command continues a stopped run; without --data it only rewrites the table. The paper trained at 448x456 and does not give the
recipe of its comparison systems. Gflops are multiply-adds (one multiply-add = 1) of what runs at inference: of a grid model,
the lower branch.
"""

from __future__ import annotations

from benchmarks.common.record import write
from benchmarks.paper.runs import run_missing
from benchmarks.paper.systems import FULL_ONLY, TABLE3
from benchmarks.paper.tables import COLUMNS, table_of


def main() -> None:
    """Do what is missing and write the table."""
    budget, tag = run_missing(__doc__, TABLE3, FULL_ONLY)
    lines, note = table_of(budget, tag, (*TABLE3, *(FULL_ONLY if budget == "full" else ())))
    write(f"paper/table3_comparison.{budget}.{tag}", lines, COLUMNS, note)


if __name__ == "__main__":
    main()
