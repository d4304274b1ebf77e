r"""How many good cells get a false warning: whole cells that were not trained on, exactly as they are in the files.

    python -m benchmarks.released.false_warnings --data FOLDER [--folds FOLDER]
    gricol-zoo crossval --data qband.zip --model r18half_192 --recipe robust_finetune --epochs 40 \
        --init r18half_192.pki3 --out FOLDER                         # makes the folds

The Pki-3 cells are those of the test part, classified by the released weights. The Q-band test part has too few cells to
tell 2 % from 5 %, so cells are taken out of fold: each by the training of ``crossval`` that did not see it. Folds that are
not done yet are left out, and the table says how many there were; without --folds the row of Q-band is kept as it is. Every
cell goes through ``karyotype`` as a user's does.

A warning is false if nothing in it is true: each image that it names (its homologue too) got its right class, and the
cell lost less than ``LOSS`` points against the mean of its set. The table gives both counts: all warnings, and false ones.
Cells whose crops were rescaled are karyotyped a second time without rescaling, to measure its effect.

Writes results/released/false_warnings.csv, one row per set, and .md, which also lists the warnings.
"""

from __future__ import annotations

import argparse
import re
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from benchmarks.common.folds import finished_folds, title_of_folds
from benchmarks.common.record import kept, write
from benchmarks.common.sets import NAMES, open_part
from benchmarks.common.weights import create
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.fast import optimize
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.run import cells_of, karyotype

PKI3 = "r18half_192.pki3"
LOSS = 10.0  # points below the mean of its set: a warning about a cell that lost as many is justified
COLUMNS = {
    "set": ("set", ""),
    "weights": ("weights", ""),
    "cells": ("cells", "d"),
    "warned": ("cells warned of", "d"),
    "false": ("of them falsely", "d"),
    "images": ("images", "d"),
    "images_warned": ("images warned of", "d"),
    "assigned": ("right after assignment, %", ".1f"),
    "scaled": ("cells rescaled", "d"),
    "with_scale": ("right in these, %", ".1f"),
    "without_scale": ("without rescaling, %", ".1f"),
}


def classifier_of(name: str) -> Classifier:
    """Return released weights, or those in a folder, ready to classify."""
    return of_network(optimize(create(name), "fp32"))


class Cell(NamedTuple):
    """A karyotyped cell.

    Attributes:
        karyotype: of it, warnings included.
        wrong: ids of the chromosomes that were not assigned their class.
        right: the share that were assigned their class.
        unscaled: the same share without rescaling the crops.
    """

    karyotype: Karyotype
    wrong: frozenset[int]
    right: float
    unscaled: float


def look(classifier: Classifier, images: ImageSet) -> list[Cell]:
    """Karyotype each cell of a set."""
    found = []
    for name, cell in cells_of(images).items():
        one = karyotype(classifier, cell, cell=name)
        wrong = wrong_of(one, cell)
        unscaled = wrong if one.scale == 1 else wrong_of(karyotype(classifier, cell, cell=name, scale="none"), cell)
        right, without = (1 - len(ids) / len(one.chromosomes) for ids in (wrong, unscaled))
        found.append(Cell(one, wrong, right, without))
        if one.warnings or one.scale != 1:
            print(f"{name}: scale {one.scale:g}; {'; '.join(one.warnings) or 'no warning'}", flush=True)
    return found


def wrong_of(one: Karyotype, cell: ImageSet) -> frozenset[int]:
    """Return the ids of the chromosomes that were not assigned their class."""
    pairs = zip(one.chromosomes, cell.records, strict=True)
    return frozenset(chromosome.id for chromosome, record in pairs if chromosome.assigned != record.label)


def is_false(cell: Cell, mean: float) -> bool:
    """Return whether a cell has warnings and all of them are false.

    Args:
        cell: a cell of a set.
        mean: share of the chromosomes that were assigned right, mean over the cells of the set.
    """
    named = {int(number) for warning in cell.karyotype.warnings for number in re.findall(r"no\. (\d+)", warning)}
    return bool(cell.karyotype.warnings) and not named & cell.wrong and cell.right > mean - LOSS / 100


def row_of(name: str, weights: str, found: list[Cell]) -> dict[str, object]:
    """Return a set's row."""
    images = [chromosome for cell in found for chromosome in cell.karyotype.chromosomes]
    mean = sum(cell.right for cell in found) / len(found)
    scaled = [cell for cell in found if cell.karyotype.scale != 1]
    return {
        "set": name,
        "weights": weights,
        "cells": len(found),
        "warned": sum(bool(cell.karyotype.warnings) for cell in found),
        "false": sum(is_false(cell, mean) for cell in found),
        "images": len(images),
        "images_warned": sum(bool(one.warnings) for one in images),
        "assigned": 100 * mean,
        "scaled": len(scaled),
        "with_scale": 100 * sum(cell.right for cell in scaled) / len(scaled) if scaled else "",
        "without_scale": 100 * sum(cell.unscaled for cell in scaled) / len(scaled) if scaled else "",
        "said": "\n".join(
            f"- {cell.karyotype.cell} ({100 * cell.right:.1f} % assigned right): {warning}"
            for cell in found
            for warning in cell.karyotype.warnings
        ),
    }


def main() -> None:
    """Karyotype the cells of both sets and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--folds", type=Path, help="a finished crossval of the Q-band set")
    options = parser.parse_args()
    found = look(classifier_of(PKI3), open_part("pki3", options.data, "test"))
    rows = [row_of(f"{NAMES['pki3']}, test part", PKI3, found)]
    if options.folds:
        images = open_images(options.data / "qband.zip")
        folds = list(finished_folds(options.folds, images))
        found = [cell for folder, tested in folds for cell in look(classifier_of(str(folder)), tested)]
        weights = title_of_folds(options.folds, len(folds))
        rows.append(row_of(f"{NAMES['qband']}, out of fold", weights, found))
    else:  # the folds are not part of this repository
        rows += kept("released/false_warnings", [PKI3], itemgetter("weights"))
    said = [str(row["said"]) for row in rows if row["said"]]
    note = "What was said of cells:\n\n" + "\n".join(said) if said else "Nothing was said of any cell."
    write("released/false_warnings", rows, COLUMNS, note)


if __name__ == "__main__":
    main()
