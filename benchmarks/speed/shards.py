"""Bulk prediction over shards: how time and memory grow with the number of images, and what a second process gains.

    python -m benchmarks.speed.shards --data qband.zip [--rounds 3]

Writes results/speed/shards.csv and .md: `gricol-zoo predict --shards` as a command of its own, with the packaged weights, on
1, 2, 4 and 8 zips of 540 crops each; then the 8 zips by one and by two processes with one core each, which divide the zips
among themselves. Seconds (medians) are of whole commands, start included; peak memory is that of the larger process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import record
from benchmarks.speed.predict_speed import WATCHED, zip_of
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.data.rows import read_csv

CROPS = 540
COLUMNS = {
    "shards": ("shards", ""),
    "images": ("images", ""),
    "processes": ("processes", ""),
    "cores": ("cores each", ""),
    "seconds": ("seconds, start included", ".1f"),
    "per_sec": ("images/s", ".0f"),
    "marginal_ms": ("ms per further image", ".2f"),
    "peak_mib": ("peak memory, MiB", ".0f"),
    "kib_written": ("written, KiB", ".0f"),
}


def run(shards: list[str], out: Path, processes: int, cores: int) -> tuple[float, float, int]:
    """Predict shards; return seconds, the peak memory in MiB of the larger process, and the bytes written."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-c", WATCHED, sys.executable, "-m", "gricol_zoo", "predict", *shards, "--shards", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    started = time.perf_counter()
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    peaks = [float(each.communicate()[0]) for each in running]
    seconds = time.perf_counter() - started
    files = sorted(out.glob("*.csv"))
    rows = [row["path"] for file in files for row in read_csv(file)]
    if len(rows) != CROPS * len(shards) or len(set(rows)) != len(rows):
        raise SystemExit("some images are missing or were predicted twice")
    return seconds, max(peaks), sum(file.stat().st_size for file in files)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    plans = [*((count, 1, cores) for count in (1, 2, 4, 8)), (8, 1, 1), (8, 2, 1)]
    found: dict[tuple[int, int, int], list[tuple[float, float, int]]] = {plan: [] for plan in plans}
    with tempfile.TemporaryDirectory() as name:
        parts = [slice(index * CROPS, (index + 1) * CROPS) for index in range(8)]
        shards = [str(zip_of(options.data, part, Path(name) / f"{index}.zip")) for index, part in enumerate(parts)]
        for _ in range(options.rounds):
            for plan in plans:
                found[plan].append(run(shards[: plan[0]], Path(name) / "out", *plan[1:]))
    rows: list[dict[str, Any]] = []
    for plan, values in found.items():
        seconds, peak, size = np.median(np.array(values), axis=0)
        images = plan[0] * CROPS
        row = {"data": options.data.name, "shards": plan[0], "images": images, "processes": plan[1], "cores": plan[2]}
        row |= {
            "seconds": round(float(seconds), 2),
            "per_sec": round(images / float(seconds), 1),
            "peak_mib": round(float(peak), 1),
        }
        if rows and plan[1:] == (1, cores):
            before = rows[-1]
            row["marginal_ms"] = round((row["seconds"] - before["seconds"]) / (images - before["images"]) * 1e3, 3)
        rows.append({**row, "kib_written": round(size / 1024, 1), "rounds": options.rounds, **describe_machine()})
    record.write("speed/shards", rows, COLUMNS)


if __name__ == "__main__":
    main()
