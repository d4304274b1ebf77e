"""The paper's Table 3, all systems by one recipe on the same folds and seeds, beside the printed figures.

    python benchmarks/table3_comparison.py --data FOLDER --budget light --runs runs/tables [--only gril] [--time-limit 5000]

Does the runs that are missing (see runs.py) and writes results/table3_comparison.<budget>.<set>.csv and .md; stopped, the same
command goes on, and without --data it only writes the table anew. The paper trained at 448x456 and does not say by which recipe
its comparison systems were; Gflops are multiply-adds (one multiply-add = 1) of what answers: the lower branch of a grid model.
"""

from __future__ import annotations

from record import write
from runs import do_missing
from systems import TABLE3
from tables import COLUMNS, table_of


def main() -> None:
    """Do what is missing and write the table."""
    budget, tag = do_missing(__doc__, TABLE3)
    lines, note = table_of(budget, tag, TABLE3)
    write(f"table3_comparison.{budget}.{tag}", lines, COLUMNS, note)


if __name__ == "__main__":
    main()
