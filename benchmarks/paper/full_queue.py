"""Plan the trainings of Tables 1 to 3 at full size: which, in which order, and for how many hours.

    python -m benchmarks.paper.full_queue [--data FOLDER]

Writes queues/full.qband.json, which train_queue.py works through, its recipe, and results/paper/full_queue.csv and .md: the
hours of each system, an **estimate**. With --data it also writes the splits of the five folds, from splits/qband.fold1.csv on.

    python -m benchmarks.make.train_queue benchmarks/queues/full.qband.json --data FOLDER --runs runs/tables/full.qband
    python -m benchmarks.paper.table3_comparison --budget full --data FOLDER --runs runs/tables

The first trains, the second scores what is trained and trains what is not; a run has to be finished by the script that began
it. The queue starts with what is most needed: GRiCoL, GRiL, the control and ResNet-50 on the first fold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.record import RESULTS, ROOT, write
from benchmarks.common.sets import FILES, SPLITS, open_set
from benchmarks.paper.systems import BUDGETS, FOLD_SEED, FOLDS, FULL_ONLY, SYSTEMS, TABLE1, TABLE2, TABLE3
from gricol_zoo.data.folds import assign_folds, fold_split
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.split import split_rows, write_split
from gricol_zoo.files import write_json

TAG = "qband"
QUEUE = ROOT / "benchmarks" / "queues" / f"full.{TAG}.json"
RECIPE = QUEUE.with_name("full.recipe.json")
FIRST = ("gricol", "gril", "control", "resnet50")
A100 = 2470  # images per second: ResNet-50 at 224x224, mixed precision, one A100, published by NVIDIA (DeepLearningExamples)
COLUMNS = {
    "name": ("system", ""),
    "gflops": ("Gflops (multiply-adds) per image, forward", ".2f"),
    "runs": ("runs", ""),
    "amx_hours": ("hours per run, AMX", ".1f"),
    "gpu_hours": ("hours per run, GPU", ".2f"),
    "amx_all": ("hours of all runs, AMX", ".0f"),
    "gpu_all": ("hours of all runs, GPU", ".1f"),
}


def order() -> list[str]:
    """Return the networks of the tables, those of ``FIRST`` first."""
    names = dict.fromkeys((*FIRST, *TABLE3, *TABLE1, *TABLE2, *FULL_ONLY))
    return [name for name in names if not SYSTEMS[name].classical]


def trainings() -> list[dict[str, Any]]:
    """Return the queue: fold by fold, seed by seed, named as ``benchmarks.paper.runs`` looks for them."""
    plan, queue = BUDGETS["full"], []
    for fold in plan.tested:
        for seed in plan.seeds:
            queue += [_training(name, seed, fold) for name in order()]
    return queue


def _training(name: str, seed: int, fold: int) -> dict[str, Any]:
    system, plan = SYSTEMS[name], BUDGETS["full"]
    one = {
        "name": f"{name}.{seed}.{fold}",
        "model": system.full,
        "recipe": str(RECIPE.relative_to(ROOT)),
        "epochs": plan.recipe.epochs,
        "seed": seed,
        "data": FILES[TAG],
        "split": split_file(fold).name,
    }
    if system.full_changes:
        one["changes"] = dict(system.full_changes)
    if system.precision:
        one["recipe_changes"] = {"precision": system.precision}
    return one


def split_file(fold: int) -> Path:
    """Return where a fold's split is; folds are counted from 0, their files from 1."""
    return SPLITS / f"{TAG}.fold{fold + 1}.csv"


def write_splits(data: Path) -> None:
    """Write the splits of all folds, as the tables' runs split the images."""
    images = open_set(TAG, data)
    fold_of = assign_folds(images, FOLDS, FOLD_SEED)
    for fold in range(FOLDS):
        split = fold_split(images, fold_of, fold, FOLD_SEED)
        write_split(split_rows(split), split_file(fold))


def gflops() -> dict[str, float]:
    """Return the Gflops of a forward pass of each system in training, all branches, from the committed tables."""
    sizes = {row["name"]: float(row["gflops"]) for row in read_csv(RESULTS / "paper" / "baselines.csv")}
    grids = {row["system"]: row for row in read_csv(RESULTS / "paper" / f"table2_grid_size.light.{TAG}.csv")}
    known = {name: float(row["gmacs_full"]) for name, row in grids.items()}
    # Without overlap, or without the reconstruction, the cost is the same to within a thousandth.
    known |= {"gril": known["gricol"], "gricol_nooverlap": known["gricol"]}
    known["control"] = float(grids["gricol"]["gmacs_lower"])
    return {name: known[name] if name in known else sizes[SYSTEMS[name].full] for name in order()}


