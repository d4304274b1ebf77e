"""The paper's Table 1: cells with and without overlap, and whether the difference is significant.

    python -m benchmarks.paper.table1_overlap --data FOLDER --budget light --runs runs/tables [--time-limit 5000]

Does the runs that are missing (see runs.py) and writes results/paper/table1_overlap.<budget>.<set>.csv and .md, and the tests
beside them as table1_tests. Without --data it only rewrites them. The paper prints the p-value of a t-test over 100 runs
and does not say of which kind, nor what differed between the runs; p = 0.52 for one point on FISH beside 2.7e-22 for 1.4
points on G-band shows how much that matters. The table has both kinds of t-test over our runs; the paired t-test corrected for
the training images that runs share; McNemar's exact test, image by image, for each seed; and the bootstrap interval of the
difference over whole cases or cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common.record import write
from benchmarks.paper.runs import run_missing
from benchmarks.paper.systems import TABLE1
from benchmarks.paper.tables import COLUMNS, Result, read_result, table_of
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.evaluation.significance import corrected_t_test, mcnemar_exact, paired_t_test, two_sample_t_test

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


def tests_of(first: Result, second: Result, paper_p: float | str) -> list[dict[str, Any]]:
    """Return one row per test of two systems over the same images, seeds and folds; ``paper_p`` is "" if none is printed."""
    ours, theirs = (np.array([line["accuracy"] for line in result.lines]) for result in (first, second))
    share = float(np.mean([line["images"] / line["train_images"] for line in first.lines]))
    rows: list[dict[str, Any]] = []
    if len(ours) > 1:
        over = f"accuracies of {len(ours)} runs each"
        tests = {
            "t-test of two samples, as the paper may mean": two_sample_t_test(ours, theirs),
            "t-test of pairs, as it may mean too": paired_t_test(ours, theirs),
            "t-test of pairs, corrected for shared training images": corrected_t_test(ours, theirs, share),
        }
        rows = [{"test": name, **_of(test), "what": over} for name, test in tests.items()]
        rows[0]["paper_p"] = paper_p
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
    budget, tag = run_missing(__doc__, TABLE1)
    lines, note = table_of(budget, tag, TABLE1)
    write(f"paper/table1_overlap.{budget}.{tag}", lines, COLUMNS, note)
    first, second = (read_result(budget, tag, system) for system in TABLE1)
    if first is not None and second is not None and first.right.shape == second.right.shape:
        write(f"paper/table1_tests.{budget}.{tag}", tests_of(first, second, PAPER_P.get(tag, "")), TEST_COLUMNS, note)


if __name__ == "__main__":
    main()
