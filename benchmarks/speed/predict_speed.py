"""From a zip of crops to a CSV, as a lab runs it: seconds, start included, and how much of that is not the network.

    python -m benchmarks.speed.predict_speed --data qband.zip [--rounds 5]

Writes, with their .md:
- results/speed/predict_speed.csv: `gricol-zoo predict` as a command of its own on 920 crops (20 cells), with the packaged
  weights and with gricol_r50half_n3 (random weights), and the time until `import torch` is done, which nothing here can
  shorten;
- results/speed/predict_overlap.csv: images per second within one process, end to end (read, decode, resize, classify, write)
  against the network alone on images already in memory, in turn;
- results/speed/predict_memory.csv: the command's peak memory for 230 to all crops of the set;
- results/speed/predict_parity.csv: what optimizing changes in the packaged model on the val part of the split: largest
  difference of a logit, and images whose class changed.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

import gricol_zoo
from benchmarks.common import record
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import spread, time_in_turn
from gricol_zoo.data.arrays import load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.inference.precision import choose_dtype
from gricol_zoo.inference.predict import write_predictions

CROPS = 920
AIMS = {gricol_zoo.DEFAULT_MODEL: 30, "gricol_r50half_n3": 90}
SPEED = {
    "model": ("model", ""),
    "images": ("crops", ""),
    "seconds": ("seconds, start included", ".1f"),
    "low": ("lower quartile", ".1f"),
    "high": ("upper quartile", ".1f"),
    "aim": ("aim, under", ".0f"),
    "import_torch": ("of it, `import torch`", ".1f"),
}
OVERLAP = {
    "model": ("model", ""),
    "images": ("images", ""),
    "network_per_sec": ("network alone, images/s", ".0f"),
    "predict_per_sec": ("end to end, images/s", ".0f"),
    "ratio": ("ratio", ".2f"),
    "network_ms": ("network, core-ms per image", ".2f"),
    "predict_ms": ("everything, core-ms per image", ".2f"),
    "busy": ("cores busy, end to end", ".0%"),
}
MEMORY = {"images": ("images", ""), "peak_mib": ("peak memory of the command, MiB", ".0f"), "seconds": ("seconds", ".1f")}
PARITY = {
    "model": ("model", ""),
    "dtype": ("dtype", ""),
    "images": ("val images", ""),
    "max_difference": ("largest difference of a logit", ".2g"),
    "changed": ("classes changed", ""),
}

WATCHED = (
    "import subprocess, resource, sys\n"
    "done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True)\n"
    "assert done.returncode == 0, done.stderr\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
)
"""Runs the command that follows and prints its peak memory in MiB."""


def some_of(data: Path, images: int, folder: Path) -> Path:
    """Write a zip with the first images of a set (whole cells, in their order), without labels."""
    return zip_of(data, slice(images), folder / f"{images}.zip")


def zip_of(data: Path, chosen: slice, target: Path) -> Path:
    """Write a zip with some of a set's images, without labels."""
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(target, "w") as archive:
        for each in open_images(data).records[chosen]:
            archive.writestr(each.path, source.read(each.path))
    return target


def run_command(data: Path, model: str, out: Path, *more: str, what: str = "predict") -> tuple[float, float]:
    """Run ``gricol-zoo predict``, or another command, with more options; return seconds and the peak memory in MiB."""
    command = [sys.executable, "-m", "gricol_zoo", what, str(data), "--model", model, "--out", str(out), *more]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", WATCHED, *command], capture_output=True, text=True, check=True)
    return time.perf_counter() - started, float(
        done.stdout.split()[-1]
    )  # the last line; above it stands what the command prints


