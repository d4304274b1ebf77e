"""Exported models: images per second compared with torch, and what int8 costs in accuracy on val.

    pip install '.[export]' && python -m benchmarks.speed.export [--only speed] [--rounds 9]
    python -m benchmarks.speed.export --only accuracy --data FOLDER [--r50half runs/r50half]

Writes, with their .md:
- results/speed/export_speed.csv: r50half (random weights) and the packaged light model, batch of `predict`, random images, by
  torch as `optimize` gives them, by ONNX Runtime in fp32 and int8, and timm's resnet50 as `create_model` gives it, timed in
  turn;
- results/speed/export_ratios.csv: the ratios that have a target;
- results/speed/export_profile.csv: where int8 r50half spends its time in ONNX Runtime;
- results/speed/export_accuracy.csv: each released model on the val part of its split, in fp32 and in int8, calibrated on 256
  images of the train part; all six together below them. --r50half adds a folder of `train`, on the Q-band val part. The one in
  the table: gricol-zoo train --data qband.zip --split benchmarks/splits/qband.csv --model r50half --recipe light --epochs 10
  --change preprocess.orientation=upright --change preprocess.contrast=p99 --change preprocess.pad_to=null --device cpu --out
  runs/r50half
"""

from __future__ import annotations

import argparse
import collections
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import gricol_zoo
from benchmarks.common import record
from benchmarks.common.sets import calibration_crops, open_part, tag_of
from benchmarks.common.weights import create, released, title_of
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.models import Subject, inference_step
from gricol_zoo.benchmark.timing import time_in_turn
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.split import group_of
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.export import export_model, open_exported
from gricol_zoo.export.check import read_crops, synthetic_crops
from gricol_zoo.inference.logits import best_batch_size, make_classifying
from gricol_zoo.inference.precision import has_bf16

MODELS = ("r50half", gricol_zoo.DEFAULT_MODEL)
RESNET = "timm/resnet50, as created"
FP32, ORT_FP32, ORT_INT8 = "torch, fp32", "ONNX Runtime, fp32", "ONNX Runtime, int8"
SPEED = {
    "model": ("model", ""),
    "how": ("how", ""),
    "batch": ("batch", ""),
    "per_sec": ("images/s", ".1f"),
    "ms": ("ms per batch", ".1f"),
    "low": ("lower quartile", ".1f"),
    "high": ("upper quartile", ".1f"),
    "of_resnet50": ("times timm's resnet50", ".2f"),
    "of_fp32": ("times torch fp32", ".2f"),
    "mib": ("file, MiB", ".1f"),
}
RATIOS = {"what": ("what", ""), "ratio": ("ratio", ".2f"), "aim": ("aim, at least", ".1f"), "reached": ("reached", "")}
PROFILE = {"operator": ("operator", ""), "calls": ("calls", ""), "ms": ("ms per image", ".2f"), "share": ("share", ".1%")}
ACCURACY = {
    "name": ("weights", ""),
    "images": ("val images", ""),
    "fp32": ("fp32, accuracy", ".4f"),
    "int8": ("int8", ".4f"),
    "lost": ("lost, points", "+.2f"),
    "low": ("95 % by cell or case, from", "+.2f"),
    "high": ("to", "+.2f"),
    "changed": ("classes changed", ""),
    "difference": ("largest difference of a logit", ".2f"),
}


class Timed(NamedTuple):
    """What is timed: a step of a batch, and the size of its file in MiB, if it has one."""

    step: Callable[[], Any]
    batch: int
    mib: float | str = ""


def subjects_of(name: str, folder: Path) -> dict[tuple[str, str], Timed]:
    """Return the ways to run a model; int8 is calibrated on synthetic images, because this only measures speed."""
    model = gricol_zoo.create_model(name, name in gricol_zoo.list_models(pretrained=True)).eval()
    batch = best_batch_size(model.spec)
    images = np.random.default_rng(0).integers(0, 256, (batch, *model.spec.image_size), np.uint8)
    found = {}
    for dtype in ("fp32", *(("bf16",) if has_bf16() else ())):
        classify = make_classifying(gricol_zoo.optimize(model, dtype))
        found[name, f"torch, {dtype}"] = Timed(partial(classify, images), batch)
    for format, how in (("onnx", ORT_FP32), ("int8", ORT_INT8)):
        file = folder / f"{name}.{format}.onnx"
        export_model(model, file, format, calibrate=synthetic_crops(32) if format == "int8" else ())
        exported = open_exported(file, torch.get_num_threads())
        found[name, how] = Timed(partial(exported.logits, images), batch, round(file.stat().st_size / 2**20, 2))
    return found


def speed(rounds: int, folder: Path) -> None:
    """Time the models, and write the tables."""
    subjects = {(RESNET, FP32): Timed(inference_step(Subject("timm/resnet50", "as is", "fp32", 3), 8), 8)}
    for name in MODELS:
        subjects |= subjects_of(name, folder)
    times = time_in_turn({key: subject.step for key, subject in subjects.items()}, rounds)
    rate = {key: subject.batch / times[key].median for key, subject in subjects.items()}
    rows = []
    for (name, how), (_, batch, mib) in subjects.items():
        found = times[name, how]
        row = {"model": name, "how": how, "batch": batch, "per_sec": round(rate[name, how], 2), "mib": mib}
        row |= {"ms": round(found.median * 1e3, 2), "low": round(found.low * 1e3, 2), "high": round(found.high * 1e3, 2)}
        row |= {"of_resnet50": round(rate[name, how] / rate[RESNET, FP32], 3)}
        row |= {"of_fp32": round(rate[name, how] / rate[name, FP32], 3)}
        rows.append({**row, "rounds": rounds, **describe_machine()})
    record.write("speed/export_speed", rows, SPEED)
    record.write("speed/export_ratios", [{**row, **describe_machine()} for row in aims(rate)], RATIOS)
    record.write(
        "speed/export_profile", profile(folder / "r50half.int8.onnx", subjects["r50half", ORT_INT8].batch, folder), PROFILE
    )


