"""What other cameras, files and hands cost: every condition of ``robustness_conditions``, on whole cells that were never seen.

    python benchmarks/robustness.py --data FOLDER [NAME ...] [--part test] [--cells 10] [--preparation 2] [--only CONDITION ...]
    python benchmarks/robustness.py                       # draw the figure again

Each cell goes through ``karyotype`` as a user's does: scale by the cell, classes assigned together, warnings. ``single`` is the
accuracy by single images within that run, so after scaling. Means are over cells. "Lost" are the cells whose assigned accuracy
fell by ten points or more against the same cell untouched; of them it says how many were warned of.

Writes results/robustness.csv, .md and .png. Rows of other weights, conditions, parts or preparations are kept.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import RESULTS, number, write
from robustness_conditions import ALWAYS_WARNED, CELLS, IMAGES
from sets import FILES, NAMES, open_part, tag_of
from weights import create, released

from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.inference import optimize
from gricol_zoo.karyotype.classifier import Classifier, of_network
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.run import karyotype
from gricol_zoo.preparation import prepare_as
from gricol_zoo.rows import read_csv

SEED = 0
LOST = 0.1  # of a cell's assigned accuracy
OTHER = "the other band's weights"
KEY = ("name", "part", "preparation", "condition")
TABLE = {
    "name": ("weights", ""),
    "preparation": ("preparation", ""),
    "condition": ("condition", ""),
    "cells": ("cells", "d"),
    "single": ("single images", ".4f"),
    "assigned": ("assigned", ".4f"),
    "points": ("assigned, points against untouched", "+.1f"),
    "doubtful": ("doubtful", ".3f"),
    "warned": ("cells warned of", "d"),
    "lost": ("cells that lost 10 points", "d"),
    "lost_warned": ("of them warned of", "d"),
    "polarity": ("short arm's end", ""),
}
Cell = tuple[list[np.ndarray], list[str]]


class Memory(Store):
    """Files in memory, by name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(Path("memory"), list(files))
        self.files = files

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return self.files[name]


def read_cells(tag: str, data: Path, part: str, most: int) -> dict[str, Cell]:
    """Return the first cells of a part: (H, W) uint8 crops and their classes."""
    import io

    images = open_part(tag, data, part)
    cells: dict[str, Cell] = {}
    for record in images.records:
        key = f"{record.case}/{record.cell}"
        if key not in cells and len(cells) == most:
            continue
        crops, labels = cells.setdefault(key, ([], []))
        crops.append(np.asarray(Image.open(io.BytesIO(images.read(record))).convert("L")))
        labels.append(record.label)
    return cells


def changed(condition: str, key: str, cells: dict[str, Cell]) -> ImageSet:
    """Return a cell as a condition leaves it; the draws depend on the seed, the condition and the cell alone."""
    rng = np.random.default_rng([SEED, zlib.crc32(f"{condition}/{key}".encode())])
    crops, labels = cells[key]
    if condition in CELLS:
        names = list(cells)
        other = cells[names[(names.index(key) + 1) % len(names)]]
        files = CELLS[condition](crops, labels, list(zip(*other, strict=True)), rng)
    else:
        change = IMAGES.get(condition, IMAGES["untouched"])
        files = [(change(crop, rng), label) for crop, label in zip(crops, labels, strict=True)]
    named = {f"{index:03d}": data for index, (data, _) in enumerate(files)}
    records = [Record(name, label, cell=key) for name, (_, label) in zip(named, files, strict=True)]
    return ImageSet(key, records, Memory(named))


def look_at(found: Karyotype, upside_down: bool) -> dict[str, Any]:
    """Return what counts of one cell."""
    items = found.chromosomes
    arms = [(one.polarity > 0.5) != upside_down for one in items if one.polarity is not None]
    return {
        "single": float(np.mean([one.predicted == one.label for one in items])),
        "assigned": float(np.mean([one.assigned == one.label for one in items])),
        "doubtful": float(np.mean([one.doubtful or bool(one.error) for one in items])),
        "warned": bool(found.warnings),
        "polarity": float(np.mean(arms)) if arms else None,
    }


