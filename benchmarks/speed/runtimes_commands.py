"""Whole commands by each runtime: start, first image, 920 crops to CSV, a cell, memory; and two workers of Ray against one.

    pip install '.[test,ray]' && python -m benchmarks.speed.runtimes_commands --data FOLDER [--rounds 5] [--no-ray]

Writes, with their .md:
- results/speed/runtimes_commands.csv: `predict` of 1 and of 920 crops and `karyotype` of a cell, as commands of their own with
  the packaged weights; the first use of a runtime, which writes and checks the network, is a separate row;
- results/speed/runtimes_ray.csv: further images per second with one worker of Ray Data and with two, by r50half.pki3.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gricol_zoo
from benchmarks.common import record
from benchmarks.speed.predict_speed import CROPS, run_command, some_of, zip_of
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import spread
from gricol_zoo.data.readers import open_images
from gricol_zoo.runtimes import RUNTIMES

COMMANDS = {
    "what": ("what", ""),
    "runtime": ("runtime", ""),
    "seconds": ("seconds, start included", ".1f"),
    "low": ("lower quartile", ".1f"),
    "high": ("upper quartile", ".1f"),
    "peak_mib": ("peak memory, MiB", ".0f"),
    "of_torch": ("memory of torch's", ".2f"),
    "aim": ("aim, under", ""),
}
RAY = {
    "model": ("model", ""),
    "workers": ("workers", ""),
    "images": ("images", ""),
    "seconds": ("seconds, start of the workers included", ".1f"),
    "per_sec": ("further images/s", ".1f"),
    "ratio": ("of one worker", ".2f"),
    "aim": ("aim, at least", ""),
}
MODEL, HEAVY = gricol_zoo.DEFAULT_MODEL, "r50half.pki3"
FIRST, ONE, MANY, CELL = "one crop, with an empty cache", "one crop", f"{CROPS} crops", "karyotype of a cell"
AIMS = {MANY: 3.5, CELL: 3.0}


def commands(data: Path, rounds: int, crops: int, folder: Path) -> list[dict[str, Any]]:
    """Time every command by every runtime in turn; return one row for each pair."""
    one, many = some_of(data, 1, folder), some_of(data, crops, folder)
    first = open_images(data).records[0].cell
    last = sum(record.cell == first for record in open_images(data).records)
    cell = zip_of(data, slice(last), folder / "cell.zip")
    runs: dict[str, Callable[[str], tuple[float, float]]] = {
        ONE: lambda runtime: run_command(one, MODEL, folder / "one.csv", "--runtime", runtime),
        MANY: lambda runtime: run_command(many, MODEL, folder / "many.csv", "--runtime", runtime),
        CELL: lambda runtime: run_command(
            cell, MODEL, Path(tempfile.mkdtemp(dir=folder)) / "cell", "--runtime", runtime, what="karyotype"
        ),
    }
    rows = []
    for runtime in RUNTIMES:
        os.environ["GRICOL_ZOO_CACHE"] = str(folder / "cache" / runtime)
        if runtime != "torch":
            rows.append({"what": FIRST, "runtime": runtime, **_row([runs[ONE](runtime)])})
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds + 1):  # the first round fills the cache for karyotype's precision, and does not count
        for what, run in runs.items():
            for runtime in RUNTIMES:
                os.environ["GRICOL_ZOO_CACHE"] = str(folder / "cache" / runtime)
                found.setdefault((what, runtime), []).append(run(runtime))
    for (what, runtime), times in found.items():
        measured = _row(times[1:])
        of_torch = round(measured["peak_mib"] / _row(found[what, "torch"][1:])["peak_mib"], 3)
        row = {"what": what, "runtime": runtime, **measured, "of_torch": of_torch}
        rows.append({**row, "aim": AIMS.get(what, ""), "rounds": rounds})
    return rows


def _row(times: list[tuple[float, float]]) -> dict[str, float]:
    median, low, high, _ = spread([seconds for seconds, _ in times])
    return {
        "seconds": round(median, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "peak_mib": round(max(peak for _, peak in times), 1),
    }


def on_ray(data: Path, images: int, folder: Path) -> list[dict[str, Any]]:
    """Time one and two workers on some images and on more; return one row for each."""
    import ray

    from gricol_zoo.bulk.columns import ColumnClassifier
    from gricol_zoo.bulk.ray_data import PredictSettings, predict

    ray.init(
        num_cpus=2, object_store_memory=100 * 2**20, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    sizes = images // 4, images
    zips = {count: some_of(data, count, folder) for count in sizes}
    classify = ColumnClassifier(HEAVY, threads=1)
    seconds = {}
    for workers in (1, 2):
        for count in sizes:
            started = time.perf_counter()
            rows = sum(map(len, predict([zips[count]], folder / "ray.csv", PredictSettings(classify, workers))))
            seconds[workers, count] = time.perf_counter() - started
            if rows != count:
                raise SystemExit(f"expected {count} rows, but got {rows}")
    ray.shutdown()
    rate = {workers: (sizes[1] - sizes[0]) / (seconds[workers, sizes[1]] - seconds[workers, sizes[0]]) for workers in (1, 2)}
    return [
        {
            "model": HEAVY,
            "workers": workers,
            "images": images,
            "seconds": round(seconds[workers, images], 2),
            "per_sec": round(rate[workers], 2),
            "ratio": round(rate[workers] / rate[1], 3),
            "aim": 1.7 if workers == 2 else "",
        }
        for workers in (1, 2)
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--crops", type=int, default=CROPS, help="fewer for a quick look")
    parser.add_argument("--ray-images", type=int, default=400)
    parser.add_argument("--no-ray", action="store_true")
    options = parser.parse_args()
    conditions = {"data": "qband.zip", "weights": MODEL, **describe_machine()}
    with tempfile.TemporaryDirectory() as name:
        rows = commands(options.data / "qband.zip", options.rounds, options.crops, Path(name))
        record.write("speed/runtimes_commands", [{**row, **conditions} for row in rows], COMMANDS)
        if not options.no_ray:
            rows = on_ray(options.data / "pki3.zip", options.ray_images, Path(name))
            record.write("speed/runtimes_ray", [{**row, **conditions, "data": "pki3.zip"} for row in rows], RAY)


if __name__ == "__main__":
    main()
