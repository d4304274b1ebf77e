"""What reading and preparing a crop costs against an older checkout with the same preparation, and whether the canvases agree.

    git worktree add ../before 1dbfe8f          # the last commit before it was made faster
    python -m benchmarks.speed.preparation_halved --data FOLDER --against ../before [--rounds 8]

Both checkouts get the files of the same val crops, in processes of one thread that take turns; of each crop the fastest time
counts. `predict` classifies the val crops from a zip, start included. The canvases of all val crops are compared pixel by
pixel. Writes results/speed/preparation_halved.csv and .md: medians over the rounds and, of the paired ratios, the quartiles.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.common.record import ROOT, write
from benchmarks.common.sets import open_part
from benchmarks.speed.preparation_speed import COLUMNS, CROPS, predict, row_of, run
from gricol_zoo.data.table import ImageSet

MODEL = "r18half_192"
AIM, MAX_DIFFERENT = "0.5", 1e-6  # now / before; share of pixels that may differ, by one level
WORK = """
import json, sys, time
import numpy as np
from gricol_zoo.data.images import pixel_hash, read_crop
from gricol_zoo.data.preprocess import prepare
from gricol_zoo.data.quality import measure
from gricol_zoo.spec import Preprocess
how, size = Preprocess(**json.loads(sys.argv[2])), tuple(json.loads(sys.argv[3]))
files, rounds = np.load(sys.argv[1], allow_pickle=True)["files"], int(sys.argv[4])
best, clock = np.full((3, len(files)), np.inf), time.perf_counter
canvases = np.empty((len(files), *size), np.uint8)
for _ in range(rounds):
    for index, file in enumerate(files):
        times = [clock()]
        grey = read_crop(file, how.ground).grey
        pixel_hash(grey)
        times.append(clock())
        found = prepare(grey, how, size)
        times.append(clock())
        measure(found, how.length)
        times.append(clock())
        canvases[index] = found.canvas
        best[:, index] = np.minimum(best[:, index], np.diff(times))
if rounds == 1:
    np.save(sys.argv[5], canvases)
print(json.dumps([*(best.mean(1) * 1e6), best.sum(0).mean() * 1e6]))
"""
PARTS = ("reading a crop, hash included", "preparation 2 of a crop", "checking a canvas", "all of it")


def different(part: ImageSet, how: str, size: str, old: Path, folder: Path) -> tuple[int, int, int]:
    """Return how many pixels of the canvases of a set differ, by how many levels at most, and how many pixels there are."""
    files = save(part, range(len(part)), folder / "all.npz")
    canvases = []
    for place, checkout in enumerate((old, ROOT)):
        run(checkout, "-c", WORK, str(files), how, size, "1", str(folder / f"{place}.npy"))
        canvases.append(np.load(folder / f"{place}.npy").astype(np.int16))
    apart = np.abs(canvases[0] - canvases[1])
    return int(np.count_nonzero(apart)), int(apart.max()), apart.size


def save(part: ImageSet, which: range, file: Path) -> Path:
    """Write the bytes of some of the images of a set to one file; return it."""
    files = np.empty(len(which), object)
    files[:] = [part.read(part.records[index]) for index in which]
    np.savez(file, files=files)
    return file


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--against", type=Path, required=True, help="another checkout")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--crops", type=int, default=CROPS, help="crops timed per set")
    options = parser.parse_args()
    rows, notes, old = [], [], options.against
    for tag in ("qband", "pki3"):
        config = json.loads((ROOT / "gricol_zoo" / "assets" / f"{MODEL}.{tag}" / "config.json").read_text())
        spec = config["gricol_zoo"]["spec"]
        how, size = json.dumps(spec["preprocess"]), json.dumps(spec["image_size"])
        part = open_part(tag, options.data, "val")
        with tempfile.TemporaryDirectory() as folder:
            wrong, maximum, pixels = different(part, how, size, old, Path(folder))
            notes.append(f"{wrong} of {pixels} pixels of {tag} differ, by {maximum} levels at most")
            if maximum > 1 or wrong > MAX_DIFFERENT * pixels:
                raise SystemExit(f"Expected the same canvases except for one pixel in a million: {notes[-1]}.")
            images = Path(folder) / "images.zip"
            with zipfile.ZipFile(images, "w") as archive:
                for record in part.records:
                    archive.writestr(record.path, part.read(record))
            chosen = range(0, len(part), max(1, len(part) // options.crops))
            crops = save(part, chosen, Path(folder) / "crops.npz")
            arguments = ("-c", WORK, str(crops), how, size, "4", "")
            pairs = [[json.loads(run(one, *arguments)) for one in (old, ROOT)] for _ in range(options.rounds)]
            for place, what in enumerate(PARTS):
                each = [(before[place], now[place]) for before, now in pairs]
                rows.append(row_of(what, tag, len(chosen), "µs", AIM if what == PARTS[-1] else "", each))
            name = f"{MODEL}.{tag}"
            whole = [(predict(old, images, name), predict(ROOT, images, name)) for _ in range(options.rounds)]
            rows.append(row_of("`predict`, start included", tag, len(part), "s", "", whole))
            print(rows[-len(PARTS) - 1 :], notes[-1], flush=True)
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=old, capture_output=True, text=True, check=True)
    note = f"Against {told.stdout.strip()}, one thread, {options.rounds} pairs in turns. Canvases: {'; '.join(notes)}."
    write("speed/preparation_halved", rows, COLUMNS, note)


if __name__ == "__main__":
    main()
