"""Which labels of a set look wrong to networks that were not trained on the image?

    python -m benchmarks.released.suspected_labels CROSSVAL [--surely 0.95]

CROSSVAL is a finished folder of `gricol-zoo crossval`, by case or cell. An image is suspected if the network is sure of another
class. Exact swaps come first: two such images of one metaphase cell whose predictions are each other's labels.
Writes results/released/suspected_labels.csv, and suspected_labels_scores.csv with the out-of-fold scores of all images, without
the suspected ones, and with the swapped labels swapped back.

It cannot show that a label is wrong: nobody has looked at the metaphases. A label is also suspected where the network is sure
but wrong, so leaving such images out flatters the network: the scores without them are an upper bound of what clean labels
would give.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.record import write
from gricol_zoo.data.rows import read_csv
from gricol_zoo.errors import GricolZooError
from gricol_zoo.evaluation.metrics import bootstrap_mean, perfect_groups
from gricol_zoo.evaluation.out_of_fold import LOGITS, PREDICTIONS, QUESTION
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.spec import CHROMOSOMES

SURELY = 0.95
COLUMNS = {
    "kind": ("kind", ""),
    "path": ("image", ""),
    "cell": ("metaphase cell", ""),
    "label": ("label", ""),
    "prediction": ("prediction", ""),
    "probability": ("its probability", ".3f"),
    "of_label": ("the label's", ".4f"),
    "with": ("swapped with", ""),
}
SCORES = {
    "labels": ("labels", ""),
    "images": ("images", ""),
    "accuracy": ("accuracy", ".4f"),
    "low": ("95 % by case or cell, from", ".4f"),
    "high": ("to", ".4f"),
    "perfect_cells": ("cells without an error", ""),
    "cells": ("cells", ""),
}


class Run(NamedTuple):
    """Out-of-fold predictions of n images.

    Attributes:
        question: what crossval.json says.
        rows: (n,) of predictions.csv.
        probabilities: (n, classes), calibrated.
    """

    question: dict[str, Any]
    rows: list[dict[str, str]]
    probabilities: np.ndarray


def read_run(folder: Path) -> Run:
    """Read a finished cross-validation of networks on human chromosomes.

    Raises:
        GricolZooError: it is image-level, so images of the same cell were trained on, or it has other classes.
    """
    question = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
    if question["protocol"] != "by case or cell":
        raise GricolZooError(f"Expected a cross-validation by case or cell, but {folder} is {question['protocol']}.")
    rows = read_csv(folder / PREDICTIONS)
    logits = np.zeros((len(rows), len(CHROMOSOMES)), np.float32)
    folds = np.array([int(row["fold"]) for row in rows])
    for fold in range(1, question["folds"] + 1):
        own = np.load(folder / f"fold{fold}" / LOGITS)
        if own.shape[1] != len(CHROMOSOMES):
            raise GricolZooError(f"Expected the {len(CHROMOSOMES)} human classes, but {folder} has {own.shape[1]}.")
        logits[folds == fold] = own
    return Run(question, rows, softmax(logits))


def suspected(run: Run, surely: float = SURELY) -> list[dict[str, Any]]:
    """Return the images whose labels are suspected, one row each: swaps first, then by how sure the network is."""
    own = run.probabilities[np.arange(len(run.rows)), [CHROMOSOMES.index(row["label"]) for row in run.rows]]
    best = run.probabilities.max(1)
    doubted = np.nonzero((best >= surely) & (own < best))[0].tolist()
    partner = find_swaps(run, doubted, best)
    rows = []
    for index in sorted(doubted, key=lambda index: _rank(index, partner, best)):
        row = {key: run.rows[index][key] for key in ("path", "case", "cell", "label", "prediction", "fold")}
        other = run.rows[partner[index]]["path"] if index in partner else ""
        known = {"kind": "swap" if other else "single", "with": other, "index": index}
        rows.append({**known, **row, "probability": float(best[index]), "of_label": float(own[index])})
    return rows


def _rank(index: int, partner: dict[int, int], best: np.ndarray) -> tuple[Any, ...]:
    """Return the sort key: swaps first, the two images of each together, then the most certain."""
    if index not in partner:
        return 1, -best[index], index
    pair = sorted((index, partner[index]))
    return 0, -min(best[pair]), *pair, index


def find_swaps(run: Run, doubted: Sequence[int], best: np.ndarray) -> dict[int, int]:
    """Return each image of a swap -> the other image; where several pairs are possible, the most certain one."""
    cells = defaultdict(list)
    for index in doubted:
        row = run.rows[index]
        if row["cell"]:
            cells[row["case"], row["cell"]].append(index)
    pairs = [
        (one, two)
        for members in cells.values()
        for one, two in combinations(members, 2)
        if (run.rows[one]["label"], run.rows[one]["prediction"]) == (run.rows[two]["prediction"], run.rows[two]["label"])
    ]
    partner: dict[int, int] = {}
    for one, two in sorted(pairs, key=lambda pair: -min(best[list(pair)])):
        if one not in partner and two not in partner:
            partner[one], partner[two] = two, one
    return partner


def scores(run: Run, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the scores of all images, without the suspected ones, and with the swapped labels swapped back."""
    correct = np.array([row["label"] == row["prediction"] for row in run.rows])
    swaps, every = ([row["index"] for row in rows if row["kind"] in kinds] for kinds in (("swap",), ("swap", "single")))
    back = correct.copy()
    back[swaps] = True
    everything = np.ones(len(correct), bool)
    without = {"without swaps": swaps, "without all suspected": every}
    lines = [score_line("as they are", run, correct, everything), score_line("swapped back", run, back, everything)]
    return lines + [score_line(name, run, correct, _all_but(left, everything)) for name, left in without.items()]