def score(
    condition: str, classifier: Classifier, rival: Classifier, cells: dict[str, Cell], untouched: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a condition's line, and what counts of each cell.

    Args:
        condition: its name.
        classifier: whose cells they are.
        rival: of the other band.
        cells: by name.
        untouched: what counts of each cell as it is; empty for "untouched" itself.
    """
    used, other = (rival, classifier) if condition == OTHER else (classifier, rival)
    seen = [
        look_at(karyotype(used, changed(condition, key, cells), cell=key, rivals=lambda: [other]), condition == "turned by 180")
        for key in cells
    ]
    before = untouched or seen
    lost = [one for one, was in zip(seen, before, strict=True) if was["assigned"] - one["assigned"] >= LOST]
    if condition in ALWAYS_WARNED:
        lost = seen
    means = {name: float(np.mean([one[name] for one in seen])) for name in ("single", "assigned", "doubtful")}
    arms = [one["polarity"] for one in seen if one["polarity"] is not None]
    row = {
        "condition": condition,
        "cells": len(seen),
        **means,
        "points": 100 * (means["assigned"] - float(np.mean([one["assigned"] for one in before]))),
        "warned": sum(one["warned"] for one in seen),
        "lost": len(lost),
        "lost_warned": sum(one["warned"] for one in lost),
        "polarity": round(float(np.mean(arms)), 4) if arms and condition not in ("turned by any angle", OTHER) else "",
    }
    return row, seen


def rows_of(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a line for each condition of one model."""
    tag = tag_of(name)
    other = next(key for key in FILES if key != tag)
    own = f"{name.rpartition('.')[0]}.{other}"
    names = [name, own if own in released() else released(f"*.{other}")[-1]]
    models = [prepare_as(create(one), options.preparation) for one in names]
    classifier, rival = (of_network(optimize(model, "fp32")) for model in models)
    cells = read_cells(tag, options.data, options.part, options.cells)
    known = {
        "name": name,
        "weights_sha256": models[0].info["sha256"],
        "set": NAMES[tag],
        "part": options.part,
        "preparation": models[0].spec.preprocess.version,
        "seed": SEED,
    }
    untouched: list[dict[str, Any]] = []
    for condition in options.only or [*IMAGES, OTHER, *CELLS]:
        if not untouched:
            row, untouched = score("untouched", classifier, rival, cells, [])
        if condition != "untouched":
            row, _ = score(condition, classifier, rival, cells, untouched)
        print(
            f"{name} {condition}: " + " ".join(f"{key} {row[key]:.3f}" for key in ("single", "assigned", "warned")), flush=True
        )
        yield {**known, **row}


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw points lost after assignment as a heat map: a row per condition, a column per weights."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = list(dict.fromkeys((row["name"], row["part"], row["preparation"]) for row in rows))
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    table = {(row["condition"], (row["name"], row["part"], row["preparation"])): row for row in rows}
    values = np.full((len(conditions), len(columns)), np.nan)
    for i, condition in enumerate(conditions):
        for j, column in enumerate(columns):
            if (condition, column) in table:
                values[i, j] = -float(table[condition, column]["points"])
    figure, axes = plt.subplots(figsize=(3.4 + 1.25 * len(columns), 0.27 * len(conditions) + 2.4), layout="constrained")
    image = axes.imshow(np.clip(values, 0, 50), cmap="Greys", vmin=0, vmax=50, aspect="auto")
    for i in range(len(conditions)):
        for j, column in enumerate(columns):
            row = table.get((conditions[i], column))
            if row is not None:
                dot = " \N{BULLET}" if row["warned"] >= 0.5 * row["cells"] else ""
                shade = "white" if values[i, j] > 25 else "black"
                axes.text(j, i, f"{values[i, j]:.1f}{dot}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_yticks(range(len(conditions)), conditions, fontsize=8)
    labels = [f"{name}\n{part}, preparation {version}" for name, part, version in columns]
    axes.set_xticks(range(len(columns)), labels, fontsize=7, rotation=20, ha="right")
    axes.set_title("Points lost after assignment (dot: most cells warned of)", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.4, label="points")
    figure.savefig(file, dpi=150)


def main() -> None:
    """Measure, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(released())}")
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--part", default="test", choices=["val", "test"])
    parser.add_argument("--cells", type=int, default=10, help="of the part, the first ones (default: 10)")
    parser.add_argument("--preparation", type=int, default=0, choices=[0, 1, 2], help="0: the weights' own")
    parser.add_argument("--only", nargs="+", metavar="CONDITION", default=[])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    file = options.out / "robustness.csv"
    rows = [{key: number(value) for key, value in row.items()} for row in read_csv(file)] if file.exists() else []
    for name in options.names:
        for row in rows_of(name, options):
            rows = [old for old in rows if any(old[key] != row[key] for key in KEY)] + [row]
    if options.names and options.out == RESULTS:
        write("robustness", rows, TABLE, NOTE)
    draw(rows, options.out / "robustness.png")


NOTE = """Whole cells through `karyotype` (scale by the cell), means over the first cells of the part, seed 0, fp32. Single
images are scored within that run, after scaling. Points are against the same cells untouched. The last rows are cells whose
count is wrong: there "lost" counts all of them. ![points lost](robustness.png)"""


if __name__ == "__main__":
    main()
