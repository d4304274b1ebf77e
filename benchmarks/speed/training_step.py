"""One training step: ours compared with the paper's equations written out literally, and with a plain loop.

    python -m benchmarks.speed.training_step [--model gricol_r18half_n3_128] [--batch-size 32] [--rounds 7]

Writes results/speed/training_step.csv and .md (timed in turn, in one run; peak memory in a process for each) and
results/speed/training_step_profile.csv (where the time of our step goes). Random images, AdamW, epoch 0, torch's number of
threads.

- naive: a loop over the cells, one backbone call each, fp32, default memory format: Eq. 1 to 7 as they stand.
- plain: cells folded into the batch, one backbone call, default memory format; fp32, and bf16 by autocast.
- ours: forward, backward and optimizer as in ``gricol-zoo train``; then with gradient checkpointing, and through torch.compile.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

import gricol_zoo
from benchmarks.common import record
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.models import Subject, training_step
from gricol_zoo.benchmark.timing import Step, peak_memory_of, time_in_turn
from gricol_zoo.inference.precision import has_bf16

COLUMNS = {
    "step": ("step", ""),
    "train_batch_size": ("batch", ""),
    "train_samples_per_sec": ("images/s", ".1f"),
    "train_step_time": ("ms per step", ".0f"),
    "speed_vs_naive": ("speed / naive", ".2f"),
    "speed_vs_plain": ("speed / plain, same dtype", ".2f"),
    "train_peak_memory": ("peak memory, MiB", ".0f"),
    "memory_vs_naive": ("memory / naive", ".2f"),
}
PROFILE_COLUMNS = {"operator": ("operator", ""), "share": ("share of the step", ".1%"), "calls": ("calls", "")}


def naive_loss(model: Any, images: torch.Tensor, labels: torch.Tensor, epoch: float, beta: float, ramp: float) -> torch.Tensor:
    """Return the loss by the paper's equations taken literally: one cell after another."""
    head = model.head
    cells = model.splitter(images)
    count = cells.shape[1]
    features = [model.backbone(cells[:, k]).mean((2, 3)) for k in range(count)]  # Eq. 1
    gated, logits, previous = [], [], torch.zeros_like(features[0])
    for k in range(count):
        logits.append(head.classifiers[k](head.reconstruct[k](features[k] + previous)))  # Eq. 3
        previous = head.gates[k](features[k]) * features[k]  # Eq. 2
        gated.append(previous)
    merged = head.merged_classifier(head.merge(torch.stack(gated).amax(0)))  # Eq. 4
    rise = 2.718281828459045 ** min(epoch - ramp, 0.0)
    loss = F.cross_entropy(model(images), labels)
    for k in range(count):
        loss = loss + min(1.0, rise + (k + 1) * beta) * F.cross_entropy(logits[k], labels)  # Eq. 5-7
    return loss + min(1.0, rise + (count + 1) * beta) * F.cross_entropy(merged, labels)


def plain_step(name: str, batch_size: int, loop: bool, bf16: bool) -> Step:
    """Return a step with torch's defaults, without our optimizations."""
    torch.manual_seed(0)
    model = gricol_zoo.create_model(name).train()
    loss_of = gricol_zoo.GridLoss()
    x = torch.randn(batch_size, model.spec.in_chans, *model.spec.image_size)
    labels = torch.randint(0, model.num_classes, (batch_size,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if loop:
                loss = naive_loss(model, x, labels, 0.0, loss_of.beta, loss_of.ramp_epoch)
            else:
                loss = loss_of(model.branches(x), labels, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def profile_step(step: Step, model: str, dtype: str, batch_size: int, at_most: int = 12) -> list[dict[str, Any]]:
    """Return the operators that a step spends its time in, by their own time, largest first."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        step()
    averages = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in averages)
    conditions = {"model": model, "dtype": dtype, "batch_size": batch_size, **describe_machine()}
    return [
        {"operator": event.key, "share": round(event.self_cpu_time_total / total, 4), "calls": event.count, **conditions}
        for event in averages[:at_most]
    ]


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="gricol_r18half_n3_128")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    dtype = "bf16" if has_bf16() else "fp32"
    ours, compiled = (Subject(options.model, form, dtype) for form in ("optimized", "compiled"))
    size = options.batch_size
    makers: dict[str, tuple[Any, ...]] = {
        "naive: a loop over the cells, fp32": (plain_step, options.model, size, True, False),
        "plain: one call, fp32": (plain_step, options.model, size, False, False),
        f"plain: one call, bf16{'' if dtype == 'bf16' else ' (emulated by this processor)'}": (
            plain_step,
            options.model,
            size,
            False,
            True,
        ),
        f"ours, {dtype}": (training_step, ours, size),
        f"ours, {dtype}, gradient checkpointing": (training_step, ours, size, True),
        f"ours, {dtype}, compiled": (training_step, compiled, size),
    }
    memory = {name: peak_memory_of(make, *arguments) for name, (make, *arguments) in makers.items()}
    times = time_in_turn({name: make(*arguments) for name, (make, *arguments) in makers.items()}, options.rounds)
    naive, fp32, bf16 = (times[name].median for name in list(makers)[:3])
    plain = bf16 if dtype == "bf16" else fp32  # emulated bf16 would not be a fair comparison
    rows = [
        {
            "model": options.model,
            "step": name,
            "train_batch_size": size,
            "train_samples_per_sec": round(size / time.median, 2),
            "train_step_time": round(time.median * 1e3, 1),
            "train_step_time_low": round(time.low * 1e3, 1),
            "train_step_time_high": round(time.high * 1e3, 1),
            "speed_vs_naive": round(naive / time.median, 3),
            "speed_vs_plain": round(plain / time.median, 3),
            "train_peak_memory": round(memory[name], 1),
            "memory_vs_naive": round(memory[name] / memory[next(iter(makers))], 3),
            "rounds": time.rounds,
            **describe_machine(),
        }
        for name, time in times.items()
    ]
    record.write("speed/training_step", rows, COLUMNS)
    record.write(
        "speed/training_step_profile", profile_step(training_step(ours, size), options.model, dtype, size), PROFILE_COLUMNS
    )


if __name__ == "__main__":
    main()
