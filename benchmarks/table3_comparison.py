"""The paper's Table 3, all systems by one recipe on the same folds and seeds, beside the printed figures.

    python benchmarks/table3_comparison.py --data FOLDER --budget light --runs runs/tables [--only gril] [--time-limit 5000]

Does the runs that are missing (see runs.py) and writes results/table3_comparison.<budget>.<set>.csv and .md; stopped, the same
command goes on, and without --data it only writes the table anew. The paper trained at 448x456 and does not say by which recipe
its comparison systems were; Gflops are multiply-adds (one multiply-add = 1) of what answers: the lower branch of a grid model.
"""

from __future__ import annotations

from record import write
from runs import do_runs, parse
from systems import TABLE3
from tables import COLUMNS, conditions, line_of


def main() -> None:
    """Do what is missing and write the table."""
    asked = parse(__doc__, TABLE3)
    if asked.work is not None:
        do_runs(asked.work)
    lines = [line_of(asked.budget, asked.tag, system) for system in TABLE3]
    note = conditions(asked.budget, asked.tag, lines)
    write(f"table3_comparison.{asked.budget}.{asked.tag}", lines, COLUMNS, note)


if __name__ == "__main__":
    main()
