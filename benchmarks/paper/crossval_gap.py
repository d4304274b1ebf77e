"""One light model on Q-band, cross-validated by cell and image-level: both accuracies, and the difference between them.

    python -m benchmarks.paper.crossval_gap --data FOLDER --init RUN --runs runs/crossval [--group case] [--time-limit 5000]

Five folds each, `light_finetune` cut to a few epochs, every fold from the same weights (``--init``: trained on Pki-3's train
part, so on none of these images). It is `gricol-zoo crossval` twice, with `--group case` and `--group image`, and `gricol-zoo
compare`; the same command continues a stopped run. Writes results/paper/crossval.csv, crossval_folds.csv and crossval_gap.csv.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

from benchmarks.common.record import write
from benchmarks.common.sets import open_set
from gricol_zoo.data.rows import read_csv
from gricol_zoo.evaluation.compare import compare_runs
from gricol_zoo.evaluation.out_of_fold import FOLDS
from gricol_zoo.progress import show_progress
from gricol_zoo.training.crossval import run_folds
from gricol_zoo.training.recipes import get_recipe

COLUMNS = {
    "protocol": ("protocol", ""),
    "images": ("images", ""),
    "accuracy": ("out-of-fold accuracy", ".4f"),
    "low": ("95 % by cell, from", ".4f"),
    "high": ("to", ".4f"),
    "macro_f1": ("macro F1", ".4f"),
    "ece": ("ECE", ".4f"),
    "perfect_cells": ("cells without an error", ""),
}
FOLD_COLUMNS = {"protocol": ("protocol", ""), "fold": ("fold", ""), "images": ("images", ""), "accuracy": ("accuracy", "")}
GAP_COLUMNS = {
    "difference": ("image-level minus by cell", "+.4f"),
    "low": ("95 % by cell, from", "+.4f"),
    "high": ("to", "+.4f"),
    "only_image_level": ("right image-level alone", ""),
    "only_by_cell": ("right by cell alone", ""),
    "p": ("McNemar's p", ".2g"),
}


def main() -> None:
    """Run what is not done yet, and write the tables once both are done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--init", required=True, help="the run of r18half_128.pki3_start")
    parser.add_argument("--model", default="r18half_128")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--runs", type=Path, default=Path("runs/crossval"))
    parser.add_argument("--group", choices=["case", "image"], help="run only this protocol now")
    parser.add_argument("--time-limit", type=float, default=math.inf)
    options = parser.parse_args()
    show_progress()
    deadline = time.monotonic() + options.time_limit
    images, recipe = open_set("qband", options.data), get_recipe("light_finetune", epochs=options.epochs)
    reports = {}
    for group in [options.group] if options.group else ["case", "image"]:
        out, left = options.runs / group, deadline - time.monotonic()
        report = run_folds(images, options.model, recipe, out, group=group, init=options.init, resume=True, time_limit=left)
        if report is None:
            return
        reports[group] = report
    if len(reports) < 2:
        return
    rows, folds = [], []
    for group, report in reports.items():
        low, high = report["accuracy_ci95"]
        known = {"protocol": report["protocol"], "model": options.model, "epochs": options.epochs, "seed": recipe.seed}
        kept = {key: report[key] for key in ("images", "cells", "accuracy", "macro_f1", "ece", "perfect_cells", "data_sha256")}
        rows.append({**known, **kept, "low": low, "high": high})
        folds += [{**known, **row} for row in read_csv(options.runs / group / FOLDS)]
    gap = compare_runs(options.runs / "image", options.runs / "case")
    low, high = gap["difference_ci95"]
    mcnemar = gap["mcnemar"]
    alone = {"only_image_level": mcnemar["only_first"], "only_by_cell": mcnemar["only_second"], "p": mcnemar["p"]}
    write("paper/crossval", rows, COLUMNS)
    write("paper/crossval_folds", folds, FOLD_COLUMNS)
    write("paper/crossval_gap", [{"difference": gap["difference"], "low": low, "high": high, **alone}], GAP_COLUMNS)


if __name__ == "__main__":
    main()
