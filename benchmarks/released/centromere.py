"""How close to a reader's mark is the centromere found?

    python -m benchmarks.released.centromere --data FOLDER

Reads marks/centromeres.csv (one reader, by eye, before the detector was written) and writes results/released/centromere.csv.
The crops are from the val parts, on the canvas of ``r18half_192``, with their true class. The waist alone and the class alone
are scored for comparison.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import write
from benchmarks.common.sets import NAMES, open_part
from benchmarks.common.weights import create
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.rows import read_csv
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.karyotype.centromere import find_centromere, index_of, waists

MARKS = Path(__file__).parent.parent / "marks" / "centromeres.csv"
NEAR = 3.0  # canvas pixels
COLUMNS = {
    "set": ("crops", ""),
    "method": ("found by", ""),
    "marks": ("marks", ""),
    "within": ("within 3 px", ".3f"),
    "low": ("95 % interval, from", ".3f"),
    "high": ("to", ".3f"),
    "within_clear": ("of clear waists", ".3f"),
    "within_other_half": ("of the half not chosen on", ".3f"),
    "median": ("median distance, px", ".1f"),
    "unmarked": ("no mark", ""),
}
NOTE = """\
The marks were made by eye by one reader, before the detector was written; no second reader has checked them. Where no waist is
clear the reader had the class's known place in mind, which favours the detector there. Crops in which the reader saw no
centromere are not counted. Threshold, smoothing and weight were chosen among 72 combinations on every second mark, after a
coarser search that showed the scores of all marks; the best 24 of the 72 lie between 0.89 and 0.93. A row of the canvas is
about 1/73 of a chromosome's mean length. The interval is a bootstrap over metaphase cells."""


def alone(picture: np.ndarray, label: str) -> float:
    """Return the row at which the class has its centromere, whatever the picture shows there."""
    (first, waist), index = waists(picture), index_of(label)
    assert index is not None  # every class has an ideogram
    return first + index * (len(waist) - 1)


def deepest(picture: np.ndarray, label: str) -> float:
    """Return the row of the deepest waist, whatever the class."""
    first, waist = waists(picture)
    return first + float(waist.argmax())


METHODS = {"waist and class": find_centromere, "class alone": alone, "waist alone": deepest}


def main() -> None:
    """Compare each method with the marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    options = parser.parse_args()
    rows = []
    for tag in ("qband", "pki3"):
        marks = [row for row in read_csv(MARKS) if row["set"] == tag]
        model = create(f"r18half_192.{tag}")
        images = open_part(tag, options.data, "val")
        records = {record.path: record for record in images.records}
        size, how = model.spec.image_size, model.spec.preprocess
        pictures = [255 - to_canvas(images.grey(records[row["path"]]), how, size) for row in marks]
        seen = [index for index, row in enumerate(marks) if row["y"]]
        known = {"name": f"r18half_192.{tag}", "weights_sha256": model.info.sha256, "set": f"{NAMES[tag]}, val part"}
        for method, find in METHODS.items():
            found = [find(pictures[index], marks[index]["label"]) for index in seen]
            rows.append({**known, "method": method, **compared([marks[index] for index in seen], found)})
            rows[-1]["unmarked"] = len(marks) - len(seen)
    write("released/centromere", rows, COLUMNS, NOTE)


def compared(marks: list[dict[str, str]], found: list[float | None]) -> dict[str, Any]:
    """Return how close n rows are to n marks; a row that was not found counts as not near."""
    distance = np.array(
        [np.inf if row is None else abs(row - float(mark["y"])) for mark, row in zip(marks, found, strict=True)]
    )
    near, clear = distance <= NEAR, np.array([mark["sure"] == "1" for mark in marks])
    low, high = bootstrap_mean(near, [mark["cell"] for mark in marks]) or (float("nan"),) * 2
    return {
        "marks": len(marks),
        "clear": int(clear.sum()),
        "within": float(near.mean()),
        "low": low,
        "high": high,
        "within_clear": float(near[clear].mean()),
        "within_other_half": float(near[1::2].mean()),
        "median": float(np.median(distance)),
    }


if __name__ == "__main__":
    main()
