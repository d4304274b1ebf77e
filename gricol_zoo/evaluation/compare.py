"""Compare two cross-validations on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import group_of
from gricol_zoo.data.table import Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.evaluation.out_of_fold import FOLDS, PREDICTIONS, QUESTION
from gricol_zoo.evaluation.significance import corrected_t_test, mcnemar_exact
from gricol_zoo.files import read_json


def compare_runs(first: Path, second: Path) -> dict[str, Any]:
    """Compare two cross-validations on the same images.

    Returns:
        JSON-able data with both accuracies and their difference (first - second) with its 95 % interval by case or cell;
        McNemar's exact test; and, if both used the same folds, the corrected t-test.

    Raises:
        GricolZooError: a folder has no finished cross-validation, or the two are on different images.
    """
    one, two = read_predictions(first), read_predictions(second)
    asked = [read_json(folder / QUESTION, "a cross-validation's question") for folder in (first, second)]
    if one.keys() != two.keys() or asked[0]["data_sha256"] != asked[1]["data_sha256"]:
        raise GricolZooError(f"Expected cross-validations on the same images, but {first} and {second} have different ones.")
    paths = sorted(one)
    right = [np.array([run[path]["prediction"] == run[path]["label"] for path in paths]) for run in (one, two)]
    groups = [group_of(Record(path, case=one[path]["case"], cell=one[path]["cell"])) for path in paths]
    fold_of = np.array([int(one[path]["fold"]) for path in paths])
    same = asked[0]["folds_sha256"] == asked[1]["folds_sha256"]
    test = None
    if same:
        folds = read_csv(first / FOLDS)
        by_fold = [np.array([hits[fold_of == int(row["fold"])].mean() for row in folds]) for hits in right]
        share = float(np.mean([int(row["images"]) / int(row["train_images"]) for row in folds]))
        test = corrected_t_test(by_fold[0], by_fold[1], share)
    return {
        "first": str(first),
        "second": str(second),
        "images": len(paths),
        "accuracy_first": float(right[0].mean()),
        "accuracy_second": float(right[1].mean()),
        "difference": float(right[0].mean() - right[1].mean()),
        "difference_ci95": bootstrap_mean(right[0].astype(int) - right[1], groups),
        "mcnemar": mcnemar_exact(*right)._asdict(),
        "same_folds": same,
        "corrected_t_test": test._asdict() if test else None,
    }


def read_predictions(folder: Path) -> dict[str, dict[str, str]]:
    """Read the predictions.csv of a cross-validation: path -> row.

    Raises:
        GricolZooError: the folder has no finished cross-validation.
    """
    for name in (QUESTION, PREDICTIONS, FOLDS):
        if not (folder / name).is_file():
            raise GricolZooError(f"{folder} has no finished cross-validation: {name} is missing.")
    return {row["path"]: row for row in read_csv(folder / PREDICTIONS)}