def rates() -> dict[str, float]:
    """Return 1e9 multiply-adds of forward passes per second in training, on a processor with AMX and on a GPU.

    The processor's is that of the last epoch of r50half.pki3, at full size in bf16; its log does not name the processor, but no
    other of ours is so fast. The GPU's is NVIDIA's figure, because nothing was measured on a GPU here.
    """
    (log,) = read_csv(RESULTS / "released" / "r50half.pki3.log.csv")
    trained = json.loads((ROOT / "hub" / "r50half.pki3" / "config.json").read_text())["gricol_zoo"]["training"]["images"]
    (resnet,) = [
        row
        for row in read_csv(RESULTS / "speed" / "speed.csv")
        if (row["model"], row["form"], row["in_chans"]) == ("timm/resnet50", "as is", "3")
    ]
    return {"amx": trained * gflops()["control"] / float(log["seconds"]), "gpu": A100 * float(resnet["infer_gmacs"])}


def estimate(cost: float, images: int, epochs: int, rate: float) -> float:
    """Return the hours of a training: ``cost`` in 1e9 multiply-adds per image, ``rate`` in 1e9 multiply-adds per second."""
    return images * epochs * cost / rate / 3600


def rows(queue: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the estimates, one row per system."""
    costs, speeds, epochs = gflops(), rates(), BUDGETS["full"].recipe.epochs
    images = int(read_csv(RESULTS / "paper" / f"table_runs.light.{TAG}.csv")[0]["train_images"])
    out = []
    for name in order():
        runs = sum(one["name"].startswith(f"{name}.") for one in queue)
        hours = {kind: estimate(costs[name], images, epochs, rate) for kind, rate in speeds.items()}
        row: dict[str, Any] = {"system": name, "name": SYSTEMS[name].label, "model": SYSTEMS[name].full, "runs": runs}
        row |= {"gflops": costs[name], "images": images, "epochs": epochs}
        row |= {f"{kind}_hours": round(each, 4) for kind, each in hours.items()}
        row |= {f"{kind}_all": round(runs * each, 3) for kind, each in hours.items()}
        out.append(row)
    return out


def note(table: Sequence[Mapping[str, Any]]) -> str:
    """Return the note below the table: the total hours, and how they were estimated."""

    def total(key: str, names: tuple[str, ...] = ()) -> float:
        return sum(row[key] for row in table if not names or row["system"] in names)

    speeds = rates()
    first = f"{total('amx_hours', FIRST):.0f} hours on the processor or {total('gpu_hours', FIRST):.1f} on the GPU"
    return (
        f"**Estimates, not measurements**, of {table[0]['epochs']} epochs of {table[0]['images']} images. One seed on the "
        f"first fold: {first} for the first four, {total('amx_hours'):.0f} or {total('gpu_hours'):.1f} for all; three seeds "
        f"on five folds: {total('amx_all'):.0f} or {total('gpu_all'):.0f}. The processor (two cores with AMX, bf16): "
        f"{speeds['amx']:.0f} G multiply-adds of forward passes per second with their backward passes, as r50half.pki3's last "
        "epoch at full size went, with frozen batch-norms, so others are slower. "
        f"The GPU: {speeds['gpu'] / 1000:.1f} T, as NVIDIA publishes for ResNet-50 on one A100; a loop without their tuning "
        "takes longer. CIR-Net trains in fp32, which takes longer too. What only a training's objective computes, and the "
        "measuring of shapes, are not in it."
    )


def main() -> None:
    """Write the queue, its recipe and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"folder with {FILES[TAG]}; without it the splits stay as they are")
    options = parser.parse_args()
    if options.data:
        write_splits(options.data)
    queue = trainings()
    QUEUE.parent.mkdir(exist_ok=True)
    write_json(RECIPE, BUDGETS["full"].recipe.to_dict())
    QUEUE.write_text("[\n" + ",\n".join(json.dumps(one) for one in queue) + "\n]\n")  # one line each
    table = rows(queue)
    write("paper/full_queue", table, COLUMNS, note(table))


if __name__ == "__main__":
    main()
