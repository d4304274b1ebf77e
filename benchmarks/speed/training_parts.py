"""How much augmentation, averaging and input add to a training step, compared with another checkout in turns.

    git worktree add ../before 873bb54
    python -m benchmarks.speed.training_parts --against ../before [--rounds 5] [--only r50half]

Both checkouts train on the same synthetic canvases, in processes that take turns, in bf16 where the processor has it, with
torch's number of threads. Of each part, a process's fastest time counts. "frozen" trains as the recipes of the paper-size
family do from their second stage on: the batch-norms keep their statistics. Writes results/speed/training_parts.csv and .md:
medians over the rounds, each part's share of the whole now, and the quartiles of the paired ratios. A row "released recipe"
compares the step now, with frozen batch-norms, with the step of the other checkout's recipes, without them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.common.record import ROOT, write
from gricol_zoo.benchmark.machine import describe_machine

CASES = (
    ("r50half", "robust_finetune", 28),
    ("gricol_r50half_n3", "robust_finetune", 14),
    ("r18half_192", "robust", 32),
    ("r18half_192", "light_finetune", 32),
    ("gricol_r18half_n3_192", "robust", 32),
)
WORK = """
import json, sys, time
import numpy as np, torch
import gricol_zoo
from gricol_zoo.data.arrays import normalise
from gricol_zoo.data.preprocess import prepare
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.inference.precision import has_bf16
from gricol_zoo.training.losses import GridLoss
from gricol_zoo.training.optim import make_optimizer, update_average
from gricol_zoo.training.recipes import RECIPES
from gricol_zoo.training.task import TrainingTask
name, recipe, batch = sys.argv[1], RECIPES[sys.argv[2]], int(sys.argv[3])
torch.manual_seed(0)
upright = {"orientation": "upright", "pad_to": None, "contrast": "p99", "version": 2, "scale": 4.0}
paper_size = {} if "192" in name else {"polarity": True, "preprocess": upright}
model = gricol_zoo.create_model(name, **paper_size)
cell = [grey for _, _, grey in render_cell(1, "F")][:batch]
canvases = np.stack([prepare(grey, model.spec.preprocess, model.spec.image_size).canvas for grey in cell])
images = torch.from_numpy(canvases).float() / 255
task = TrainingTask(model, GridLoss(recipe.beta, recipe.ramp * recipe.epochs, recipe.label_smoothing)).train()
task.to(memory_format=torch.channels_last)
optimizer = make_optimizer(task, recipe)
average = {key: value.clone() for key, value in model.state_dict().items()}
inputs = normalise(images * 255, model.spec).contiguous(memory_format=torch.channels_last)
labels, up = torch.arange(batch) % 24, torch.arange(batch) % 2 == 0
def step(_):
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
        loss = task(inputs, labels, 0.0, up if model.spec.polarity else None)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(task.parameters(), recipe.clip_grad)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
def frozen_step(_):
    norms = [module for module in task.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.eval()
    step(_)
    for norm in norms:
        norm.train()
parts = {
    "step": step,
    "step, frozen": frozen_step,
    "augmentation": lambda i: recipe.augment(images, torch.Generator().manual_seed(i)),
    "averaging": lambda i: update_average(average, model, recipe.ema_decay, i),
    "input": lambda i: normalise(torch.from_numpy(canvases).float(), model.spec).contiguous(memory_format=torch.channels_last),
}
def fastest(part, count):
    part(0)
    blocks = []
    for block in range(4):
        start = time.perf_counter()
        for i in range(count):
            part(i)
        blocks.append((time.perf_counter() - start) / count * 1e3)
    return min(blocks)
print(json.dumps({key: fastest(part, 1 if key.startswith("step") else 5) for key, part in parts.items()}))
"""
COLUMNS = {
    "model": ("model", ""),
    "recipe": ("recipe", ""),
    "batch_size": ("batch", ""),
    "part": ("part", ""),
    "before": ("before, ms", ".2f"),
    "now": ("now, ms", ".2f"),
    "share": ("of the frozen whole", ".1%"),
    "ratio": ("before / now", ".2f"),
    "low": ("lower quartile", ".2f"),
    "high": ("upper quartile", ".2f"),
}


def measure(checkout: Path, model: str, recipe: str, batch: int) -> dict[str, float]:
    """Return the milliseconds of each part, and of all together, by a checkout's package."""
    settings = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-c", WORK, model, recipe, str(batch)]
    done = subprocess.run(command, env=settings, cwd=checkout, capture_output=True, text=True, check=True)
    parts = json.loads(done.stdout.splitlines()[-1])
    beside = parts["augmentation"] + parts["averaging"] + parts["input"]
    return {**parts, "all": parts["step"] + beside, "all, frozen": parts["step, frozen"] + beside}


def rows_of(case: tuple[str, str, int], pairs: list[tuple[dict[str, float], dict[str, float]]]) -> list[dict[str, object]]:
    """Return one row per part, from pairs (before, now)."""
    model, recipe, batch = case
    known = {"model": model, "recipe": recipe, "batch_size": batch, "rounds": len(pairs), **describe_machine()}
    compared = {part: (part, part) for part in pairs[0][0]} | {"released recipe": ("all", "all, frozen")}
    whole = np.median([now["all, frozen"] for _, now in pairs])
    rows = []
    for part, (then, today) in compared.items():
        before, now = np.array([(old[then], new[today]) for old, new in pairs]).T
        low, ratio, high = np.percentile(before / now, [25, 50, 75])
        middle = {"before": float(np.median(before)), "now": float(np.median(now)), "share": float(np.median(now) / whole)}
        rows.append({"part": part, **middle, "ratio": ratio, "low": low, "high": high, **known})
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[model for model, *_ in CASES], help="only these models")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    command = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, cwd=options.against, capture_output=True, text=True, check=True).stdout.strip()
    note = f"Against {told}: {options.rounds} pairs in turns, milliseconds a batch; faster is above 1."
    for case in CASES:
        if case[0] in options.only:
            pairs = [(measure(options.against, *case), measure(ROOT, *case)) for _ in range(options.rounds)]
            rows += rows_of(case, pairs)
            write("speed/training_parts", rows, COLUMNS, note)  # after each case, because the last takes long


if __name__ == "__main__":
    main()