def aims(rate: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    """Return the ratios that have a target, and whether it was reached."""
    wanted = [("int8 r50half / timm's resnet50 in fp32, as a user gets each", ("r50half", ORT_INT8), (RESNET, FP32), 5.0)]
    wanted += [(f"{name}: ONNX Runtime in fp32 / `optimize` in fp32", (name, ORT_FP32), (name, FP32), 1.0) for name in MODELS]
    ratios = [(what, rate[one] / rate[other], aim) for what, one, other, aim in wanted]
    return [
        {"what": what, "ratio": round(ratio, 3), "aim": aim, "reached": "yes" if ratio >= aim else "no"}
        for what, ratio, aim in ratios
    ]


def profile(file: Path, batch: int, folder: Path, runs: int = 8) -> list[dict[str, Any]]:
    """Return the share of each operator in ONNX Runtime's own profile, the first run left out."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = torch.get_num_threads(), True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape[1:]
    images = np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)
    for _ in range(runs + 1):
        session.run(None, {"images": images})
    events = [each for each in json.loads(Path(session.end_profiling()).read_text()) if each.get("cat") == "Node"]
    events = [each for each in events if each["name"].endswith("kernel_time")]
    events = events[len(events) // (runs + 1) :]
    spent: collections.Counter[str] = collections.Counter()
    calls: collections.Counter[str] = collections.Counter()
    for event in events:
        spent[event["args"]["op_name"]] += event["dur"]
        calls[event["args"]["op_name"]] += 1
    total = sum(spent.values())
    return [
        {
            "operator": name,
            "calls": calls[name] // runs,
            "ms": round(used / runs / batch / 1e3, 3),
            "share": round(used / total, 4),
        }
        for name, used in spent.most_common(8)
    ]


def accuracy_of(name: str, tag: str, data: Path, folder: Path) -> tuple[dict[str, Any], np.ndarray, list[str]]:
    """Return a model's line, how each val image's answer changed (-1, 0, 1), and the images' groups."""
    model, val = create(name), open_part(tag, data, "val")
    labels = label_indices(val.records, model.spec.labels, val.name)
    file = folder / "model.onnx"
    found = export_model(model, file, "int8", calibrate=calibration_crops(tag, data), check=read_crops(val))
    canvases = load_canvases(val, model.spec)
    exported = open_exported(file)
    again = np.concatenate([exported.logits(canvases[start : start + 32]) for start in range(0, len(canvases), 32)]).argmax(1)
    if (again != found.after).any():
        raise SystemExit("the exported file gives other classes the second time")
    before, after = found.before == labels, found.after == labels
    row = {"name": name, "images": found.images, "fp32": float(before.mean()), "int8": float(after.mean())}
    row |= {"changed": found.changed, "difference": found.difference}
    return row, before.astype(float) - after, [group_of(each) for each in val.records]


def accuracy(data: Path, r50half: str, folder: Path) -> None:
    """Score the models, and write the table."""
    rows: list[dict[str, Any]] = []
    gaps: list[np.ndarray] = []
    groups: list[str] = []
    for name in [*released(), *([r50half] if r50half else [])]:
        tag = "qband" if name == r50half else tag_of(name)
        row, gap, of = accuracy_of(name, tag, data, folder)
        rows.append({**row, **lost(gap, of), "name": title_of(name), "split": f"{tag}.csv", "part": "val"})
        if name != r50half:
            gaps, groups = [*gaps, gap], [*groups, *of]
    together = np.concatenate(gaps)
    six = [row for row in rows if row["name"] in released()]
    sums = {
        key: float(np.average([row[key] for row in six], weights=[row["images"] for row in six])) for key in ("fp32", "int8")
    }
    whole = {"images": len(together), **sums, "changed": sum(row["changed"] for row in six)}
    rows.append({"name": f"all {len(six)} released, image by image", **whole, **lost(together, groups)})
    record.write(
        "speed/export_accuracy",
        rows,
        ACCURACY,
        "Lost: fp32 minus int8; the interval draws whole cells (Q-band) or cases (Pki-3).",
    )


def lost(gap: np.ndarray, groups: list[str]) -> dict[str, float]:
    """Return the mean loss in points, with its interval."""
    low, high = bootstrap_mean(gap, groups) or (float("nan"), float("nan"))
    return {"lost": 100 * float(gap.mean()), "low": 100 * low, "high": 100 * high}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["speed", "accuracy"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--r50half", default="", help="a folder of `train`")
    options = parser.parse_args()
    if options.only != "speed" and options.data is None:
        parser.error("accuracy needs --data")
    with tempfile.TemporaryDirectory() as name:
        if options.only != "accuracy":
            speed(options.rounds, Path(name))
        if options.only != "speed":
            accuracy(options.data, options.r50half, Path(name))


if __name__ == "__main__":
    main()
