"""What would several seeds of the control give together? The mean of their probabilities, and the mean of their weights.

    python -m benchmarks.paper.seeds_together --data FOLDER --runs runs/grid

The mean of the probabilities is about the best that one network taught by all of them could reach (distillation). Q-band val
part, because a choice follows from it. The seeds are those that ``grid_seeds`` compares. Writes results/paper/
seeds_together.csv and .md. The loss is the negative log-likelihood after the temperature that makes it smallest.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import write
from benchmarks.common.sets import NAMES, open_part
from benchmarks.common.weights import create, unseen
from benchmarks.make.train_queue import read_queue
from benchmarks.paper.grid_seeds import CONTROL, QUEUE, TAG, trainings
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.inference.calibration import fit_temperature, negative_log_likelihood
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.spec import CHROMOSOMES

COLUMNS = {
    "what": ("classifier", ""),
    "views": ("views", ""),
    "accuracy": ("val accuracy, %", ".1f"),
    "loss": ("val loss", ".3f"),
}


def log_mean(logits: list[np.ndarray]) -> np.ndarray:
    """Return the logarithm of the mean probabilities of several (n, classes) logits."""
    logs = [each - np.logaddexp.reduce(each, axis=1, keepdims=True) for each in logits]
    return np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))


def main() -> None:
    """Score each seed, all of them together, and the mean of their weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--runs", type=Path, default=Path("runs/grid"), help="where the queue's runs are")
    options = parser.parse_args()
    found = [(seed, folder) for model, seed, folder in trainings(read_queue(QUEUE), options.runs) if model == CONTROL]
    models = [create(str(folder), deployed=False) for _, folder in found]
    val = open_part(TAG, options.data, "val")
    for model in models:
        unseen(val, model)
    canvases, truth = load_canvases(val, models[0].spec), label_indices(val.records, CHROMOSOMES, val.name)
    mirrored = np.ascontiguousarray(canvases[:, :, ::-1])
    rows: list[dict[str, Any]] = []

    def add(what: str, one_view: np.ndarray, both: np.ndarray) -> None:
        for views, logits in ((1, one_view), (2, both)):
            loss = negative_log_likelihood(logits, truth, fit_temperature(logits, truth))
            accuracy = 100 * float((logits.argmax(1) == truth).mean())
            rows.append({"what": what, "views": views, "accuracy": accuracy, "loss": loss, "images": len(val)})

    views = [[predict_logits(model, shown) for shown in (canvases, mirrored)] for model in models]
    for (seed, _), each in zip(found, views, strict=True):
        add(f"seed {seed}", each[0], log_mean(each))
    add(
        "mean probabilities of all seeds",
        log_mean([each[0] for each in views]),
        log_mean([one for each in views for one in each]),
    )
    states = [model.state_dict() for model in models]
    averaged = copy.deepcopy(models[0])
    averaged.load_state_dict({key: sum(state[key] for state in states) / len(states) for key in states[0]})
    both = [predict_logits(averaged, shown) for shown in (canvases, mirrored)]
    add("mean weights of all seeds", both[0], log_mean(both))
    note = f"{NAMES[TAG]}, val part ({len(val)} images, one is {100 / len(val):.1f} points). Two views: also the mirrored crop."
    write("paper/seeds_together", rows, COLUMNS, note)


if __name__ == "__main__":
    main()
