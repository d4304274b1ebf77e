"""How much assigning the chromosomes of a cell together improves the accuracy, and the fit of its costs.

    python -m benchmarks.released.karyotype fit --data FOLDER      # val parts, all released weights
    python -m benchmarks.released.karyotype test --data FOLDER [NAME ...] [--crossval RUN] [--held-out RUN]
    python -m benchmarks.released.karyotype picture                # docs/images/karyogram.png, of a synthetic cell

``fit`` looks for the costs of a missing, an extra and an unassigned chromosome that leave the fewest edits on val cells: as
they are, with one chromosome lost, with one too many, and with half a chromosome among them; each counts for a quarter. Writes
results/released/karyotype_costs.csv; its first line has the defaults of ``gricol_zoo.karyotype.Costs``.

``test`` scores with those costs: all released weights on their test parts; the out-of-fold predictions of a run of ``gricol-zoo
crossval``; and a model that was trained on splits/pki3_counts.csv, on the cases held out from it: all that have a cell without
exactly 46 chromosomes (``gricol-zoo train --data pki3.zip --model r18half_128 --recipe light --epochs 6 --split
benchmarks/splits/pki3_counts.csv --out RUN``). Writes results/released/karyotype.csv and, of the out-of-fold cells,
karyotype_confidence.csv. Rows of other weights and cells are kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import gricol_zoo
from benchmarks.common.record import ROOT, kept, write
from benchmarks.common.sets import NAMES, SPLITS, open_part, open_set, tag_of
from benchmarks.common.weights import create, released, unseen
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.outliers import OUTLIERS
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.evaluation.out_of_fold import FOLDS as FOLDS_FILE
from gricol_zoo.evaluation.out_of_fold import QUESTION
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.karyotype import Costs, assign, confidences
from gricol_zoo.karyotype.assign import UNASSIGNED
from gricol_zoo.karyotype.document import DOUBTFUL
from gricol_zoo.karyotype.draw import to_png
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.models.presets import DEFAULT_MODEL
from gricol_zoo.spec import CHROMOSOMES

GRID = {"extra": (2.0, 3.0, 4.0, 5.0, 7.0, 10.0), "missing": (1.0, 2.0, 3.0, 4.0, 6.0), "unassigned": (3.0, 5.0, 7.0, 10.0)}
DRAWS, SEED = 2, 0
Cell = tuple[np.ndarray, np.ndarray]  # (n, 24) probabilities, (n,) true classes, UNASSIGNED for what is not a chromosome

COSTS = {
    "extra": ("extra", "g"),
    "missing": ("missing", "g"),
    "unassigned": ("unassigned", "g"),
    "edits": ("edits per cell", ".3f"),
    "as_is": ("as it is", ".3f"),
    "lost": ("one lost", ".3f"),
    "added": ("one too many", ".3f"),
    "strange": ("half a chromosome", ".3f"),
}
BINS = (0.5, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)
CONFIDENCE = {
    "low": ("confidence from", "g"),
    "high": ("to", "g"),
    "chromosomes": ("chromosomes", "d"),
    "mean": ("mean confidence", ".3f"),
    "right": ("of them right", ".3f"),
}
TABLE = {  # docs/results/karyotype.md shows it; edits, doubtful and unassigned ones are in the CSV
    "what": ("cells", ""),
    "name": ("model", ""),
    "cells": ("number", "d"),
    "single_accuracy": ("accuracy, single images", ".4f"),
    "accuracy": ("accuracy, assigned", ".4f"),
    "single_cells_with_error": ("cells with an error, single images", "d"),
    "cells_with_error": ("cells with an error, assigned", "d"),
    "single_exact_counts": ("cells with all copy numbers right, single images", "d"),
    "exact_counts": ("cells with all copy numbers right, assigned", "d"),
}


def cells_of(keys: list[str], probabilities: np.ndarray, truth: np.ndarray) -> list[Cell]:
    """Return the cells of a part, in order of their names."""
    return [(probabilities[where], truth[where]) for key in sorted(set(keys)) for where in [np.array([k == key for k in keys])]]


def classify(name: str, data: Path, part: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return each image's cell, its probabilities and its class."""
    model = create(name)
    images = unseen(open_part(tag_of(name), data, part), model)
    probabilities = model.info.calibration.probabilities(predict_logits(model, load_canvases(images, model.spec)))
    keys = [f"{record.case}/{record.cell}" for record in images.records]
    return keys, probabilities, label_indices(images.records, model.spec.labels, images.name)


def classify_halves(name: str, data: Path) -> np.ndarray:
    """Return the probabilities that the model gives to half of each chromosome of the val part, (n, 24)."""
    model, images = create(name), open_part(tag_of(name), data, "val")
    rng = np.random.default_rng(SEED)
    crops = (read_grey(images.read(record)) for record in images.records)
    halves = (OUTLIERS["half a chromosome"](crop, crop, rng) for crop in crops)
    canvases = np.stack([to_canvas(half, model.spec.preprocess, model.spec.image_size) for half in halves])
    return model.info.calibration.probabilities(predict_logits(model, canvases))


