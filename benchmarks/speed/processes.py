"""One process and two train alike: the loss curve of a fine-tuning with frozen batch-norm, step by step.

    python -m benchmarks.speed.processes --data qband.zip

Writes results/speed/processes.csv and .md: `gricol-zoo train` on real crops with all augmentation, in fp32, from the packaged
weights of the other set (so that there is something to learn), five epochs of 20 steps on a part of the Q-band train part: by
one process of one thread, by two under accelerate's launcher, by two "machines" of one process each, and by one process of two
threads, which also sums in another order and so shows the effect of rounding alone. No times are given; only losses count here.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from torch.distributed.elastic.utils.distributed import get_free_port

from benchmarks.common import record
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import read_split
from gricol_zoo.training.recipes import get_recipe

EPOCHS, CELLS = 5, 14  # 14 cells of about 46 crops in batches of 32: 20 steps
THREADS = "1, of two threads"
COLUMNS = {
    "processes": ("processes", ""),
    "epoch": ("epoch", ""),
    "train_loss": ("train loss", ".6f"),
    "val_loss": ("val loss", ".6f"),
    "apart": ("train loss, relative difference to one process", ".1e"),
    "val_apart": ("val loss", ".1e"),
}


def launcher(processes: int, machines: int, rank: int, port: int) -> list[str]:
    """Return how accelerate starts several processes on a processor; its --cpu would start only one."""
    options = {"num_processes": processes, "num_machines": machines, "machine_rank": rank, "main_process_ip": "127.0.0.1"}
    options |= {"main_process_port": port, "mixed_precision": "no", "dynamo_backend": "no"}
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["-m", "accelerate.commands.launch", "--multi_gpu", *given]


def few_cells(split: Path, target: Path, data: Path) -> None:
    """Write a split of the first train cells and the val cells; the rest is marked as test, which training does not use."""
    parts = read_split(split)
    cells = list(dict.fromkeys((record.case, record.cell) for record in open_images(data).records))
    train = [cell for cell in cells if parts[cell] == "train"][:CELLS]
    with target.open("w", newline="") as stream:
        rows = [(*cell, "train" if cell in train else "val" if parts[cell] == "val" else "test") for cell in cells]
        csv.writer(stream).writerows([("case", "cell", "part"), *rows])


def main() -> None:
    """Train four times and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    recipe = dataclasses.replace(get_recipe("light_finetune", epochs=EPOCHS), precision="fp32", freeze_batch_norm=True)
    logs: dict[str, list[dict[str, str]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few_cells(record.ROOT / "benchmarks" / "splits" / "qband.csv", folder / "split.csv", options.data)
        (folder / "recipe.json").write_text(json.dumps(recipe.to_dict()))
        given = ["--data", str(options.data), "--split", str(folder / "split.csv"), "--recipe", str(folder / "recipe.json")]
        given += ["--model", "r18half_128", "--init", "r18half_128.pki3", "--device", "cpu"]
        plans: dict[str, list[list[str]]] = {
            "1": [[]],
            THREADS: [[]],
            "2": [launcher(2, 1, 0, get_free_port())],
            "2, on two machines": [launcher(2, 2, rank, port) for port in [get_free_port()] for rank in (0, 1)],
        }
        for what, starts in plans.items():
            out = folder / what.replace(", ", "-").replace(" ", "-")
            train = ["-m", "gricol_zoo", "train", *given, "--out", str(out)]
            environment = {**os.environ, "OMP_NUM_THREADS": "2" if what == THREADS else "1"}
            running = [subprocess.Popen([sys.executable, *start, *train], env=environment) for start in starts]
            if any(each.wait() for each in running):
                raise SystemExit(f"the training by {what} processes failed")
            logs[what] = read_csv(out / "log.csv")
    rows: list[dict[str, Any]] = []
    for what, log in logs.items():
        for one, row in zip(logs["1"], log, strict=True):
            values = {key: float(row[key]) for key in ("train_loss", "val_loss")}
            apart = {
                key: abs(values[of] / float(one[of]) - 1) for key, of in (("apart", "train_loss"), ("val_apart", "val_loss"))
            }
            rows.append({"processes": what, "epoch": row["epoch"], **values, **({} if what == "1" else apart)})
    largest = {what: max(row["apart"] for row in rows if row["processes"] == what) for what in logs if what != "1"}
    note = f"Largest of the train loss: {', '.join(f'{value:.1e} ({what})' for what, value in largest.items())}."
    record.write("speed/processes", [{"data": options.data.name, **row} for row in rows], COLUMNS, note)


if __name__ == "__main__":
    main()
