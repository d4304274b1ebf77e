"""What other cameras, files and handling cost: every condition of ``robustness_conditions``, on cells that were not trained on.

    python -m benchmarks.released.robustness --data FOLDER [NAME ...] [--part test] [--cells 16] [--only CONDITION ...]
    python -m benchmarks.released.robustness                       # write table and figure again, from the CSV

Each cell goes through ``karyotype`` as a user's does: scale by the cell, classes assigned together, warnings. Accuracies are
means over cells. "Lost" counts the cells whose assigned accuracy fell by ten points or more against the same cell untouched,
"kept" those with changed images that lost less than five; for both, the number that got a warning is given. The condition of
the other band's weights classifies the same cells by the weights of the same kind for the other set.

Writes results/released/robustness.csv, .md and .png, and robustness_summary.csv, one line per set of weights, for their cards.
Rows of the CSV with the same weights, part, preparation, cells and seed are kept, so that a stopped run can be continued;
``--again`` measures them again. A model takes about five minutes per set on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.record import COMMAND, COMMIT, RESULTS, numbers
from benchmarks.common.sets import FILES, NAMES, open_part, split_file, tag_of
from benchmarks.common.weights import create, released, unseen
from benchmarks.released.robustness_cells import SEED, Cell, Seen, look, read_cells, remembering
from benchmarks.released.robustness_conditions import ALWAYS_WARNED, CELLS, IMAGES, NEIGHBOURS, UNTOUCHED
from benchmarks.released.robustness_page import draw, page, summaries
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.fast import optimize
from gricol_zoo.inference.preparation import prepare_as

LOST, KEPT = 0.1, 0.05  # of a cell's assigned accuracy
OTHER = "the other band's weights"
KINDS = {**dict.fromkeys([*IMAGES, *NEIGHBOURS], "images"), OTHER: "weights", **dict.fromkeys(CELLS, "cells")}
"""Every condition, in order -> what it changes."""

SAME = ("name", "weights_sha256", "part", "preparation", "cells", "seed")
"""Columns in which two rows must agree to be compared."""


def score(
    condition: str, classifier: Classifier, rival: Classifier, cells: dict[str, Cell], untouched: Sequence[Seen]
) -> tuple[dict[str, Any], list[Seen]]:
    """Return a condition's row, and the outcome of each cell.

    Args:
        condition: its name.
        classifier: the weights for the cells' own set.
        rival: the weights for the other band.
        cells: by name.
        untouched: the outcome of each cell as it is; empty for "untouched" itself.
    """
    start = time.perf_counter()
    swapped = condition == OTHER
    used, asked = (rival, classifier) if swapped else (classifier, None)
    seen = [look(condition, key, cells, used, asked) for key in cells]
    return {**row_of(condition, seen, untouched or seen), "seconds": round(time.perf_counter() - start, 1)}, seen


def row_of(condition: str, seen: Sequence[Seen], untouched: Sequence[Seen]) -> dict[str, Any]:
    """Return a condition's row: the outcomes of its cells, compared with the same cells untouched."""
    falls = [was.assigned - one.assigned for one, was in zip(seen, untouched, strict=True)]
    lost = [one for one, fall in zip(seen, falls, strict=True) if fall >= LOST or condition in ALWAYS_WARNED]
    kept = [one for one, fall in zip(seen, falls, strict=True) if fall < KEPT and KINDS[condition] == "images"]
    odd = [found for one in seen for found in one.odd]
    arms = [one.polarity for one in seen if one.polarity is not None]
    return {
        "condition": condition,
        "kind": KINDS[condition],
        "images": sum(one.images for one in seen),
        **{key: mean([getattr(one, key) for one in seen]) for key in ("single", "single_scaled", "assigned")},
        "points": round(-100 * float(np.mean(falls)), 2) + 0.0,  # never -0.0
        "least": round(min(one.assigned for one in seen), 4),
        "scale": round(float(np.median([one.scale for one in seen])), 3),
        **{key: mean([getattr(one, key) for one in seen]) for key in ("doubtful", "images_warned")},
        "warned": sum(one.warned for one in seen),
        "lost": len(lost),
        "lost_warned": sum(one.warned for one in lost),
        "kept": len(kept),
        "kept_warned": sum(one.warned for one in kept),
        "odd_found": mean(odd) if odd else "",
        "named": sum(one.named for one in seen) if condition == OTHER else "",
        "polarity": mean(arms) if arms and condition != OTHER else "",
    }