def situations(keys: list[str], probabilities: np.ndarray, truth: np.ndarray, half: np.ndarray) -> Iterator[tuple[str, Cell]]:
    """Yield the cells as they are and with each change, drawn from a seed: (kind, cell)."""
    rng = np.random.default_rng(SEED)
    names = np.array(keys)
    for key in sorted(set(keys)):
        own = np.flatnonzero(names == key)
        yield "as_is", (probabilities[own], truth[own])
        for _ in range(DRAWS):
            kept = np.delete(own, rng.integers(len(own)))
            yield "lost", (probabilities[kept], truth[kept])
            like = rng.choice(truth[own])
            other = rng.choice(np.flatnonzero((names != key) & (truth == like)))
            more = np.append(own, other)
            yield "added", (probabilities[more], truth[more])
            cut = rng.choice(np.flatnonzero(names != key))
            yield "strange", (np.vstack([probabilities[own], half[cut]]), np.append(truth[own], UNASSIGNED))


def fit(data: Path) -> None:
    """Try every combination of costs on the val parts."""
    cells = [pair for name in released() for pair in situations(*classify(name, data, "val"), classify_halves(name, data))]
    kinds = np.array([kind for kind, _ in cells])
    rows = []
    for values in itertools.product(*GRID.values()):
        costs = dict(zip(GRID, values, strict=True))
        edits = np.array([(assign(p, Costs(**costs)).classes != truth).sum() for _, (p, truth) in cells])
        means = {kind: float(edits[kinds == kind].mean()) for kind in ("as_is", "lost", "added", "strange")}
        rows.append({**costs, "edits": float(np.mean(list(means.values()))), **means, "part": "val", "situations": len(cells)})
    write("released/karyotype_costs", sorted(rows, key=lambda row: row["edits"]), COSTS)


def score(cells: list[Cell], costs: Costs) -> dict[str, Any]:
    """Return the scores of cells after assignment, and of their images one by one."""
    single, together, sure, found = [], [], [], []
    for probabilities, _ in cells:
        assignment = assign(probabilities, costs)
        single.append(probabilities.argmax(1))
        together.append(assignment.classes)
        sure.append(confidences(probabilities, assignment, costs))
    truths = [truth for _, truth in cells]
    wrong = np.concatenate([a != t for a, t in zip(together, truths, strict=True)])
    doubtful = (np.concatenate(sure) < DOUBTFUL) | (np.concatenate(together) == UNASSIGNED)
    found = [sum(len(classes) for classes in together), sum(len(truth) for truth in truths)]
    assert found[0] == found[1], "something was dropped"
    return {
        "cells": len(cells),
        "images": found[0],
        **{f"single_{key}": value for key, value in _compare(single, truths).items()},
        **_compare(together, truths),
        "unassigned": int(sum((classes == UNASSIGNED).sum() for classes in together)),
        "doubtful": float(doubtful.mean()),
        "errors_doubtful": float(doubtful[wrong].mean()) if wrong.any() else 1.0,
        **{f"cost_{key}": getattr(costs, key) for key in GRID},
    }


def reliability(cells: list[Cell], costs: Costs) -> list[dict[str, Any]]:
    """Return the share of the assigned chromosomes that are right, in bins of confidence."""
    assigned = [assign(probabilities, costs) for probabilities, _ in cells]
    sure = np.concatenate([confidences(p, found, costs) for (p, _), found in zip(cells, assigned, strict=True)])
    right = np.concatenate([found.classes == truth for (_, truth), found in zip(cells, assigned, strict=True)])
    rows = []
    for low, high in itertools.pairwise(BINS):
        inside = (sure >= low) & ((sure < high) | (high == BINS[-1]))
        if inside.any():
            means = {"mean": float(sure[inside].mean()), "right": float(right[inside].mean())}
            rows.append({"low": low, "high": high, "chromosomes": int(inside.sum()), **means})
    return rows


def _compare(classes: list[np.ndarray], truths: list[np.ndarray]) -> dict[str, Any]:
    errors = np.array([int((a != t).sum()) for a, t in zip(classes, truths, strict=True)])
    exact = [bool((_counts(a) == _counts(t)).all()) for a, t in zip(classes, truths, strict=True)]
    return {
        "accuracy": 1 - float(errors.sum()) / sum(map(len, truths)),
        "cells_with_error": int((errors > 0).sum()),
        "edits": float(errors.mean()),
        "exact_counts": sum(exact),
    }


def _counts(classes: np.ndarray) -> np.ndarray:
    return np.bincount(classes[classes != UNASSIGNED], minlength=len(CHROMOSOMES))


