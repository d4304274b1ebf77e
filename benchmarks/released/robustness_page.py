"""The readable results of the robustness benchmark: one line per set of weights, the table of conditions, the heat map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.released.robustness_conditions import UNTOUCHED
from gricol_zoo.benchmark.rows import to_markdown

Row = Mapping[str, Any]
COLUMN = ("name", "preparation", "part", "cells", "seed")
"""What the rows of one column of the heat map have in common."""

WORSE = 2.0  # points lost, from which a summary names a condition
BLACK_FROM = 30  # points lost that are black on the heat map
TABLE = {
    "name": ("weights", ""),
    "preparation": ("preparation", ""),
    "condition": ("condition", ""),
    "cells": ("cells", "d"),
    "single": ("single images", ".4f"),
    "single_scaled": ("scaled by the cell", ".4f"),
    "assigned": ("assigned", ".4f"),
    "points": ("points against untouched", "+.1f"),
    "doubtful": ("doubtful", ".3f"),
    "warned": ("cells warned of", "d"),
    "lost": ("cells that lost 10 points", "d"),
    "lost_warned": ("of them warned of", "d"),
    "odd_found": ("odd images found", ".2f"),
    "polarity": ("short arm's end", ".4f"),
}
SUMMARY = {
    "name": ("weights", ""),
    "preparation": ("preparation", ""),
    "part": ("part", ""),
    "cells": ("cells", "d"),
    "untouched": ("untouched, assigned", ".4f"),
    "conditions": ("other conditions", "d"),
    "assigned": ("mean of them, assigned", ".4f"),
    "least": ("least", ".4f"),
    "worst": ("where", ""),
    "lost": ("cells that lost 10 points", "d"),
    "lost_warned": ("of them warned of", "d"),
    "untouched_warned": ("untouched cells warned of", "d"),
    "kept": ("changed cells that lost less than 5 points", "d"),
    "kept_warned": ("of them warned of", "d"),
    "odd": ("cells with something odd", "d"),
    "odd_warned": ("of them warned of", "d"),
}
NOTE = """Whole cells, evenly spread over the part, through `karyotype` (fp32, scale by the cell); seed 0; accuracies are means
over cells. "Single images" are scored as large as they are in the file, "scaled by the cell" after it was brought to the scale
of the training. "Other conditions" are those of all images: cameras, files, cuts, neighbours. Of cells with something odd in
them (half a chromosome, two in one crop, a picture twice, two cells in one heap) all count as lost: whatever their classes,
they have to be warned of. Odd images are in no accuracy; one is found if it is unassigned, doubtful or warned of.
`robustness.csv` has the command, the commit, the weights' sha256 and more columns of each line."""


def columns_of(rows: Sequence[Row]) -> dict[tuple[Any, ...], dict[str, Row]]:
    """Return the rows by column of the heat map and by condition, in the order in which they first appear."""
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in COLUMN), {})[row["condition"]] = row
    return found


def summaries(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one line per set of weights that has the untouched cells and at least one other condition measured."""
    lines = []
    for conditions in columns_of(rows).values():
        untouched = conditions.get(UNTOUCHED)
        others = [row for row in conditions.values() if row["kind"] == "images" and row["condition"] != UNTOUCHED]
        if untouched and others:
            lines.append({**_conditions_of(untouched), **_summary(untouched, others), **_odd(conditions.values())})
    return lines


def _conditions_of(row: Row) -> dict[str, Any]:
    keys = ("command", "commit", "name", "weights_sha256", "set", "split", "part", "preparation", "cells", "seed", "dtype")
    return {key: row[key] for key in keys}


def _summary(untouched: Row, others: Sequence[Row]) -> dict[str, Any]:
    others = sorted(others, key=lambda row: row["assigned"])
    worse = [f"{row['condition']} ({row['points']:+.1f})" for row in others if row["points"] <= -WORSE]
    return {
        "untouched": untouched["assigned"],
        "untouched_warned": untouched["warned"],
        "conditions": len(others),
        "assigned": round(float(np.mean([row["assigned"] for row in others])), 4),
        "least": others[0]["assigned"],
        "worst": others[0]["condition"],
        **{key: sum(row[key] for row in others) for key in ("lost", "lost_warned", "kept", "kept_warned")},
        "worse": "; ".join(worse),
    }


def _odd(rows: Iterable[Row]) -> dict[str, int]:
    odd = [row for row in rows if row["kind"] == "cells" and row["lost"] == row["cells"]]
    return {"odd": sum(row["lost"] for row in odd), "odd_warned": sum(row["lost_warned"] for row in odd)}


def page(rows: Sequence[Row], summary: Sequence[Row]) -> str:
    """Return robustness.md."""
    return f"""{to_markdown(summary, SUMMARY)}
{NOTE}

![points lost by condition and weights](robustness.png)

{to_markdown(rows, TABLE)}"""


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw the points lost after assignment as a heat map: one row per condition, one column per set of weights."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = columns_of(rows)
    if not columns:
        return
    names = list(dict.fromkeys(row["condition"] for row in rows))
    kinds = {row["condition"]: row["kind"] for row in rows}
    lost = [[-column[name]["points"] if name in column else np.nan for column in columns.values()] for name in names]
    size = (3.2 + 1.3 * len(columns), 0.235 * len(names) + 2.6)
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    # From white to a grey on which black can still be read.
    shades = matplotlib.colors.LinearSegmentedColormap.from_list("lost", ["white", "0.45"])
    axes.imshow(np.clip(lost, 0, BLACK_FROM), cmap=shades, vmin=0, vmax=BLACK_FROM, aspect="auto")
    for i, name in enumerate(names):
        for j, column in enumerate(columns.values()):
            if name in column:
                _mark(axes, i, j, column[name])
        if i and kinds[name] != kinds[names[i - 1]]:
            axes.axhline(i - 0.5, color="black", linewidth=1.5)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xticks(range(len(columns)), [_heading(column) for column in columns], fontsize=7.5)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    figure.suptitle("Points of accuracy lost, after assignment, means over cells", fontsize=10)
    figure.supxlabel(
        f"white to grey: 0 to {BLACK_FROM} points\n\N{BLACK CIRCLE} most cells warned of, \N{WHITE CIRCLE} some\n"
        "framed: a cell that lost 10 points, or has something odd in it, was not warned of",
        fontsize=8,
    )
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _heading(column: tuple[Any, ...]) -> str:
    name, preparation, part, cells, _ = column
    model, _, tag = name.rpartition(".")
    return "\n".join([*_halves(model), f".{tag}", f"preparation {preparation}", f"{part}, {cells} cells"])


def _halves(model: str) -> list[str]:
    if len(model) <= 14:
        return [model]
    cut = model.rfind("_", 0, 14)
    return [model[: cut + 1], model[cut + 1 :]]


def _mark(axes: Any, i: int, j: int, row: Row) -> None:
    """Draw one place of the heat map: points lost, a mark for the cells warned of, and a frame where too few were."""
    from matplotlib.patches import Rectangle

    axes.text(j + 0.06, i, f"{-row['points'] + 0.0:.1f}", ha="right", va="center", fontsize=8)
    share = row["warned"] / row["cells"]
    if share:
        axes.text(j + 0.26, i, "\N{BLACK CIRCLE}" if share >= 0.5 else "\N{WHITE CIRCLE}", ha="center", va="center", fontsize=8)
    if row["lost_warned"] < row["lost"]:
        axes.add_patch(Rectangle((j - 0.46, i - 0.42), 0.92, 0.84, fill=False, edgecolor="black", linewidth=1.4))
