"""Short tables for the pages in docs/results/, put together from larger committed results.

    python -m benchmarks.make.result_tables

Writes grid.csv, bend.csv and robustness.csv in results/make/, and a Markdown table beside each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.common.recipes import epochs_on
from benchmarks.common.record import RESULTS, number, write
from gricol_zoo.data.rows import read_csv

Row = Mapping[str, Any]
LIGHT_GRIDS = {"r18half_128": "control", "gril_r18half_128": "GRiL", "gricol_r18half_n3_128": "GRiCoL"}
LARGE_GRIDS = {"r50half": "control", "gril_r50half": "GRiL", "gricol_r50half_n3": "GRiCoL"}
GRIDS = (
    ("qband", "Q-band, 128x96, released", LIGHT_GRIDS),
    ("qband", "Q-band, 448x456, released", LARGE_GRIDS),
    ("pki3", "Pki-3 (G-banded), 128x96, released", LIGHT_GRIDS),
)
"""Tag, description and systems of the released weights that are compared."""
LIGHT = {"resnet50": "control", "gril": "GRiL", "gricol": "GRiCoL"}  # as the light tables name them
PARTS = {"synthetic": "synthetic", "warped": "real, bent by an arc", "real": "real, as they lie"}
KINDS = {
    ("grid_192", "mean"): "192x96, with bends, 3 seeds",
    ("released", 0): "192x96, with bends, released",
    ("table_runs", "mean"): "128x96, without bends, 3 seeds",
}
INFERENCE = {"lower": "lower branch", "full": "all classifiers"}
WORST = 12
GRID_NOTE = (
    "Lower branch, which alone runs at inference. Intervals by bootstrap over cells (Q-band) or cases (Pki-3). The systems of "
    "a set have one recipe"
)
BEND_NOTE = "Points: what GRiCoL loses from straight to bent minus what the control loses; below 0 the grid weakens bending."
WORST_NOTE = "Means over cells, after assignment. The twelve conditions that cost either set of weights most."


def rows_of(name: str) -> list[dict[str, Any]]:
    """Read a result file, numbers as numbers."""
    return [{key: number(value) for key, value in row.items()} for row in read_csv(RESULTS / f"{name}.csv")]


def grid_rows() -> list[dict[str, Any]]:
    """Return the accuracies of control, GRiL and GRiCoL in percent, set by set, wherever a grid was measured."""
    tested = [row for row in rows_of("released/weights") if (row["part"], row["inference"]) == ("test", "lower")]
    released = {(row["arch"], row["tag"]): row for row in tested}
    found = []
    for row in rows_of("paper/grid_seeds"):
        values = {key: row[key] for key in ("accuracy", "low", "high", "runs", "images")}
        found.append({"what": f"Q-band, 192x96, {row['epochs']} epochs", "system": row["name"], **values})
    for tag, what, systems in GRIDS:
        for arch, system in systems.items():
            row = released[arch, tag]
            values = {key: 100 * row[key] for key in ("accuracy", "low", "high")}
            found.append({"what": what, "system": system, **values, "runs": 1, "images": row["images"]})
    light = {row["system"]: row for row in rows_of("paper/table3_comparison.light.qband")}
    for name, system in LIGHT.items():
        values = {key: light[name][key] for key in ("accuracy", "low", "high", "runs", "images")}
        found.append({"what": "Q-band, 128x96, 8 epochs", "system": system, **values})
    return [{**row, "interval": f"{row['low']:.1f} to {row['high']:.1f}"} for row in found]


def grid_note() -> str:
    """Return the note below the grid's table, with the epochs by the recipe files where the systems of a set differ in them."""
    told = []
    for tag, what, systems in GRIDS:
        epochs = {system: epochs_on(f"{arch}.{tag}", tag) for arch, system in systems.items()}
        if len(set(epochs.values())) > 1:
            told.append(f"{what}: " + ", ".join(f"{system} {count}" for system, count in epochs.items()))
    return f"{GRID_NOTE}, except in epochs: {'; '.join(told)}." if told else f"{GRID_NOTE}."


def bend_rows() -> list[dict[str, Any]]:
    """Return by how many points more GRiCoL loses than the control from straight to bent, all bent levels together."""
    rows = [row for row in rows_of("paper/bend") if (row["level"], row["system"]) == ("all bent", "gricol")]
    by = {(row["weights"], row["seed"], row["part"], row["inference"]): row for row in rows}
    found = []
    for kind, training in KINDS.items():
        for inference, classifiers in INFERENCE.items():
            for part, what in PARTS.items():
                if row := by.get((*kind, part, inference)):
                    points = {key: 100 * row[f"more{key}"] for key in ("", "_low", "_high")}
                    values = {"points": round(points[""], 1) + 0.0, "low": points["_low"], "high": points["_high"]}
                    found.append({"what": what, "training": training, "classifiers": classifiers, **values})
    return [{**row, "interval": f"{row['low']:+.1f} to {row['high']:+.1f}"} for row in found]


def worst_rows() -> list[dict[str, Any]]:
    """Return the conditions that cost most, with the points lost and the cells with a warning for each set's weights."""
    lines: dict[str, dict[str, Any]] = {}
    for row in rows_of("released/robustness"):
        tag = row["name"].rpartition(".")[2]
        values = {f"{tag}_lost": max(0.0, -row["points"]), f"{tag}_warned": f"{row['warned']} of {row['cells']}"}
        lines.setdefault(row["condition"], {"condition": row["condition"]}).update(values)
    return sorted(lines.values(), key=lambda line: -max(line["qband_lost"], line["pki3_lost"]))[:WORST]


def main() -> None:
    """Write the tables."""
    scores = {"accuracy": ("accuracy, %", ".1f"), "interval": ("95 %", ""), "runs": ("runs", ""), "images": ("images", "")}
    write("make/grid", grid_rows(), {"what": ("set", ""), "system": ("system", ""), **scores}, grid_note())
    kinds = {"what": ("chromosomes", ""), "training": ("trained", ""), "classifiers": ("classifiers", "")}
    write("make/bend", bend_rows(), {**kinds, "points": ("points", "+.1f"), "interval": ("95 %", "")}, BEND_NOTE)
    each = {
        f"{tag}_{key}": (f"{name}, {what}", form)
        for tag, name in (("qband", "Q-band"), ("pki3", "Pki-3"))
        for key, what, form in (("lost", "points lost", ".1f"), ("warned", "cells warned of", ""))
    }
    write("make/robustness", worst_rows(), {"condition": ("condition", ""), **each}, WORST_NOTE)


if __name__ == "__main__":
    main()