def out_of_fold(run: Path) -> list[Cell]:
    """Return the cells of a cross-validation, each with the probabilities of the model that did not see it."""
    rows = read_csv(run / "predictions.csv")
    logits: dict[str, Any] = {row["fold"]: iter(np.load(run / f"fold{row['fold']}" / "logits.npy")) for row in rows}
    probabilities = softmax(np.stack([next(logits[row["fold"]]) for row in rows]))
    said = [CHROMOSOMES[index] for index in probabilities.argmax(1)]
    if said != [row["prediction"] for row in rows]:
        raise SystemExit(f"{run}: logits and predictions.csv are not of the same run.")
    truth = np.array([CHROMOSOMES.index(row["label"]) for row in rows])
    return cells_of([f"{row['case']}/{row['cell']}" for row in rows], probabilities, truth)


def held_out(run: Path, data: Path) -> dict[str, list[Cell]]:
    """Return the cells held out from a model trained on splits/pki3_counts.csv: those of 45 or 47 chromosomes, and of 46."""
    model = create(str(run))
    images = apply_split(open_set("pki3", data), read_split(SPLITS / "pki3_counts.csv"))["test"]
    seen = model.info.groups
    if seen is None:
        raise SystemExit(f"{run} does not say which cases it was trained on.")
    if seen & {record.case for record in images.records}:
        raise SystemExit(f"{run} was trained on cases of the test part.")
    logits = predict_logits(model, load_canvases(images, model.spec))
    truth = label_indices(images.records, model.spec.labels, images.name)
    cells = cells_of([f"{r.case}/{r.cell}" for r in images.records], model.info.calibration.probabilities(logits), truth)
    kinds: dict[str, Callable[[int], bool]] = {"45 or 47": lambda n: n != 46, "46, of the same cases": lambda n: n == 46}
    return {kind: [cell for cell in cells if fits(len(cell[1]))] for kind, fits in kinds.items()}


def name_and_cells(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the key of a row of the table: the weights and the cells, however long the folds were trained."""
    return row["name"], re.sub(r", \d+ epochs", "", row["what"])


def picture() -> None:
    """Draw the karyogram of the docs: a synthetic cell with a third chromosome 21."""
    cell = render_cell(seed=5, sex="F") + [row for row in render_cell(seed=8, sex="F") if row[0] == "21"][:1]
    greys = [grey for _, _, grey in cell]
    with tempfile.TemporaryDirectory() as folder:
        for index, grey in enumerate(greys, start=1):
            Image.fromarray((grey * 255).astype(np.uint8)).save(Path(folder) / f"{index:02d}.png")
        model = gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True, deployed=True)
        images = open_images(folder)
        result = karyotype(model, images, cell="a synthetic cell", name=DEFAULT_MODEL)
        sheet = lay_out(result, draw_chromosomes(result, open_greys(result, images), zoom=1), zoom=1)
    (ROOT / "docs" / "images" / "karyogram.png").write_bytes(to_png(sheet, zoom=1))
    print(result.draft)


def main() -> None:
    """Fit the costs, or score with them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fit", "test", "picture"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="for test: weights to score (default: all released ones)")
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--crossval", type=Path, help="a run of `gricol-zoo crossval` on Q-band, by cell")
    parser.add_argument("--held-out", type=Path, help="a model trained on splits/pki3_counts.csv")
    options = parser.parse_args()
    if options.what == "picture":
        picture()
        return
    if options.data is None:
        parser.error("--data is needed")
    if options.what == "fit":
        fit(options.data)
        return
    costs, rows = Costs(), []
    for name in options.names or released():
        keys, probabilities, truth = classify(name, options.data, "test")
        what = f"{NAMES[tag_of(name)]}, test part"
        rows.append({"name": name, "what": what, **score(cells_of(keys, probabilities, truth), costs)})
    if options.crossval:
        folds = read_csv(options.crossval / FOLDS_FILE)
        question = json.loads((options.crossval / QUESTION).read_text(encoding="utf-8"))
        epochs = question["recipe"]["epochs"]
        what = f"{NAMES['qband']}, all cells, out of fold ({len(folds)} folds by cell, {epochs} epochs)"
        cells = out_of_fold(options.crossval)
        rows.append({"name": question["model"], "what": what, **score(cells, costs)})
        write("released/karyotype_confidence", reliability(cells, costs), CONFIDENCE)
    if options.held_out:
        for kind, cells in held_out(options.held_out, options.data).items():
            rows.append({"name": "r18half_128", "what": f"{NAMES['pki3']}, kept from training, {kind}", **score(cells, costs)})
    scored = [name_and_cells(row) for row in rows]
    every = [*kept("released/karyotype", scored, name_and_cells), *rows]
    every.sort(key=lambda row: ("test part" not in row["what"], *name_and_cells(row)))
    write("released/karyotype", every, TABLE)


if __name__ == "__main__":
    main()
