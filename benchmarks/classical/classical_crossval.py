"""The two classical systems on Q-band, cross-validated by cell: every image out of fold, single and reassigned within its cell.

    python -m benchmarks.classical.classical_crossval --data FOLDER [--runs runs/classical] [--systems poletti2012]

It is `gricol-zoo crossval --model poletti2012` and `--model wang2009` (5 folds by cell, fold seed 0, each system's own
settings), with the images measured once for both; the same command continues a stopped run. Nothing is tuned on these folds,
but the settings and the costs of reassignment were chosen earlier on the released split's val part, a tenth of these images.
So each system is also scored without the cells of that part (the folds' systems are the same). The published figures are for
other folds or other images. Writes results/classical/classical_crossval.csv and .md.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import kept, write
from benchmarks.common.sets import open_set, split_file
from gricol_zoo.classical.crossval import reassigned_scores, run_folds
from gricol_zoo.classical.measuring import Measured, measure_images
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.out_of_fold import LOGITS
from gricol_zoo.evaluation.report import score
from gricol_zoo.progress import show_progress
from gricol_zoo.spec import CHROMOSOMES

PUBLISHED = {
    "poletti2012": "94 %, reassigned, 5474 images, folds not known (Poletti 2012); 95.6 %, 49 cells held out (EMBC 2008)",
    "wang2009": "92.9 % into 7 groups, 67.5 to 97.5 % within each; 6900 images of another set (Wang 2009)",
}
COLUMNS = {
    "name": ("system", ""),
    "protocol": ("protocol", ""),
    "images": ("images", "d"),
    "cells": ("cells", "d"),
    "accuracy": ("accuracy, single images", ".4f"),
    "low": ("95 % by cell, low", ".4f"),
    "high": ("high", ".4f"),
    "reassigned": ("reassigned within the cell", ".4f"),
    "reassigned_low": ("low", ".4f"),
    "reassigned_high": ("high", ".4f"),
    "perfect": ("cells without an error, single", "d"),
    "reassigned_perfect": ("reassigned", "d"),
    "published": ("published", ""),
}


def main() -> None:
    """Cross-validate what is not done yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--runs", type=Path, default=Path("runs/classical"))
    parser.add_argument("--systems", nargs="+", choices=list(CLASSICAL), default=list(CLASSICAL))
    options = parser.parse_args()
    show_progress()
    images = open_set("qband", options.data)
    measured: Measured | None = None
    val = [cell for cell, part in read_split(split_file("qband")).items() if part == "val"]
    others = [index for index, record in enumerate(images.records) if (record.case, record.cell) not in val]
    rows: list[dict[str, Any]] = kept("classical/classical_crossval", options.systems)
    for name in options.systems:
        out = options.runs / name
        if measured is None and len(list(out.glob(f"fold*/{LOGITS}"))) < 5:
            measured = measure_images(images)
        report = run_folds(images, name, out, resume=True, measured=measured)
        logits = read_logits(out, images)
        for keep, protocol in (
            (range(len(images)), "5 folds by cell"),
            (others, "5 folds by cell, scored without the val part's cells"),
        ):
            rows.append({"name": name, "protocol": protocol, **scores(logits[list(keep)], images.subset(keep))})
            rows[-1] |= {"published": PUBLISHED[name], "fold_seed": report["fold_seed"], "seed": report["training_seed"]}
            rows[-1]["data_sha256"] = report["data_sha256"]
    write("classical/classical_crossval", rows, COLUMNS)


def read_logits(out: Path, images: ImageSet) -> np.ndarray:
    """Return the out-of-fold logits, (n, 24), of a finished cross-validation in the order of the images."""
    rows = {row["path"]: int(row["fold"]) for row in read_csv(out / "predictions.csv")}
    fold_of = np.array([rows[record.path] for record in images.records])
    logits = np.zeros((len(images), len(CHROMOSOMES)), np.float32)
    for fold in np.unique(fold_of):
        logits[fold_of == fold] = np.load(out / f"fold{fold}" / LOGITS)
    return logits


def scores(logits: np.ndarray, images: ImageSet) -> dict[str, Any]:
    """Return the columns of one row: scores of single images, and of classes assigned together within each cell."""
    truth = label_indices(images.records, CHROMOSOMES, images.name)
    single, together = score(logits, truth, images.records, CHROMOSOMES), reassigned_scores(logits, truth, images)
    assert together is not None
    return {
        **{key: single[key] for key in ("images", "cells", "accuracy", "macro_f1", "ece")},
        "low": single["accuracy_ci95"][0],
        "high": single["accuracy_ci95"][1],
        "reassigned": together["accuracy"],
        "reassigned_low": together["accuracy_ci95"][0],
        "reassigned_high": together["accuracy_ci95"][1],
        "perfect": single["perfect_cells"],
        "reassigned_perfect": together["perfect_cells"],
        "unassigned": together["unassigned"],
        "not_measured": int(np.isnan(logits).any(1).sum()),
    }


if __name__ == "__main__":
    main()
