"""Retrain released weights from their recipe file and the weights that they start from.

    python -m benchmarks.make.train_weights NAME.TAG --data FOLDER --runs runs [--time-limit 9000]

``recipes/NAME.TAG.json`` specifies everything: model, images (their split is ``splits/<images>.csv``), what it starts from
(another such file), the recipe and the changes to it, the number of epochs and the seed. The run, ready for ``hub.stage``, is
``runs/NAME.TAG``. On the same kind of processor, with the same torch version, the weights are identical; on another, nearly so.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.recipes import RECIPES, read_recipe
from benchmarks.common.record import COMMIT
from benchmarks.common.sets import open_set, split_file
from gricol_zoo.data.split import read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.training.recipes import Recipe, get_recipe
from gricol_zoo.training.train import train

STARTS = Path(__file__).parent.parent / "starts"


def recipe_of(what: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a recipe file asks for."""
    return get_recipe(what["recipe"], epochs=what["epochs"], seed=what["seed"], **what.get("recipe_changes", {}))


def run(name: str, data: Path, runs: Path, deadline: float) -> bool:
    """Train one, after the weights it starts from (taken from ``starts/`` if they are there); return whether it is finished."""
    what = read_recipe(name)
    out = runs / name
    if (out / "config.json").exists():  # written last
        return True
    kept = STARTS / what["init"]
    if what["init"] and not kept.exists() and not run(what["init"], data, runs, deadline):
        return False
    images, split = open_set(what["images"], data), split_file(what["images"])
    init = str(kept if kept.exists() else runs / what["init"]) if what["init"] else ""
    left = deadline - time.monotonic()
    print(name, flush=True)
    return train_one(what, images, read_split(split), out, init, split_name=split.name, time_limit=left)


def train_one(
    what: Mapping[str, Any], images: ImageSet, split: dict[tuple[str, str], str], out: Path, init: str, **options: Any
) -> bool:
    """Start or continue the training of a recipe file on images and a split; return whether it is finished.

    ``options`` are those of ``gricol_zoo.training.train.train``.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "commit.txt").write_text(COMMIT + "\n")
    changes = what.get("changes")
    return train(images, split, what["model"], recipe_of(what), out, init=init, changes=changes, resume=True, **options)


def main() -> None:
    """Train the named weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help=", ".join(sorted(file.stem for file in RECIPES.glob("*.json"))))
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--time-limit", type=float, default=math.inf, help="seconds; the same command continues")
    options = parser.parse_args()
    deadline = time.monotonic() + options.time_limit
    for name in options.names:
        if not run(name, options.data, options.runs, deadline):
            break


if __name__ == "__main__":
    main()