def mean(values: Sequence[float]) -> float:
    """Return the mean, rounded to four decimals."""
    return round(float(np.mean(values)), 4)


def rows_of(name: str, options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row per condition of one model that is not yet in ``rows``."""
    tag = tag_of(name)
    other = next(key for key in FILES if key != tag)
    own = f"{name.rpartition('.')[0]}.{other}"
    names = [name, own if own in released() else released(f"*.{other}")[-1]]
    models = [prepare_as(create(one), options.preparation) for one in names]
    cells = read_cells(unseen(open_part(tag, options.data, options.part), models[0]), options.cells)
    known = {
        "name": name,
        "weights_sha256": models[0].info.sha256,
        "set": NAMES[tag],
        "split": split_file(tag).name,
        "part": options.part,
        "preparation": models[0].spec.preprocess.version,
        "cells": len(cells),
        "seed": SEED,
        "dtype": "fp32",
    }
    done = {row["condition"] for row in rows if all(row[key] == known[key] for key in SAME)}
    wanted = [condition for condition in options.only or KINDS if options.again or condition not in done]
    if not wanted:
        return
    classifier, rival = (remembering(of_network(optimize(model, "fp32"))) for model in models)
    row, untouched = score(UNTOUCHED, classifier, rival, cells, [])
    for condition in wanted:
        if condition != UNTOUCHED:
            row, _ = score(condition, classifier, rival, cells, untouched)
        print(
            f"{name}, {condition}: {row['assigned']:.3f} assigned, {row['warned']} of {len(cells)} cells warned of", flush=True
        )
        yield {"command": COMMAND, "commit": COMMIT, **known, **row}


def merged(rows: Sequence[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows with a new one, in order, without rows of the same name and other weights or of the same measurement."""
    same = [key for key in SAME if key != "weights_sha256"]
    rows = [row for row in rows if row["name"] != new["name"] or row["weights_sha256"] == new["weights_sha256"]]
    rows = [row for row in rows if row["condition"] != new["condition"] or any(row[key] != new[key] for key in same)]
    places = {condition: place for place, condition in enumerate(KINDS)}
    return sorted([*rows, new], key=lambda row: (*(str(row[key]) for key in same), places[row["condition"]]))


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows written earlier, of conditions that still exist, numbers as numbers."""
    if not file.exists():
        return []
    rows = [numbers(row) for row in read_csv(file)]
    return [row for row in rows if row["condition"] in KINDS]


def write_all(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write the readable results: tables and figure."""
    summary = summaries(rows)
    (folder / "robustness_summary.csv").write_text(to_csv(summary))
    (folder / "robustness.md").write_text(page(rows, summary))
    draw(rows, folder / "robustness.png")


def main() -> None:
    """Measure, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all released weights")
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--part", default="test", choices=["val", "test"])
    parser.add_argument("--cells", type=int, default=16, help="cells of the part, evenly spread over it (default: 16)")
    parser.add_argument("--preparation", type=int, default=0, choices=[0, 1, 2], help="0: the weights' own")
    parser.add_argument("--only", nargs="+", metavar="CONDITION", choices=list(KINDS), default=[])
    parser.add_argument("--again", action="store_true", help="measure again what the CSV already has")
    parser.add_argument("--out", type=Path, default=RESULTS / "released", help="default: benchmarks/results/released")
    options = parser.parse_args()
    if options.names and options.data is None:
        parser.error("--data is needed")
    file = options.out / "robustness.csv"
    rows = read_rows(file)
    for name in (options.names or released()) if options.data else ():
        for row in rows_of(name, options, rows):
            rows = merged(rows, row)
            file.write_text(to_csv(rows))
    write_all(rows, options.out)


if __name__ == "__main__":
    main()
