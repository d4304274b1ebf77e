"""What preparing a crop costs, and `predict` from end to end, against another checkout of this repository: paired, in turns.

    git worktree add ../before f4b14c9          # the last commit with preparation 1 alone
    python -m benchmarks.speed.preparation_speed --data FOLDER --against ../before [--rounds 8]

Both checkouts get the same val crops, decoded once, in processes of one thread that take turns; of each crop the fastest time
counts. `predict` classifies the crops of the val cells from a zip with the same weights, start included. Writes
results/speed/preparation_speed.csv and .md: medians over the rounds and, of the paired ratios, the quartiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.common.record import ROOT, write
from benchmarks.common.sets import NAMES, open_part
from gricol_zoo.data.images import read_crop

WEIGHTS = {"qband": "gricol_r18half_n3_128.qband", "pki3": "r18half_128.pki3"}  # packaged before as well
CROPS = 400
WORK = """
import sys, time
import numpy as np
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.spec import Preprocess
crops = [np.float32(crop) for crop in np.load(sys.argv[1], allow_pickle=True)["crops"]]
how = Preprocess(orientation="upright", scale=1.5, pad_to=None, contrast="p99", **eval(sys.argv[2]))
best = np.full(len(crops), np.inf)
for _ in range(4):
    for index, crop in enumerate(crops):
        start = time.perf_counter()
        to_canvas(crop, how, (128, 96))
        best[index] = min(best[index], time.perf_counter() - start)
print(best.mean() * 1e6)
"""
COLUMNS = {
    "what": ("what", ""),
    "set": ("set", ""),
    "images": ("images", "d"),
    "before": ("before", ".3g"),
    "now": ("now", ".3g"),
    "unit": ("unit", ""),
    "ratio": ("now / before", ".2f"),
    "low": ("lower quartile", ".2f"),
    "high": ("upper quartile", ".2f"),
    "aim": ("aim, at most", ""),
}


def run(checkout: Path, *arguments: str) -> str:
    """Run Python in one thread with a checkout's package; return what it prints."""
    # Without PYTHONSAFEPATH the folder that the benchmark is run from comes first, and both would be this checkout.
    settings = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=settings, capture_output=True, text=True, check=True)
    return done.stdout


def prepare(checkout: Path, crops: Path, options: str) -> float:
    """Return the mean time that a checkout takes to prepare one crop, in microseconds."""
    return float(run(checkout, "-c", WORK, str(crops), options))


def predict(checkout: Path, images: Path, name: str, *options: str) -> float:
    """Return the seconds that `predict` takes in a checkout."""
    start = time.perf_counter()
    run(checkout, "-m", "gricol_zoo", "predict", str(images), "--model", name, "--out", os.devnull, *options)
    return time.perf_counter() - start


def row_of(what: str, tag: str, images: int, unit: str, aim: str, pairs: list[tuple[float, float]]) -> dict[str, object]:
    """Return the row of pairs (before, now)."""
    before, now = np.array(pairs).T
    low, ratio, high = np.percentile(now / before, [25, 50, 75])
    middle = {"before": float(np.median(before)), "now": float(np.median(now))}
    return {
        "what": what,
        "set": NAMES[tag],
        "images": images,
        **middle,
        "unit": unit,
        "ratio": ratio,
        "low": low,
        "high": high,
        "aim": aim,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--against", type=Path, required=True, help="another checkout")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    rows, old = [], options.against
    for tag, name in WEIGHTS.items():
        part = open_part(tag, options.data, "val")
        with tempfile.TemporaryDirectory() as folder:
            crops, images = Path(folder) / "crops.npz", Path(folder) / "images.zip"
            with zipfile.ZipFile(images, "w") as archive:
                for record in part.records:
                    archive.writestr(record.path, part.read(record))
            chosen = part.records[:: max(1, len(part.records) // CROPS)]
            decoded = np.empty(len(chosen), object)
            decoded[:] = [read_crop(part.read(record)).grey for record in chosen]
            np.savez(crops, crops=decoded)
            for version in (1, 2):
                new = "{}" if version == 1 else "{'version': 2}"
                pairs = [(prepare(old, crops, "{}"), prepare(ROOT, crops, new)) for _ in range(options.rounds)]
                aim = "1.3" if version == 2 else ""
                rows.append(row_of(f"preparation {version} of a crop", tag, len(chosen), "µs", aim, pairs))
                again = ("--preparation", "2") if version == 2 else ()
                pairs = [(predict(old, images, name), predict(ROOT, images, name, *again)) for _ in range(options.rounds)]
                rows.append(row_of(f"`predict`, preparation {version}", tag, len(part.records), "s", "1.1", pairs))
                print(rows[-2:], flush=True)
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=old, capture_output=True, text=True, check=True)
    note = f"Against preparation 1 at {told.stdout.strip()}, one thread, {options.rounds} pairs in turns."
    write("speed/preparation_speed", rows, COLUMNS, note)


if __name__ == "__main__":
    main()
