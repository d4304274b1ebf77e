"""What of a training step is not the step itself: augmentation, averaging, input; and against another checkout, in turns?

    git worktree add ../before 873bb54
    python -m benchmarks.speed.training_parts --against ../before [--rounds 5]

Both checkouts train on the same synthetic canvases, 32 at a time, in processes of one thread that take turns, in bf16 where
the processor has it. Times are of the processor, not of the clock, so that whatever else runs disturbs them little; of each
part the fastest of a process counts. Writes results/speed/training_parts.csv and .md: medians over the rounds, each part's
share of the whole of now, and the quartiles of the paired ratios.
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
    ("r18half_192", "robust"),
    ("r18half_192", "light"),
    ("r18half_192", "light_finetune"),
    ("gricol_r18half_n3_192", "robust"),
)
BATCH = 32
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
model = gricol_zoo.create_model(name)
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
parts = {
    "bare step": step,
    "augmentation": lambda i: recipe.augment(images, torch.Generator().manual_seed(i)),
    "averaging": lambda i: update_average(average, model, recipe.ema_decay, i),
    "input": lambda i: normalise(torch.from_numpy(canvases).float(), model.spec).contiguous(memory_format=torch.channels_last),
}
def fastest(part, count):
    part(0)
    blocks = []
    for block in range(4):
        start = time.process_time()
        for i in range(count):
            part(i)
        blocks.append((time.process_time() - start) / count * 1e3)
    return min(blocks)
print(json.dumps({key: fastest(part, 2 if key == "bare step" else 10) for key, part in parts.items()}))
"""
COLUMNS = {
    "model": ("model", ""),
    "recipe": ("recipe", ""),
    "part": ("part", ""),
    "before": ("before, ms", ".2f"),
    "now": ("now, ms", ".2f"),
    "share": ("of the whole", ".1%"),
    "ratio": ("now / before", ".2f"),
    "low": ("lower quartile", ".2f"),
    "high": ("upper quartile", ".2f"),
}


def measure(checkout: Path, model: str, recipe: str) -> dict[str, float]:
    """Return the milliseconds of each part, and of all together, by a checkout's package in one thread."""
    settings = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORK, model, recipe, str(BATCH)]
    done = subprocess.run(command, env=settings, cwd=checkout, capture_output=True, text=True, check=True)
    parts = json.loads(done.stdout.splitlines()[-1])
    return {**parts, "all": sum(parts.values())}


def rows_of(model: str, recipe: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> list[dict[str, object]]:
    """Return a row for each part, of pairs (before, now)."""
    whole = np.median([now["all"] for _, now in pairs])
    rows = []
    for part in pairs[0][0]:
        before, now = np.array([(old[part], new[part]) for old, new in pairs]).T
        low, ratio, high = np.percentile(now / before, [25, 50, 75])
        middle = {"before": float(np.median(before)), "now": float(np.median(now)), "share": float(np.median(now) / whole)}
        known = {"model": model, "recipe": recipe, "batch_size": BATCH, "part": part}
        rows.append({**known, **middle, "ratio": ratio, "low": low, "high": high, "rounds": len(pairs), **describe_machine()})
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    command = ["git", "rev-parse", "--short", "HEAD"]
    told = subprocess.run(command, cwd=options.against, capture_output=True, text=True, check=True).stdout.strip()
    note = f"Against {told}: {options.rounds} pairs in turns, batches of {BATCH}, one thread, processor time."
    for model, recipe in CASES:
        pairs = [(measure(options.against, model, recipe), measure(ROOT, model, recipe)) for _ in range(options.rounds)]
        rows += rows_of(model, recipe, pairs)
        write("speed/training_parts", rows, COLUMNS, note)  # each time, for the last case takes long


if __name__ == "__main__":
    main()
