"""All runtimes timed in turn in one run: our models and timm's, exported alike; and what each precision costs on val.

    pip install '.[test]' && python -m benchmarks.speed.runtimes --data FOLDER [--rounds 9]
    python -m benchmarks.speed.runtimes --only accuracy --data FOLDER [--images 460]

Writes, with their .md:
- results/speed/runtimes.csv: images per second, one image, share of the convolution peak, memory; as created,
  by `optimize`, by ONNX Runtime and by OpenVINO in the best precision of each and in int8, with timm's networks likewise;
- results/speed/runtimes_ratios.csv: the ratios that have a target;
- results/speed/runtimes_accuracy.csv: each released model on the val part of its split, by each runtime and precision. int8 is
  calibrated on synthetic chromosomes, as `make_runner` does it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import record
from benchmarks.common.sets import open_part, tag_of
from benchmarks.common.weights import create, released
from benchmarks.speed.export import lost
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.models import Subject, inference_step
from gricol_zoo.benchmark.rows import MARKDOWN, benchmark
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.split import group_of
from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.runtimes.choose import candidates, make_runner

GROUPS = {8: ("r50half.pki3", "timm/resnet50"), 32: ("r18half_192.pki3", "r18half_128.pki3", "timm/resnet18")}
"""Batch size -> the models that are compared at it."""
OURS, PEER = GROUPS[8]
RATIOS = {"what": ("what", ""), "ratio": ("ratio", ".2f"), "aim": ("aim, at least", ".2f"), "reached": ("reached", "")}
ACCURACY = {
    "name": ("weights", ""),
    "images": ("val images", ""),
    "runtime": ("runtime", ""),
    "dtype": ("precision", ""),
    "accuracy": ("accuracy", ".4f"),
    "lost": ("lost, points", "+.2f"),
    "low": ("95 % by cell or case, from", "+.2f"),
    "high": ("to", "+.2f"),
    "changed": ("classes changed", ""),
    "difference": ("largest difference of a logit", ".3f"),
}


def subjects(name: str) -> Iterator[Subject]:
    """Yield a model as created, and optimized by each runtime in each precision that is available here."""
    yield Subject(name, "as is")
    for runtime, dtype in candidates("auto"):
        one = Subject(name, "optimized", dtype, runtime=runtime)
        try:
            inference_step(one, 2)
            yield one
        except CheckpointError as error:
            print(error)


def speed(groups: dict[int, tuple[str, ...]], rounds: int, memory: bool) -> list[dict[str, Any]]:
    """Time every group in turn, and write the tables."""
    rows = []
    for batch, names in groups.items():
        rows += benchmark([one for name in names for one in subjects(name)], batch_size=batch, rounds=rounds, memory=memory)
    record.write("speed/runtimes", rows, MARKDOWN)
    record.write("speed/runtimes_ratios", [{**row, **describe_machine()} for row in ratios(rows)], RATIOS)
    return rows


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the ratios that have a target, and whether it was reached; the fastest row of our model stands for "auto"."""
    ours = [row for row in rows if row["model"] == OURS]
    if not ours or not any(row["model"] == PEER for row in rows):
        return []
    best = max(ours, key=lambda row: row["infer_samples_per_sec"])
    rate = {(row["model"], row["form"], row["runtime"], row["dtype"]): row["infer_samples_per_sec"] for row in rows}
    by = f"{best['runtime']} {best['dtype']}"
    created = rate[PEER, "as is", "torch", "fp32"]
    alike = rate[PEER, best["form"], best["runtime"], best["dtype"]]
    found = [
        (
            f"{OURS} by auto ({by}) / {PEER} as created",
            best["infer_samples_per_sec"] / created,
            12,
        ),
        (f"{OURS} / {PEER}, both by {by}", best["infer_samples_per_sec"] / alike, 1.35),
    ]
    if "infer_peak_fraction" in best:
        found.append((f"{OURS} by {by}: share of torch's convolution peak", best["infer_peak_fraction"], 0.55))
    return [
        {"what": what, "ratio": round(ratio, 3), "aim": aim, "reached": "yes" if ratio >= aim else "no"}
        for what, ratio, aim in found
    ]


def accuracy(names: list[str], data: Path, maximum: int) -> None:
    """Score each model on val by each runtime and precision, and write the table."""
    rows = []
    for name in names:
        val = open_part(tag_of(name), data, "val")
        val = val.subset(range(0, len(val), -(-len(val) // maximum))) if maximum else val
        model = create(name)
        labels = label_indices(val.records, model.spec.labels, val.name)
        canvases, groups = load_canvases(val, model.spec), [group_of(each) for each in val.records]
        plain = predict_logits(model, canvases)
        row = {"name": name, "images": len(val), "split": f"{tag_of(name)}.csv", "part": "val"}
        rows.append({**row, "runtime": "torch", "dtype": "fp32", "accuracy": float((plain.argmax(1) == labels).mean())})
        for runtime, dtype in candidates("auto"):
            if (runtime, dtype) != ("torch", "fp32"):
                found = _compared(model, canvases, labels, plain, groups, runtime, dtype)
                rows.append({**row, "runtime": runtime, "dtype": dtype, **found})
    note = "Lost: fp32 of torch minus this; the interval draws whole cells (Q-band) or cases (Pki-3)."
    record.write("speed/runtimes_accuracy", [{**row, **describe_machine()} for row in rows], ACCURACY, note)


def _compared(
    model: Any, canvases: np.ndarray, labels: np.ndarray, plain: np.ndarray, groups: list[str], runtime: str, dtype: str
) -> dict[str, Any]:
    """Return how a runtime's results on canvases compare with torch's (n, classes) logits in fp32."""
    try:
        logits = predict_logits(make_runner(model, runtime, dtype), canvases)
    except GricolZooError as error:
        return {"changed": "refused", "why": " ".join(str(error).split())}
    before, after = plain.argmax(1) == labels, logits.argmax(1) == labels
    return {
        "accuracy": float(after.mean()),
        "changed": int((plain.argmax(1) != logits.argmax(1)).sum()),
        "difference": float(np.abs(plain - logits).max()),
        **lost(before.astype(float) - after, groups),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["speed", "accuracy"])
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=0, help="images of each val part, for a quick look (default: all)")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--light", action="store_true", help="only the light models")
    options = parser.parse_args()
    if options.only != "speed" and options.data is None:
        parser.error("accuracy needs --data")
    if options.only != "accuracy":
        groups = {batch: names for batch, names in GROUPS.items() if batch > 8 or not options.light}
        speed(groups, options.rounds, not options.no_memory)
    if options.only != "speed":
        names = [name for name in released() if not (options.light and name.startswith("r50half"))]
        accuracy(names, options.data, options.images)


if __name__ == "__main__":
    main()
