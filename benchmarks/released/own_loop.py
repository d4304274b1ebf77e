"""A plain training loop of your own compared with `train`: same start, same epochs, same images.

    python -m benchmarks.released.own_loop --data FOLDER [--epochs 6]

The loop is ``examples/own_training_loop.py``: ``ImageFolder``, ``create_transform`` and plain torch, with mirrored images as
its only augmentation and without polarity. `train` takes the recipe ``robust_finetune``. Both start from the Pki-3 weights,
train on the train part of the Q-band split (by cell) and are scored on its val part by the lower branch, single images, one
view. The test part is not used.

Writes results/released/own_loop.csv and .md, one row per way.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gricol_zoo
from benchmarks.common.record import ROOT, write
from benchmarks.common.sets import open_part, open_set, split_file
from gricol_zoo.data.split import read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.report import evaluate
from gricol_zoo.training.recipes import get_recipe
from gricol_zoo.training.train import train

START = "r18half_192.pki3"
SET = "qband"
SEEDS = (0, 1, 2)
COLUMNS = {
    "way": ("way", ""),
    "epochs": ("epochs", "d"),
    "runs": ("seeds", "d"),
    "mean": ("val part, single images, %", ".1f"),
    "sd": ("standard deviation", ".1f"),
}


def write_folders(images: ImageSet, folder: Path) -> None:
    """Write a set's files into one folder per class."""
    for index, record in enumerate(images.records):
        file = folder / record.label / f"{index}{Path(record.path).suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(images.read(record))


def by_loop(data: Path, epochs: int, seed: int, out: Path) -> None:
    """Train with the example's loop."""
    spec = importlib.util.spec_from_file_location("own_training_loop", ROOT / "examples" / "own_training_loop.py")
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with tempfile.TemporaryDirectory() as folder:
        write_folders(open_part(SET, data, "train"), Path(folder))
        example.fine_tune(folder, out, epochs, batch_size=32, start=START, seed=seed)


def by_train(data: Path, epochs: int, seed: int, out: Path) -> None:
    """Train with the package's `train`."""
    recipe = get_recipe("robust_finetune", epochs=epochs, seed=seed)
    train(open_set(SET, data), read_split(split_file(SET)), START.partition(".")[0], recipe, out, init=START, device="cpu")


WAYS: dict[str, Callable[[Path, int, int, Path], None]] = {"examples/own_training_loop.py": by_loop, "`train`": by_train}


def row_of(way: str, data: Path, epochs: int, val: ImageSet) -> dict[str, object]:
    """Train three times in one way, score on val, and return the row."""
    found = []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as out:
            WAYS[way](data, epochs, seed, Path(out))
            model = gricol_zoo.create_model(f"local-dir:{out}", pretrained=True, deployed=True)
            report, _ = evaluate(model, val, name=way)
            found.append(100 * report["accuracy"])
        print(f"{way}, seed {seed}: {found[-1]:.2f} %", flush=True)
    return {"way": way, "epochs": epochs, "runs": len(found), "mean": float(np.mean(found)), "sd": float(np.std(found, ddof=1))}


def main() -> None:
    """Train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    val = open_part(SET, options.data, "val")
    write("released/own_loop", [row_of(way, options.data, options.epochs, val) for way in WAYS], COLUMNS)


if __name__ == "__main__":
    main()
