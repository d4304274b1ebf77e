r"""How many good cells are warned of by mistake: whole cells that were never seen, exactly as they were filed.

    python -m benchmarks.released.false_warnings --data FOLDER [--folds FOLDER]
    gricol-zoo crossval --data qband.zip --model r18half_192 --recipe robust_finetune --epochs 6 \
        --init r18half_192.pki3 --out FOLDER                         # makes the folds

The Pki-3 cells are those of the test part, classified by the released weights. The Q-band test part has too few cells to
tell 2 % from 5 %, so cells are taken out of fold: each by the training of ``crossval`` that did not see it. Folds that are
not done yet are left out, and the table says how many there were. Every cell goes through ``karyotype`` as a user's does.
Writes results/released/false_warnings.csv, a row for each set, and .md with what was said.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.common.record import write
from benchmarks.common.sets import NAMES, open_part
from benchmarks.common.weights import create
from gricol_zoo.data.folds import assign_folds
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.out_of_fold import LOGITS, QUESTION
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.fast import optimize
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.run import cells_of, karyotype

PKI3 = "r18half_192.pki3"
COLUMNS = {
    "set": ("set", ""),
    "weights": ("weights", ""),
    "cells": ("cells", "d"),
    "warned": ("cells warned of", "d"),
    "images": ("images", "d"),
    "images_warned": ("images warned of", "d"),
    "scaled": ("cells scaled", "d"),
    "assigned": ("right after assignment, %", ".1f"),
}


def classifier_of(name: str) -> Classifier:
    """Return released weights, or those in a folder, ready to classify."""
    return of_network(optimize(create(name), "fp32"))


def look(classifier: Classifier, images: ImageSet) -> list[tuple[Karyotype, float]]:
    """Karyotype each cell of a set; with each, the share that was assigned its class."""
    found = []
    for name, cell in cells_of(images).items():
        one = karyotype(classifier, cell, cell=name)
        right = [c.assigned == r.label for c, r in zip(one.chromosomes, cell.records, strict=True)]
        found.append((one, sum(right) / len(right)))
        if one.warnings or one.scale != 1:
            print(f"{name}: scale {one.scale:g}; {'; '.join(one.warnings) or 'no warning'}", flush=True)
    return found


def row_of(name: str, weights: str, found: list[tuple[Karyotype, float]]) -> dict[str, object]:
    """Return a set's row."""
    images = [chromosome for one, _ in found for chromosome in one.chromosomes]
    return {
        "set": name,
        "weights": weights,
        "cells": len(found),
        "warned": sum(bool(one.warnings) for one, _ in found),
        "images": len(images),
        "images_warned": sum(bool(one.warnings) for one in images),
        "scaled": sum(one.scale != 1 for one, _ in found),
        "assigned": 100 * sum(right for _, right in found) / len(found),
    }


def main() -> None:
    """Look at the cells of both sets, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--folds", type=Path, help="a finished crossval of the Q-band set")
    options = parser.parse_args()
    found = look(classifier_of(PKI3), open_part("pki3", options.data, "test"))
    sets = [(f"{NAMES['pki3']}, test part", PKI3, found)]
    if options.folds:
        images = open_images(options.data / "qband.zip")
        asked = json.loads((options.folds / QUESTION).read_text())
        fold_of = assign_folds(images, asked["folds"], asked["fold_seed"])
        done = [fold for fold in range(asked["folds"]) if (options.folds / f"fold{fold + 1}" / LOGITS).exists()]
        found = []
        for fold in done:
            tested = images.subset(np.nonzero(fold_of == fold)[0].tolist())
            found += look(classifier_of(str(options.folds / f"fold{fold + 1}")), tested)
        weights = f"{len(done)} of {asked['folds']} folds of {asked['model']}, {asked['recipe']['epochs']} epochs"
        sets.append((f"{NAMES['qband']}, out of fold", weights, found))
    said = [f"- {one.cell}: {warning}" for _, _, found in sets for one, _ in found for warning in one.warnings]
    note = "What was said of cells:\n\n" + "\n".join(said) if said else "Nothing was said of any cell."
    write("released/false_warnings", [row_of(*one) for one in sets], COLUMNS, note)


if __name__ == "__main__":
    main()
