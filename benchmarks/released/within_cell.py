"""How much size and brightness relative to the rest of the cell help its assignment, and what is flagged for review.

    python -m benchmarks.released.within_cell fit --data FOLDER     # val parts
    python -m benchmarks.released.within_cell test --data FOLDER    # test parts, and the cells of 45 or 47

``fit`` tries weights of this evidence, with the area alone and with all measures of a set's table
(``gricol_zoo.karyotype.within``), and then the likeness of homologues: two chromosomes exchange their classes where the
homologues' sizes become more alike by more than it costs. Writes results/released/within_cell_fit.csv.

``test`` karyotypes each cell twice, as a user's is, without and with this evidence, and compares the two cell by cell.
Writes within_cell.csv and within_cell_flags.csv: how many wrong and how many right chromosomes are flagged for review, on the
val parts, where the threshold was chosen, and on the test parts. All cells of Pki-3 that have 45 or 47 chromosomes are taken;
most are in the train part, where both ways look better than they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.record import RESULTS, write
from benchmarks.common.sets import NAMES, open_part, open_set, split_file, tag_of
from benchmarks.common.weights import create, unseen
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.fast import optimize
from gricol_zoo.karyotype.assign import MIN_PROBABILITY, assign
from gricol_zoo.karyotype.document import DOUBTFUL, Karyotype
from gricol_zoo.karyotype.run import cells_of, karyotype
from gricol_zoo.karyotype.within import WEIGHT, Table, evidence, measured, table_of, with_the_cell

MODELS = ("r18half_192.qband", "r18half_192.pki3")
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)
ALIKE = (0.0, 0.5, 1.0)  # weights of the likeness
SAME_CELL = 0.3  # correlation of two homologues' deviations from the size of their class, from the train parts
THRESHOLDS = (0.9, 0.95, 0.98, 0.99)
USUAL = 46
FIT = {
    "name": ("weights", ""),
    "measures": ("measures", ""),
    "weight": ("weight", "g"),
    "alike": ("of likeness", "g"),
    "errors": ("errors", "d"),
    "cells_with_error": ("cells with an error", "d"),
    "nats": ("mean -ln of the label's probability", ".4f"),
}
TEST = {
    "what": ("cells", ""),
    "name": ("weights", ""),
    "cells": ("number", "d"),
    "before": ("accuracy without", ".4f"),
    "after": ("with what the cell tells", ".4f"),
    "difference": ("difference", "+.4f"),
    "low": ("95 % interval, from", "+.4f"),
    "high": ("to", "+.4f"),
    "put_right": ("chromosomes put right", "d"),
    "put_wrong": ("put wrong", "d"),
    "cells_with_error_before": ("cells with an error without", "d"),
    "cells_with_error": ("with", "d"),
}
FLAGS = {
    "name": ("weights", ""),
    "part": ("part", ""),
    "within": ("weight", "g"),
    "threshold": ("confidence below", "g"),
    "wrong": ("wrong", "d"),
    "caught": ("of these flagged", ".3f"),
    "wrong_unsuspected": ("wrong, label not suspected", "d"),
    "caught_unsuspected": ("of these flagged", ".3f"),
    "right_flagged": ("right ones flagged", ".4f"),
}
NOTE = (
    "A chromosome is flagged where its confidence in the cell is below the threshold, or it has no class. A label is suspected "
    "where two images of a cell are surely each other's label out of fold (suspected_labels.csv, of the Q-band set alone)."
)


class Seen(NamedTuple):
    """One val cell: (n, 24) probabilities, (n, m) measures and (n,) true classes."""

    probabilities: np.ndarray
    values: np.ndarray
    truth: np.ndarray


def load(name: str) -> Classifier:
    """Return released weights, ready to classify, as ``karyotype`` uses them for a user."""
    return of_network(optimize(create(name), "fp32"))


def look(classifier: Classifier, table: Table, images: ImageSet) -> Seen:
    """Classify and measure a cell."""
    prepared = classifier.read(images, classifier.factors(images, "auto"))
    truth = label_indices(images.records, classifier.labels, images.name)
    return Seen(classifier.classify(prepared)[0], measured(prepared, table), truth)


def exchanged(losses: np.ndarray, classes: np.ndarray, away: np.ndarray, weight: float) -> np.ndarray:
    """Exchange the classes of two chromosomes as long as the likeness of homologues gains more than it costs.

    Args:
        losses: (n, 24) -ln of the probabilities.
        classes: (n,) as assigned.
        away: (n, 24) deviation of each chromosome's size from each class, in standard deviations.
        weight: weight of the likeness.
    """

    def likeness(of: np.ndarray, class_: int) -> float:
        pairs = list(combinations(np.clip(away[of == class_, class_], -3, 3), 2))
        gain = [SAME_CELL * (2 * a * b - SAME_CELL * (a * a + b * b)) / (2 * (1 - SAME_CELL**2)) for a, b in pairs]
        return float(np.mean(gain)) if gain else 0.0

    while True:
        best, found = -1e-9, classes
        for i, j in combinations(np.flatnonzero(classes >= 0), 2):
            a, b = classes[i], classes[j]
            cost = losses[i, b] + losses[j, a] - losses[i, a] - losses[j, b]
            if a == b or cost > 8 * weight:
                continue
            other = classes.copy()
            other[i], other[j] = b, a
            cost -= weight * sum(likeness(other, one) - likeness(classes, one) for one in (a, b))
            if cost < best:
                best, found = cost, other
        if found is classes:
            return classes
        classes = found


def score_fit(cells: Sequence[Seen], table: Table, weight: float, alike: float = 0.0) -> dict[str, Any]:
    """Return the row of one weight, scored on val cells."""
    errors, nats = [], []
    for probabilities, values, truth in cells:
        together = with_the_cell(probabilities, evidence(values, probabilities, table), weight)
        classes = assign(together).classes
        losses = -np.log(np.maximum(together, MIN_PROBABILITY))
        if alike:
            shift = np.median((values - table.means[probabilities.argmax(1)])[:, 0])
            away = (values[:, :1] - shift - table.means[None, :, 0]) / np.sqrt(table.covariance[0, 0])
            classes = exchanged(losses, classes, away, alike)
        errors.append(int((classes != truth).sum()))
        nats.append(losses[np.arange(len(truth)), truth])
    row = {"measures": "+".join(table.measures), "weight": weight, "alike": alike, "errors": sum(errors)}
    return {**row, "cells_with_error": sum(map(bool, errors)), "nats": float(np.concatenate(nats).mean())}


def fit(data: Path) -> None:
    """Try weights, measures and likeness on the val parts."""
    rows = []
    for name in MODELS:
        classifier = load(name)
        table = table_of(classifier)
        assert table is not None
        images = unseen(open_part(tag_of(name), data, "val"), create(name))
        cells = [look(classifier, table, cell) for cell in cells_of(images).values()]
        for count in range(1, len(table.measures) + 1):
            part = Table(table.measures[:count], table.means[:, :count], table.covariance[:count, :count])
            some = [cell._replace(values=cell.values[:, :count]) for cell in cells]
            rows += [{"name": name, "part": "val", **score_fit(some, part, weight)} for weight in WEIGHTS]
        rows += [{"name": name, "part": "val", **score_fit(cells, table, WEIGHT, alike)} for alike in ALIKE[1:]]
    write("released/within_cell_fit", rows, FIT)


class Judged(NamedTuple):
    """The chromosomes of one cell: its name, and per chromosome whether it is right, its confidence, and a suspected label."""

    cell: str
    right: np.ndarray
    sure: np.ndarray
    suspected: np.ndarray


def judge(found: Karyotype, suspected: set[str]) -> Judged:
    """Compare a karyotype with its labels."""
    right = np.array([item.automatic == item.label for item in found.chromosomes])
    sure = np.array([item.confidence if item.automatic else 0.0 for item in found.chromosomes])
    return Judged(found.cell, right, sure, np.array([item.path in suspected for item in found.chromosomes]))


def judged(classifier: Classifier, images: ImageSet) -> dict[float, list[Judged]]:
    """Return the cells of a set without and with the evidence of the cell: weight -> cells."""
    rows = read_csv(RESULTS / "released" / "suspected_labels.csv")
    suspected = {path for row in rows if row["kind"] == "swap" for path in (row["path"], row["with"])}
    cells = cells_of(images)
    return {
        weight: [judge(karyotype(classifier, cell, cell=name, within=weight), suspected) for name, cell in cells.items()]
        for weight in (0.0, WEIGHT)
    }


def compared(found: dict[float, list[Judged]]) -> dict[str, Any]:
    """Return what the evidence of the cell changes, paired by chromosome."""
    before, after = (np.concatenate([one.right for one in found[weight]]) for weight in (0.0, WEIGHT))
    groups = [one.cell for one in found[0.0] for _ in one.right]
    gain = after.astype(float) - before
    low, high = bootstrap_mean(gain, groups) or (float("nan"), float("nan"))
    return {
        "cells": len(found[0.0]),
        "images": len(gain),
        "before": float(before.mean()),
        "after": float(after.mean()),
        "difference": float(gain.mean()),
        "low": low,
        "high": high,
        "put_right": int((gain > 0).sum()),
        "put_wrong": int((gain < 0).sum()),
        "cells_with_error_before": sum(not one.right.all() for one in found[0.0]),
        "cells_with_error": sum(not one.right.all() for one in found[WEIGHT]),
    }


def flagged(found: dict[float, list[Judged]]) -> Iterator[dict[str, Any]]:
    """Yield how many wrong and right chromosomes each threshold flags."""
    for weight, cells in found.items():
        right, sure, suspected = (np.concatenate(column) for column in zip(*(one[1:] for one in cells), strict=True))
        wrong, clean = ~right, ~right & ~suspected
        for threshold in THRESHOLDS:
            flag = sure < threshold
            yield {
                "within": weight,
                "threshold": threshold,
                "wrong": int(wrong.sum()),
                "caught": float(flag[wrong].mean()) if wrong.any() else "",
                "wrong_unsuspected": int(clean.sum()),
                "caught_unsuspected": float(flag[clean].mean()) if clean.any() else "",
                "right_flagged": float(flag[right].mean()),
                "used": int(threshold == DOUBTFUL and weight == WEIGHT),
            }


def odd_cells(data: Path) -> Iterator[tuple[str, ImageSet]]:
    """Yield (part, images) of the Pki-3 cells with 45 or 47 chromosomes: for each part, and for all ("")."""
    parts, images = read_split(split_file("pki3")), open_set("pki3", data)
    size = {key: len(cell) for key, cell in cells_of(images).items()}
    odd = [key for key, count in size.items() if count != USUAL]
    members = {key: [place for place, one in enumerate(images.records) if one.cell == key] for key in odd}
    for part in ("train", "val", "test", ""):
        inside = [key for key in odd if not part or parts[images.records[members[key][0]].case, key] == part]
        if inside:
            yield part, images.subset([place for key in inside for place in members[key]])


def test(data: Path, parts: Sequence[str]) -> None:
    """Compare cell by cell on the test parts and the odd cells, and count flags on these parts."""
    rows, flags = [], []
    for name in MODELS:
        classifier = load(name)
        for part in parts:
            found = judged(classifier, unseen(open_part(tag_of(name), data, part), create(name)))
            rows.append({"name": name, "what": f"{NAMES[tag_of(name)]}, {part} part", **compared(found)})
            flags += [{"name": name, "part": part, **row} for row in flagged(found)]
        if tag_of(name) == "pki3" and "test" in parts:
            for part, images in odd_cells(data):
                what = f"{NAMES['pki3']}, 45 or 47, {part + ' part' if part else 'all parts'}"
                rows.append({"name": name, "what": what, **compared(judged(classifier, images))})
    write("released/within_cell", rows, TEST)
    write("released/within_cell_flags", flags, FLAGS, NOTE)


def main() -> None:
    """Try on val, or compare on test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fit", "val", "test"])
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    options = parser.parse_args()
    if options.what == "fit":
        fit(options.data)
    else:
        test(options.data, ["val", "test"] if options.what == "test" else ["val"])


if __name__ == "__main__":
    main()
