"""The paper's Table 1: cells with and without overlap, and whether the difference is one.

    python benchmarks/table1_overlap.py --data FOLDER --budget light --runs runs/tables [--time-limit 5000]

Does the runs that are missing (see runs.py) and writes results/table1_overlap.<budget>.<set>.csv and .md, and the tests beside
them as table1_tests. Without --data it only writes them anew. The paper prints the p-value of a t-test over 100 runs and does
not say what differed between the runs; p = 0.52 for one point on FISH beside 2.7e-22 for 1.4 points on G-band shows how much
that matters. Here are that test as printed, over our runs; the same corrected for training images that runs share; McNemar's
exact test, image by image, of each seed; and the interval of the difference when whole cases or cells are drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from record import write
from runs import do_runs, parse
from systems import TABLE1
from tables import COLUMNS, Result, conditions, line_of, read_result

from gricol_zoo.metrics import bootstrap_mean
from gricol_zoo.significance import corrected_t_test, mcnemar_exact, paired_t_test

PAPER_P = {"gband": 2.66e-22, "fish": 0.52, "qband": 1.71e-8}
TEST_COLUMNS = {
    "test": ("test", ""),
    "difference": ("with minus without overlap, points", "+.2f"),
    "p": ("p", ".2g"),
    "low": ("95 %, from", "+.2f"),
    "high": ("to", "+.2f"),
    "paper_p": ("paper's p", ".3g"),
    "what": ("of what", ""),
}


def tests_of(first: Result, second: Result, paper_p: float | None) -> list[dict[str, Any]]:
    """Return one line a test of two systems over the same images, seeds and folds."""
    runs = [np.array([line["accuracy"] for line in result.lines]) for result in (first, second)]
    share = float(np.mean([line["images"] / line["train_images"] for line in first.lines]))
    rows: list[dict[str, Any]] = []
    if len(runs[0]) > 1:
        printed, corrected = paired_t_test(*runs), corrected_t_test(*runs, share)
        over = f"accuracies of {len(runs[0])} runs each"
        rows.append({"test": "t-test, as printed in the paper", **_of(printed), "paper_p": paper_p, "what": over})
        rows.append({"test": "t-test, corrected for shared training images", **_of(corrected), "what": over})
    for index in range(first.right.shape[1]):
        one, two = first.right[:, index], second.right[:, index]
        found = mcnemar_exact(one, two)
        what = f"{found.only_first} images right with overlap alone, {found.only_second} without alone"
        difference = 100 * float(one.mean() - two.mean())
        rows.append({"test": f"McNemar, exact, seed {index}", "difference": difference, "p": found.p, "what": what})
    gap = first.right.mean(1) - second.right.mean(1)
    low, high = bootstrap_mean(gap, first.groups) or (float("nan"), float("nan"))
    what = f"{len(gap)} images of {len(set(first.groups))} cases or cells, mean over the seeds"
    drawn = {"difference": 100 * float(gap.mean()), "low": 100 * low, "high": 100 * high, "what": what}
    return [*rows, {"test": "bootstrap by case or cell", **drawn}]


def _of(test: Any) -> dict[str, Any]:
    return {} if test is None else {"difference": 100 * test.difference, "p": test.p}


def main() -> None:
    """Do what is missing and write both tables."""
    asked = parse(__doc__, TABLE1)
    if asked.work is not None:
        do_runs(asked.work)
    lines = [line_of(asked.budget, asked.tag, system) for system in TABLE1]
    note = conditions(asked.budget, asked.tag, lines)
    write(f"table1_overlap.{asked.budget}.{asked.tag}", lines, COLUMNS, note)
    results = [read_result(asked.budget, asked.tag, system) for system in TABLE1]
    if results[0] is not None and results[1] is not None and results[0].right.shape == results[1].right.shape:
        tests = tests_of(results[0], results[1], PAPER_P.get(asked.tag))
        write(f"table1_tests.{asked.budget}.{asked.tag}", tests, TEST_COLUMNS, note)


if __name__ == "__main__":
    main()
