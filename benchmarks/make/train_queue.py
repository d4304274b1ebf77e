"""Run several trainings one after another from one file that lists them; an interrupted queue can be continued.

    python -m benchmarks.make.train_queue QUEUE.json --data FOLDER --runs runs [--list] [--time-limit 9000]

QUEUE.json is a list of objects, trained in their order:

    {"name": "a", "model": "r18half_192", "recipe": "robust", "epochs": 12, "seed": 0, "recipe_changes": {},
     "changes": {}, "data": "qband.zip", "split": "qband.csv", "init": ""}

`name` is the folder in --runs; `data` is a file in --data, or a path; `split` is a file in benchmarks/splits, or a path (""
makes one); `init` is another name in the file, released weights, a folder, or "". Both changes, `split` and `init` may be left
out. The same command continues after any interruption, SIGKILL included, and ends with the weights of an uninterrupted run (on
the same kind of processor, with the same torch version). Several processes may share a queue: each takes a training that no
other process runs. A training that fails is reported and skipped; what starts from it waits. At the end the script lists what
is left; the exit status is 0 if nothing is.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from benchmarks.common.sets import SPLITS
from benchmarks.make.train_weights import train_one
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import read_split, split_for
from gricol_zoo.errors import ConfigError, GricolZooError
from gricol_zoo.files import read_json
from gricol_zoo.training.state import LOG_FILE
from gricol_zoo.weights.config import CONFIG_FILE, NAME

NEEDED = {"name": str, "model": str, "recipe": str, "epochs": int, "seed": int, "data": str}
OPTIONAL: dict[str, Any] = {"recipe_changes": {}, "changes": {}, "split": "", "init": ""}


def read_queue(file: Path) -> list[dict[str, Any]]:
    """Read a queue.

    Raises:
        ConfigError: it is not a list of trainings; the message names the training and what is wrong with it.
    """
    queue = read_json(file, "a queue of trainings")
    if not isinstance(queue, list) or not all(isinstance(one, dict) for one in queue):
        raise ConfigError(f"Expected {file} to be a list of objects, one per training.")
    names: list[str] = []
    for one in queue:
        _check(one, names, f"{file}, training {len(names) + 1}")
        names.append(one["name"])
    return [{**OPTIONAL, **one} for one in queue]


def _check(one: Mapping[str, Any], before: list[str], where: str) -> None:
    for key, kind in NEEDED.items():
        if not isinstance(one.get(key), kind) or isinstance(one[key], bool):
            raise ConfigError(f"{where}: expected {key!r} to be a {kind.__name__}, but got {one.get(key)!r}.")
    for key, value in one.items():
        if key not in NEEDED and not isinstance(value, type(OPTIONAL.get(key))):
            known = ", ".join([*NEEDED, *OPTIONAL])
            raise ConfigError(f"{where}: {key!r} is unknown, or cannot be {value!r}. Known: {known}.")
    if not NAME.fullmatch(one["name"]) or one["name"] in before:
        raise ConfigError(f"{where}: expected a unique short name of letters, digits and `_.-`, but got {one['name']!r}.")


def is_done(run: Path) -> bool:
    """Say whether a run is finished: its config is written last."""
    return (run / CONFIG_FILE).is_file()


def waits_for(one: Mapping[str, Any], queue: list[dict[str, Any]], runs: Path) -> str:
    """Return the name of the unfinished training of the queue that a training starts from; "" if there is none."""
    return one["init"] if one["init"] in {other["name"] for other in queue} and not is_done(runs / one["init"]) else ""


def train_next(one: Mapping[str, Any], data: Path, runs: Path, **options: Any) -> bool:
    """Start or continue one training; return whether it is finished."""
    images = open_images(data / one["data"])
    if one["split"]:
        split = read_split(SPLITS / one["split"])  # an absolute path is unchanged by the `/`
        name = Path(one["split"]).name
    else:
        images, split, name = split_for(images, one["seed"])
    init = str(runs / one["init"]) if is_done(runs / one["init"]) and one["init"] else one["init"]
    return train_one(one, images, split, runs / one["name"], init, split_name=name, **options)


def work(queue: list[dict[str, Any]], data: Path, runs: Path, deadline: float = math.inf, **options: Any) -> dict[str, str]:
    """Train what is not finished and what no other process runs; return the failures, name -> message.

    Args:
        queue: as ``read_queue`` gives it.
        data: where the sets are.
        runs: where the runs go.
        deadline: of ``time.monotonic()``, at which to stop cleanly.
        options: for ``train``: ``device``, ``checkpoint_every``.
    """
    failed: dict[str, str] = {}
    runs.mkdir(parents=True, exist_ok=True)
    for one in queue:
        name, waiting = one["name"], waits_for(one, queue, runs)
        if is_done(runs / name) or waiting:
            continue
        try:
            with FileLock(runs / f".{name}.lock", blocking=False):  # released even if the process is killed
                if is_done(runs / name):
                    continue
                print(f"{name}: {state(one, queue, runs)}", flush=True)
                if not train_next(one, data, runs, time_limit=deadline - time.monotonic(), **options):
                    break
        except Timeout:
            print(f"{name}: another process is training it", flush=True)
        except GricolZooError as error:
            failed[name] = str(error)
            print(f"{name}: failed: {error}", flush=True)
    return failed


def state(one: Mapping[str, Any], queue: list[dict[str, Any]], runs: Path) -> str:
    """Return how far a training is, in words."""
    if is_done(runs / one["name"]):
        return "done"
    if waiting := waits_for(one, queue, runs):
        return f"waits for {waiting}"
    log = runs / one["name"] / LOG_FILE
    epochs = len(read_csv(log)) if log.is_file() else 0
    return f"{one['epochs'] - epochs} of {one['epochs']} epochs left"


def main() -> int:
    """Work through the queue; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queue", type=Path)
    parser.add_argument("--data", type=Path, default=Path(), help="folder of the image sets (default: .)")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--list", action="store_true", help="only list what is left")
    parser.add_argument("--time-limit", type=float, default=math.inf, help="seconds; the same command continues")
    parser.add_argument("--checkpoint-every", type=float, default=120.0, help="seconds between checkpoints (default: 120)")
    parser.add_argument("--device", default="", help="cpu or cuda (default: cuda if available)")
    options = parser.parse_args()
    queue = read_queue(options.queue)
    failed = {}
    if not options.list:
        how = {"device": options.device, "checkpoint_every": options.checkpoint_every}
        failed = work(queue, options.data, options.runs, time.monotonic() + options.time_limit, **how)
    for one in queue:
        reason = f" (failed: {failed[one['name']]})" if one["name"] in failed else ""
        print(f"{one['name']}: {state(one, queue, options.runs)}{reason}")
    left = [one["name"] for one in queue if not is_done(options.runs / one["name"])]
    print(f"left: {', '.join(left) or 'nothing'}")
    return bool(left)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GricolZooError as error:
        sys.exit(f"train_queue: {error}")
