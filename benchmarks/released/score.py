"""Score all released weights on their val and test parts, by the lower branch and by all classifiers.

    python -m benchmarks.released.score --data FOLDER [NAME ...]

Writes the reports that `gricol-zoo validate` writes, results/released/<name>.<part>[.full].json, and all of them as one table,
results/released/weights.csv and .md. The test part is read once, with final weights: no choice is based on it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.record import RESULTS, write
from benchmarks.common.sets import open_part, split_file, tag_of
from benchmarks.common.weights import create, released
from gricol_zoo.evaluation.report import evaluate, write_report

COLUMNS = {
    "name": ("model", ""),
    "part": ("part", ""),
    "inference": ("classifiers", ""),
    "images": ("images", ""),
    "cells": ("cells", ""),
    "accuracy": ("accuracy", ".4f"),
    "low": ("95 % by case or cell, from", ".4f"),
    "high": ("to", ".4f"),
    "macro_f1": ("macro F1", ".4f"),
    "ece": ("ECE", ".4f"),
    "perfect_cells": ("cells without an error", ""),
}


def report_file(name: str, part: str, full: bool) -> Path:
    """Return the file of a report."""
    return RESULTS / "released" / f"{name}.{part}{'.full' if full else ''}.json"


def row(name: str, report: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as a row of the table, without the per-class scores, which are only in the JSON."""
    low, high = report["accuracy_ci95"]
    flat = {key: value for key, value in report.items() if key not in ("per_class", "accuracy_ci95", "model")}
    arch, _, tag = name.rpartition(".")
    recipe = training["recipe"]
    about = {
        "arch": arch,
        "tag": tag,
        "epochs": recipe["epochs"],
        "seed": recipe["seed"],
        "init_sha256": training["init_sha256"],
    }
    return {"name": name, **about, **flat, "low": low, "high": high}


def main() -> None:
    """Score the named weights and write the reports and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("names", nargs="*", help="default: all released weights")
    options = parser.parse_args()
    for name in options.names or released():
        model, tag = create(name, deployed=False), tag_of(name)
        for part in ("val", "test"):
            images = open_part(tag, options.data, part)
            for full in (False, True) if model.spec.splitter != "none" else (False,):
                report, _ = evaluate(
                    model,
                    images,
                    name=name,
                    weights_sha256=model.info.sha256,
                    split=split_file(tag).name,
                    part=part,
                    full=full,
                )
                write_report(report, report_file(name, part, full))
                print(name, part, report["inference"], f"{report['accuracy']:.4f}", flush=True)
    rows = []
    for name in released():
        info = create(name).info
        files = [report_file(name, part, full) for part in ("val", "test") for full in (False, True)]
        reports = [json.loads(file.read_text()) for file in files if file.exists()]
        rows += [row(name, report, info.training) for report in reports if report["weights_sha256"] == info.sha256]
    write("released/weights", rows, COLUMNS)


if __name__ == "__main__":
    main()