def _all_but(left_out: Sequence[int], everything: np.ndarray) -> np.ndarray:
    keep = everything.copy()
    keep[list(left_out)] = False
    return keep


def score_line(labels: str, run: Run, correct: np.ndarray, keep: np.ndarray) -> dict[str, Any]:
    """Return the scores of the images that are kept."""
    kept = [row for row, stays in zip(run.rows, keep, strict=True) if stays]
    perfect, cells = perfect_groups(correct[keep], [f"{row['case']}/{row['cell']}" for row in kept])
    low, high = bootstrap_mean(correct[keep], [row["case"] or row["cell"] for row in kept]) or ("", "")
    line = {"labels": labels, "images": len(kept), "accuracy": float(correct[keep].mean()), "low": low, "high": high}
    return {**line, "perfect_cells": perfect, "cells": cells}


def main() -> None:
    """List the suspected labels, and score with and without them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crossval", type=Path, help="a finished folder of `gricol-zoo crossval`")
    parser.add_argument("--surely", type=float, default=SURELY, help="least probability of the other class (default: 0.95)")
    options = parser.parse_args()
    run = read_run(options.crossval)
    found = suspected(run, options.surely)
    known = {
        "name": run.question["model"],
        **{key: run.question[key] for key in ("data", "data_sha256", "folds_sha256", "init_sha256")},
    }
    known["surely"] = options.surely
    swaps = sum(row["kind"] == "swap" for row in found) // 2
    note = (
        f"Swaps: {swaps}; single images: {len(found) - 2 * swaps}; of {len(run.rows)} images. Suspected, not shown to be wrong."
    )
    write(
        "released/suspected_labels",
        [{**known, **{k: v for k, v in row.items() if k != "index"}} for row in found],
        COLUMNS,
        note,
    )
    note = "Out of fold. Leaving out what a network is surely wrong about flatters it: an upper bound, not a result."
    write("released/suspected_labels_scores", [{**known, **line} for line in scores(run, found)], SCORES, note)


if __name__ == "__main__":
    main()
