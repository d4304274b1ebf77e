"""What each part of the model and of the recipe is worth: short trainings that differ in one thing, two seeds each.

    python -m benchmarks.paper.ablations --data FOLDER --init RUN --runs runs/ablations [--only 'no *'] [--time-limit 5000]

Q-band train part, scored on its val part (by cell): the test part is not used. Every line starts from the same
weights (``--init``: the pretraining on Pki-3's train part) and follows ``light_finetune``, cut to a few epochs.
Finished lines are kept, so a stopped run can be continued. Writes results/paper/ablations.csv and ABLATIONS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import fnmatch
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gricol_zoo
from benchmarks.common.record import COMMIT, RESULTS
from benchmarks.common.sets import open_set, split_file
from gricol_zoo.benchmark.rows import to_markdown
from gricol_zoo.data.arrays import as_batch, label_indices, load_canvases
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.files import write_atomically
from gricol_zoo.inference.calibration import negative_log_likelihood
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.progress import show_progress
from gricol_zoo.training.recipes import Recipe, get_recipe
from gricol_zoo.training.train import train
from gricol_zoo.weights.resolve import find_weights

GRICOL, GRIL, CONTROL = "gricol_r18half_n3_128", "gril_r18half_128", "r18half_128"
SEEDS = (0, 1)
FILE = RESULTS / "paper" / "ablations.csv"
PAGE = Path(__file__).parent / "ABLATIONS.md"


@dataclass(frozen=True)
class Line:
    """One line of the table: a model, the changes to it and to its recipe, and whether it starts from pretrained weights."""

    model: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, float] = field(default_factory=dict)
    pretrained: bool = True


MODEL_LINES = {
    "GRiCoL: N = 3, overlap, scalar gate, literal chain, own norms, upright": Line(GRICOL),
    "no grid (control)": Line(CONTROL),
    "no reconstruction (GRiL)": Line(GRIL),
    "channel gate": Line(GRICOL, {"head_options": {"gate": "channel"}}),
    "recursive chain": Line(GRICOL, {"head_options": {"chain": "recursive"}}),
    "no overlap": Line(GRICOL, {"splitter": "tiles"}),
    "N = 2": Line(GRICOL, {"grid": 2}),
    "N = 4": Line(GRICOL, {"grid": 4}),
    "batch-norm shared by cells and overview": Line(GRICOL, {"cell_norm": "shared"}),
    "crops as they lie, not upright": Line(GRICOL, {"preprocess": {"orientation": "centred"}}),
    "full weight of all classifiers from 3/4 on": Line(GRICOL, recipe={"ramp": 0.75}),
}
RECIPE_LINES = {
    "control, the recipe as it is": Line(CONTROL),
    "no pretraining": Line(CONTROL, pretrained=False),
    "no bends (elastic or bow)": Line(CONTROL, augment={"bend": 0.0, "elastic": 0.0}),
    "no stripes and holes": Line(CONTROL, augment={"overlap": 0.0, "erase": 0.0}),
    "short arm always up": Line(CONTROL, augment={"flip_arms": 0.0}),
    "no averaging of weights": Line(CONTROL, recipe={"ema_decay": 0.0}),
    "constant learning rate": Line(CONTROL, recipe={"schedule": "constant"}),
    "no label smoothing": Line(CONTROL, recipe={"label_smoothing": 0.0}),
    "mixup 0.2": Line(CONTROL, recipe={"mixup": 0.2}),
}
LINES = {**MODEL_LINES, **RECIPE_LINES}
HEAD = """# Ablations

