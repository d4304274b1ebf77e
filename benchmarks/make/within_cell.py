"""Measure how large and how bright the chromosomes of each class are relative to the others of their cell (train parts).

    python -m benchmarks.make.within_cell --data FOLDER

Writes gricol_zoo/assets/within_cell.json: 24 rows of means and one covariance per set, no image. A cell's shift is the median
difference between its chromosomes and the means of their labelled classes. The mean of a class is the median over its images.
Shifts and means are computed alternately. Values further than ``STRAY`` robust standard deviations from their class are left
out of the covariance.

Brightness is kept for a set only where it separates classes (``TELLS``): the crops of Pki-3 are all equally bright, as if
the contrast of each had been stretched by itself.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.sets import FILES, NAMES, open_part, split_file
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.preprocess import Prepared, prepare
from gricol_zoo.data.scale import groups_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.karyotype.within import TABLE
from gricol_zoo.spec import CHROMOSOMES, Preprocess

MEASURES = ("area", "top")
HOW = Preprocess(orientation="upright", contrast="p99", version=2)
SMALL = (64, 32)  # of the canvases, which are not used
ROUNDS = 10
STRAY = 4.0
TELLS = 1.1  # overall standard deviation divided by that within a class: below this a measure does not separate classes


def measure(images: ImageSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the logarithms of ``MEASURES``, (n, m), the class, (n,), and the cell's number, (n,), of each image."""
    prepared: list[Prepared] = [prepare(images.grey(record), HOW, SMALL) for record in images.records]
    values = np.log([[getattr(one, name) for name in MEASURES] for one in prepared])
    cells = np.zeros(len(images), int)
    for number, members in enumerate(groups_of([(record.case, record.cell) for record in images.records]).values()):
        cells[members] = number
    return values, label_indices(images.records, CHROMOSOMES, images.name), cells


def fit(values: np.ndarray, classes: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (24, m) means of the classes, (m, m) their covariance, and (m,) how far each measure tells them apart."""
    shift = np.zeros_like(values)
    for _ in range(ROUNDS):
        means = np.stack([np.median((values - shift)[classes == index], axis=0) for index in range(len(CHROMOSOMES))])
        for cell in range(cells.max() + 1):
            shift[cells == cell] = np.median((values - means[classes])[cells == cell], axis=0)
    away = values - shift - means[classes]
    kept = (np.abs(away) < STRAY * 1.4826 * np.median(np.abs(away), axis=0)).all(1)
    return means, np.cov(away[kept].T), (values - shift)[kept].std(0) / away[kept].std(0)


def table_of(tag: str, data: Path) -> dict[str, Any]:
    """Return the entry of one set in the file."""
    values, classes, cells = measure(open_part(tag, data, "train"))
    means, covariance, tells = fit(values, classes, cells)
    chosen = [index for index in range(len(MEASURES)) if tells[index] > TELLS]
    means, covariance = means[:, chosen] - means[:, chosen].mean(0), covariance[np.ix_(chosen, chosen)]
    print(f"{tag}: {len(values)} images of {cells.max() + 1} cells; tells {dict(zip(MEASURES, tells.round(2), strict=True))}")
    return {
        "measures": [MEASURES[index] for index in chosen],
        "images": len(values),
        "covariance": covariance.round(6).tolist(),
        "means": {label: row.round(4).tolist() for label, row in zip(CHROMOSOMES, means, strict=True)},
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    options = parser.parse_args()
    splits = " and ".join(split_file(tag).name for tag in FILES)
    source = f"train parts of {splits} of the sets {' and '.join(NAMES.values())}; logarithms, less the cell's shift"
    sets = {tag: table_of(tag, options.data) for tag in FILES}
    rows = ",\n  ".join(f'"{tag}": {json.dumps(one)}' for tag, one in sets.items())
    TABLE.write_text(f'{{\n "source": {json.dumps(source)},\n "sets": {{\n  {rows}\n }}\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
