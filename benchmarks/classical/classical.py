"""The two classical systems on Q-band: trained on the train part, scored on the val part, single images and reassigned.

    python -m benchmarks.classical.classical --data FOLDER

The test part is not read. Hidden units, alpha, orientation and the waist's depth were chosen on the same val part, so these
numbers are a little too good. Writes results/classical/classical.csv and .md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.common.record import write
from benchmarks.common.sets import open_part
from gricol_zoo.classical.measuring import measure_all
from gricol_zoo.classical.model import cells_of, fit_measured, reassign
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.evaluation.report import score
from gricol_zoo.spec import CHROMOSOMES

SEED = 0
COLUMNS = {
    "name": ("system", ""),
    "orientation": ("orientation", ""),
    "soft": ("tree soft", ""),
    "accuracy": ("val accuracy, single images", ".4f"),
    "low": ("95 % by cell, low", ".4f"),
    "high": ("high", ".4f"),
    "reassigned": ("reassigned within the cell", ".4f"),
    "images": ("images", "d"),
    "cells": ("cells", "d"),
    "fit_seconds": ("seconds to fit", ".0f"),
}


def main() -> None:
    """Measure once, fit each system in each orientation, score on val."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    data = parser.parse_args().data
    train, val = open_part("qband", data, "train"), open_part("qband", data, "val")
    measured, val_measured = measure_all(train), measure_all(val)
    truth, rows = label_indices(val.records, CHROMOSOMES, val.name), []
    for name in CLASSICAL:
        system = CLASSICAL.get(name)
        variants = [system.settings]
        if len(system.networks) > 1:
            variants.append(type(system.settings)(**{**asdict(system.settings), "soft": False}))
        variants.append(type(system.settings)(**{**asdict(system.settings), "orientation": "centromere"}))
        for settings in variants:
            start = time.perf_counter()
            model = fit_measured(name, train.records, measured, val.records, val_measured, settings, SEED)
            seconds = time.perf_counter() - start
            logits = model.logits_of(val_measured, cells_of(val.records))
            scores = score(logits, truth, val.records, CHROMOSOMES, model.info.calibration.temperature)
            together = reassign(model.info.calibration.probabilities(logits), val.records)
            low, high = scores["accuracy_ci95"]
            kept = {key: scores[key] for key in ("accuracy", "macro_f1", "ece", "images", "cells")}
            right = {"reassigned": float(np.mean(together == truth)), "train_images": len(train)}
            rows.append(
                {
                    "name": name,
                    **asdict(settings),
                    **kept,
                    "low": low,
                    "high": high,
                    **right,
                    "fit_seconds": seconds,
                    "seed": SEED,
                }
            )
    write("classical/classical", rows, COLUMNS)


if __name__ == "__main__":
    main()