Written by `python -m benchmarks.paper.ablations`; all columns, with the command and commit of each run, are in
`benchmarks/results/paper/ablations.csv`. Short trainings that differ in one thing: Q-band train part (3450 images),
{epochs} epochs of `light_finetune` instead of 24, from `r18half_128.pki3_start` (trained on Pki-3's train part) but for the
line without pretraining. The figure is the accuracy on the val part (460 images of 10 cells) after the last epoch. One image
is 0.2 points, and the two seeds of a line show how much chance moves: differences smaller than theirs say nothing. The test
part was not looked at. Minutes are of one thread beside other work, so they compare roughly.
"""
COLUMNS = {
    "line": ("line", ""),
    "lower": ("lower branch, % (seeds 0, 1)", ""),
    "mean": ("mean", ".2f"),
    "against": ("against the first line", "+.2f"),
    "full": ("all classifiers, %", ""),
    "merged": ("Y_0 alone, %", ""),
    "val_loss": ("val loss", ".3f"),
    "minutes": ("minutes a run", ".1f"),
}


def recipe_of(line: Line, epochs: int, seed: int) -> Recipe:
    """Return the recipe of a line."""
    recipe = dataclasses.replace(get_recipe("light_finetune", epochs=epochs, seed=seed), **line.recipe)
    return dataclasses.replace(recipe, augment=dataclasses.replace(recipe.augment, **line.augment))


def score(folder: Path, data: Path) -> dict[str, float]:
    """Return the val accuracies of a finished run by lower branch, all classifiers, and Y_0 alone, and its val loss."""
    model: Any = gricol_zoo.create_model(f"local-dir:{folder}", pretrained=True)
    images = apply_split(open_set("qband", data), read_split(split_file("qband")))["val"]
    labels = label_indices(images.records, model.spec.labels, images.name)
    canvases = load_canvases(images, model.spec)
    lower = predict_logits(model, canvases)
    result = {"lower": float((lower.argmax(1) == labels).mean()), "val_loss": negative_log_likelihood(lower, labels)}
    if int(model.splitter.num_cells):
        result["full"] = float((predict_logits(model, canvases, full=True).argmax(1) == labels).mean())
        with torch.inference_mode():
            batches = [model.upper(as_batch(list(canvases[i : i + 64]), model.spec))[1] for i in range(0, len(canvases), 64)]
        if batches[0] is not None:
            result["merged"] = float((torch.cat(batches).argmax(1).numpy() == labels).mean())
    return result


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let one process at a time change the table."""
    with FILE.with_suffix(".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def command(name: str, epochs: int, seed: int) -> str:
    """Return the command that runs one line again."""
    return f"python -m benchmarks.paper.ablations --data FOLDER --init RUN --epochs {epochs} --only {name!r} --seeds {seed}"


def done() -> list[dict[str, str]]:
    """Return the rows of the finished lines."""
    return read_csv(FILE) if FILE.exists() else []


def page(rows: list[dict[str, str]]) -> str:
    """Return ABLATIONS.md."""
    epochs = ", ".join(sorted({row["epochs"] for row in rows}))
    text = [HEAD.format(epochs=epochs)]
    for title, lines in (("The model", MODEL_LINES), ("The recipe", RECIPE_LINES)):
        table: list[dict[str, Any]] = []
        for name in lines:
            own = sorted((row for row in rows if row["line"] == name), key=lambda row: row["seed"])
            if not own:
                continue
            shown: dict[str, Any] = {"line": name}
            for key in ("lower", "full", "merged"):
                if own[0].get(key):
                    shown[key] = ", ".join(f"{100 * float(row[key]):.1f}" for row in own)
            shown["mean"] = 100 * float(np.mean([float(row["lower"]) for row in own]))
            shown["val_loss"] = float(np.mean([float(row["val_loss"]) for row in own]))
            shown["minutes"] = float(np.mean([float(row["seconds"]) for row in own])) / 60
            shown["against"] = shown["mean"] - (table[0]["mean"] if table else shown["mean"])
            table.append(shown)
        text.append(f"## {title}\n\n{to_markdown(table, COLUMNS)}")
    return "\n".join(text)


def main() -> None:
    """Run what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--init", required=True, help="the pretrained run")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", default="*", help="lines by pattern; two processes, one thread each, can share the work")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--time-limit", type=float, default=math.inf, help="seconds after which no new run is started")
    options = parser.parse_args()
    show_progress()
    deadline, rows = time.monotonic() + options.time_limit, done()
    setting = {"epochs": str(options.epochs), "init_sha256": find_weights(options.init).info.sha256}
    for row in rows:
        if {key: row[key] for key in setting} != setting:
            raise SystemExit(f"{FILE} has rows of other epochs or another start: move it, or give the same --epochs and --init")
    images = open_set("qband", options.data)
    for seed in options.seeds:
        for name, line in LINES.items():
            if (
                (name, str(seed)) in {(row["line"], row["seed"]) for row in rows}
                or not fnmatch.fnmatch(name, options.only)
                or time.monotonic() > deadline
            ):
                continue
            folder = options.runs / f"{list(LINES).index(name)}-{seed}"
            shutil.rmtree(folder, ignore_errors=True)
            started = time.monotonic()
            init = options.init if line.pretrained else ""
            recipe = recipe_of(line, options.epochs, seed)
            print(f"{name}, seed {seed}", flush=True)
            split = read_split(split_file("qband"))
            if not train(images, split, line.model, recipe, folder, init=init, changes=line.changes, split_name="qband.csv"):
                return
            seconds = time.monotonic() - started
            what = {"line": name, "seed": str(seed), "model": line.model, "changes": json.dumps(dict(line.changes))}
            what |= {"recipe_changes": json.dumps({**line.recipe, **line.augment}), **setting}
            what |= {"pretrained": str(line.pretrained), "split": "qband.csv", "part": "val", "images": "460"}
            what |= {key: f"{value:.6f}" for key, value in score(folder, options.data).items()}
            what |= {"seconds": f"{seconds:.0f}", "commit": COMMIT, "command": command(name, options.epochs, seed)}
            with locked():
                rows = [*done(), what]  # another process may have added some
                write_atomically(FILE, to_csv(rows).encode())
            (folder / "checkpoint.pt").unlink()
    PAGE.write_text(page(done()))


if __name__ == "__main__":
    main()