def whole_commands(data: Path, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """Time the command from start to end."""
    model = gricol_zoo.create_model("gricol_r50half_n3")
    model.name = "gricol_r50half_n3"
    model.save_pretrained(folder / "random")
    crops = some_of(data, CROPS, folder)
    rows = []
    for name, at in ((gricol_zoo.DEFAULT_MODEL, gricol_zoo.DEFAULT_MODEL), (model.name, str(folder / "random"))):
        seconds, imports = [], []
        for _ in range(rounds):
            seconds.append(run_command(crops, at, folder / "out.csv")[0])
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import torch"], check=True)
            imports.append(time.perf_counter() - started)
        with (folder / "out.csv").open() as stream:
            if sum(not row["error"] for row in csv.DictReader(stream)) != CROPS:
                raise SystemExit("some crops were not classified")
        median, low, high, _ = spread(seconds)
        values = {"seconds": median, "low": low, "high": high, "import_torch": spread(imports).median}
        rounded = {key: round(value, 2) for key, value in values.items()}
        rows.append({"model": name, "images": CROPS, **rounded, "aim": AIMS[name], "rounds": rounds})
    return rows


def overlap(data: Path, rounds: int) -> list[dict[str, Any]]:
    """Compare the network alone with everything."""
    rows = []
    for name, count in ((gricol_zoo.DEFAULT_MODEL, 1840), ("gricol_r50half_n3", 184)):
        model = gricol_zoo.create_model(name, name in gricol_zoo.list_models(pretrained=True), deployed=True).eval()
        fast = gricol_zoo.optimize(model)
        images = open_images(data).subset(range(count))
        canvases = load_canvases(images, fast.spec)
        busy: dict[str, list[float]] = {"alone": [], "everything": []}

        def alone(fast: Any = fast, canvases: Any = canvases, busy: list[float] = busy["alone"]) -> None:
            started = time.process_time()
            predict_logits(fast, canvases)
            busy.append(time.process_time() - started)

        def everything(fast: Any = fast, images: Any = images, busy: list[float] = busy["everything"]) -> None:
            started = time.process_time()
            for _ in write_predictions(fast, [images], io.StringIO()):
                pass
            busy.append(time.process_time() - started)

        times = time_in_turn({"alone": alone, "everything": everything}, rounds, warm_up=1, minimum=0)
        core = {key: spread(values[1:]).median / count for key, values in busy.items()}
        rows.append(
            {
                "model": name,
                "images": count,
                "network_per_sec": round(count / times["alone"].median, 1),
                "predict_per_sec": round(count / times["everything"].median, 1),
                "ratio": round(times["alone"].median / times["everything"].median, 3),
                "network_ms": round(core["alone"] * 1e3, 3),
                "predict_ms": round(core["everything"] * 1e3, 3),
                "busy": round(core["everything"] * count / times["everything"].median / torch.get_num_threads(), 3),
                "rounds": rounds,
            }
        )
    return rows


def memory(data: Path, folder: Path) -> list[dict[str, Any]]:
    """Return the command's peak memory by the number of images."""
    rows = []
    for count in (230, 920, len(open_images(data))):
        seconds, peak = run_command(some_of(data, count, folder), gricol_zoo.DEFAULT_MODEL, folder / "out.csv")
        rows.append({"images": count, "peak_mib": round(peak, 1), "seconds": round(seconds, 2)})
    return rows


def parity(data: Path, split: Path) -> list[dict[str, Any]]:
    """Compare the packaged model with its optimized copies on the val part."""
    model = gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True, deployed=True)
    canvases = load_canvases(apply_split(open_images(data), read_split(split))["val"], model.spec)
    rows = []
    for dtype in ("fp32", "bf16"):
        found = gricol_zoo.parity(model, gricol_zoo.optimize(model, dtype), list(canvases))
        rows.append({"model": gricol_zoo.DEFAULT_MODEL, "dtype": dtype, **found._asdict(), "split": split.name, "part": "val"})
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, default=record.ROOT / "benchmarks" / "splits" / "qband.csv")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    conditions = {"data": options.data.name, "dtype": choose_dtype("auto"), **describe_machine()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {
            "speed/predict_speed": (whole_commands(options.data, options.rounds, folder), SPEED),
            "speed/predict_memory": (memory(options.data, folder), MEMORY),
            "speed/predict_overlap": (overlap(options.data, options.rounds), OVERLAP),
            "speed/predict_parity": (parity(options.data, options.split), PARITY),
        }
    for table, (rows, columns) in tables.items():
        record.write(table, [{**conditions, **row} for row in rows], columns)


if __name__ == "__main__":
    main()
