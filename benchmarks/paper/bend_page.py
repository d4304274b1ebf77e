"""The page and the figure of the bend benchmark, from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.paper.bend_numbers import BENT, Estimate, conclusion, points
from benchmarks.paper.bend_pictures import CELLS, UNMEASURED
from gricol_zoo.benchmark.rows import to_markdown

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PARTS = {
    "synthetic": "Synthetic chromosomes",
    "warped": "Real images, bent by an arc",
    "real": "Real images as they lie",
}
SYSTEMS = {"control": "control (no grid)", "gril": "GRiL", "gricol": "GRiCoL"}
INFERENCE = {"lower": "lower branch", "full": "all classifiers"}
# Okabe and Ito's colours, told apart by marker and line as well.
STYLES = {"control": ("black", "o", "-"), "gril": ("#D55E00", "s", "--"), "gricol": ("#0072B2", "^", "-.")}
POOR = 0.8  # accuracy of the control on straight chromosomes, under which the page says that a part is far from real images
Row = Mapping[str, Any]

HEAD = """# Bend

Written by `python -m benchmarks.paper.bend`; every number, with command, commit and hash of the weights, is in `bend.csv`.

{conclusions}

The numbers in brackets: by how many points of accuracy GRiCoL loses more than the control from straight to bent (all bent
levels together), with the 95 % interval by bootstrap over cells, paired by image. The lower branch alone is what runs at
inference; all classifiers combined are K + 2 against the control's one. The sentence is made from the
interval: gridding "weakens" the effect where the whole interval is below 0, "strengthens" it where it is above. Single angles
and bins are many looks at the same images: nothing is concluded from one of them.

- synthetic: {cells} cells from class profiles of the train part, each chromosome at each angle with one look, side and noise.
- warped: nearly straight images, bent to both sides; the angle is the turn of the arc from end to end.
- real: bins by the measured turn from the first third of the medial axis to the last: of an arc, half to two thirds of its
  turn. Bins differ in their classes (long chromosomes bend more), so read a model against the other models, not against its
  own first bin.
"""
SUMMARY = {
    "part": ("part", ""),
    "weights": ("weights", ""),
    "training": ("trained", ""),
    "system": ("system", ""),
    "seed": ("seed", ""),
    "inference": ("classifiers", ""),
    "straight": ("straight, %", ".1f"),
    "bent": ("bent, %", ".1f"),
    "loss": ("loss, points", ""),
    "more": ("more than the control", ""),
    "verdict": ("gridding ... the effect of bending", ""),
}


def number(row: Row, key: str) -> float:
    """Return a number of a row, NaN where it has none."""
    value = row.get(key, "")
    return float("nan") if value == "" else float(value)


def shown(rows: Sequence[Row], **which: str) -> list[Row]:
    """Return the rows with these values; where there are several seeds, only their mean."""
    found = [row for row in rows if all(row[key] == value for key, value in which.items())]
    return [row for row in found if row["seed"] == "mean"] or found


def conclusions(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each group of weights and inference, and one for each part that is hard even unbent."""
    said = []
    for group in dict.fromkeys(row["weights"] for row in rows):
        training = next(row["training"] for row in rows if row["weights"] == group)
        for inference, words in INFERENCE.items():
            found = {
                part: estimate_of(row, "more")
                for part in PARTS
                for row in shown(rows, weights=group, part=part, system="gricol", inference=inference, level=BENT)
            }
            if found:
                said.append(f"{group} weights, trained {training}, {words}: {conclusion(found)}")
        for part in PARTS:
            straight = shown(rows, weights=group, part=part, system="control", inference="lower")[:1]
            if straight and number(straight[0], "accuracy") < POOR:
                share = f"{100 * number(straight[0], 'accuracy'):.0f} %"
                said.append(f"{group} weights: {part} chromosomes are poorly told apart even unbent (control {share}).")
    return said


def page(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Return bend.md."""
    text = [HEAD.format(conclusions="\n\n".join(f"**{said}**" for said in conclusions(rows)), cells=CELLS)]
    text.append("\n".join(f"- {note}" for note in notes) + "\n")
    summary = []
    for bent in (row for row in rows if row["level"] == BENT):
        same = ("part", "weights", "system", "seed", "inference")
        straight = next(row for row in rows if all(row[key] == bent[key] for key in same))
        line = {key: bent[key] for key in (*same, "training")} | {"verdict": bent.get("verdict", "")}
        line |= {"straight": 100 * number(straight, "accuracy"), "bent": 100 * number(bent, "accuracy")}
        summary.append(line | {"loss": interval(bent, "loss"), "more": interval(bent, "more")})
    text.append(f"## From straight to all bent levels together\n\n{to_markdown(summary, SUMMARY)}")
    for group in dict.fromkeys(row["weights"] for row in rows):
        for part in PARTS:
            own = [row for row in rows if row["weights"] == group and row["part"] == part]
            if own:
                text.append(f"## {PARTS[part]}, {group} weights: accuracy of the lower branch, %\n\n{levels(own)}")
    return "\n".join(text)


def interval(row: Row, key: str) -> str:
    """Return a difference in points with its interval, "" where there is none."""
    return points(estimate_of(row, key))


def estimate_of(row: Row, key: str) -> Estimate:
    """Return a number of a row with its interval."""
    return Estimate(*(number(row, name) for name in (key, f"{key}_low", f"{key}_high")))


def levels(rows: Sequence[Row]) -> str:
    """Return the table of one part: one row per level, one column per system."""
    lines: list[dict[str, Any]] = []
    for level in dict.fromkeys(row["level"] for row in rows):
        line = {"level": level}
        for row in (row for system in SYSTEMS for row in shown(rows, system=system, inference="lower", level=level)):
            values = tuple(100 * number(row, key) for key in ("accuracy", "low", "high"))
            line["images"] = row["images"]
            line[row["system"]] = "{:.1f} ({:.1f} to {:.1f})".format(*values) if row["images"] else ""
        lines.append(line)
    return to_markdown(lines, {"level": ("bend", ""), "images": ("images", ""), **{key: (SYSTEMS[key], "") for key in SYSTEMS}})


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw the figure: one column per part, and for each group of weights the accuracies above and the losses below."""
    groups = list(dict.fromkeys(row["weights"] for row in rows))
    parts = [part for part in PARTS if any(row["part"] == part for row in rows)]
    figure = plt.figure(figsize=(12, 5.4 * len(groups) + 0.3), layout="constrained")
    figure.suptitle("Accuracy of the lower branch against bending, with 95 % intervals", fontsize=12)
    for group, rows_of in zip(groups, figure.subfigures(len(groups), 1, squeeze=False)[:, 0], strict=True):
        own = [row for row in rows if row["weights"] == group]
        rows_of.suptitle(heading(own), fontsize=11, fontweight="bold")
        panels(rows_of.subplots(2, len(parts), height_ratios=[1.6, 1], squeeze=False), own, parts)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def heading(rows: Sequence[Row]) -> str:
    """Return the title of a group of weights: which, how trained, with how many seeds."""
    seeds = len({row["seed"] for row in rows} - {"mean"})
    first = rows[0]
    which = "Released weights" if first["weights"] == "released" else f"Weights of {first['weights']}"
    return f"{which}, trained {first['training']}, {seeds} seed{'s' if seeds > 1 else ''}"


def panels(axes: Any, rows: Sequence[Row], parts: Sequence[str]) -> None:
    """Draw the panels of a group of weights on axes (2, parts): a column per part, accuracies above losses."""
    for (top, bottom), part in zip(axes.T, parts, strict=True):
        own = [row for row in rows if row["part"] == part]
        curves(top, own)
        losses(bottom, own)
        top.set_xlim(bottom.get_xlim())
        bottom.set_xlabel("turn from end to end, degrees" if part != "real" else "measured bend, degrees; images below")
        top.set_title(f"{PARTS[part]} ({own[0]['chromosomes']}, {own[0]['cells']} cells)", fontsize=10)
    axes[0, 0].set_ylabel("accuracy, %")
    axes[1, 0].set_ylabel("loses more than the control,\npoints (below 0: weakens)")
    # One scale where the levels are angles; the bins of real images, some with few, need their own.
    angles = [column for column, part in enumerate(parts) if part != "real"]
    for line in axes[:, angles]:
        limits = [axis.get_ylim() for axis in line]
        for axis in line:
            axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    axes[0, 0].legend(loc="lower left", fontsize=9)


def places(rows: Sequence[Row]) -> dict[str, float]:
    """Return the position of each level on the x axis: its angle, or bins side by side."""
    names = [name for name in dict.fromkeys(row["level"] for row in rows) if name not in (BENT, UNMEASURED)]
    numeric = rows[0]["part"] != "real"
    return {name: float(name) if numeric else float(index) for index, name in enumerate(names)}


def curves(axis: Any, rows: Sequence[Row]) -> None:
    """Draw accuracy against bend for each system, with intervals, and the spread of its seeds where there are several."""
    at = places(rows)
    nudge = 0.012 * (max(at.values()) - min(at.values()))
    for order, (system, label) in enumerate(SYSTEMS.items()):
        own = [row for row in shown(rows, system=system, inference="lower") if row["level"] in at and row["images"]]
        if not own:
            continue
        colour, marker, line = STYLES[system]
        x = [at[row["level"]] + (order - 1) * nudge for row in own]
        y, low, high = ([100 * number(row, key) for row in own] for key in ("accuracy", "low", "high"))
        bars = [[b - a for a, b in zip(low, y, strict=True)], [b - a for a, b in zip(y, high, strict=True)]]
        axis.errorbar(
            x, y, bars, color=colour, marker=marker, linestyle=line, markersize=5, linewidth=1.3, elinewidth=0.8, label=label
        )
        seeds = [row for row in rows if row["system"] == system and row["inference"] == "lower" and row["level"] in at]
        if len({row["seed"] for row in seeds}) > 1:
            each = [
                [100 * number(r, "accuracy") for r in seeds if r["level"] == row["level"] and r["seed"] != "mean"]
                for row in own
            ]
            axis.fill_between(x, [min(values) for values in each], [max(values) for values in each], color=colour, alpha=0.15)
    ticks(axis, rows, at)


def losses(axis: Any, rows: Sequence[Row]) -> None:
    """Draw how much more each grid model loses than the control, level by level, and for all bent levels at the right."""
    at = places(rows)
    step = 1.0 if rows[0]["part"] == "real" else 15.0
    right = max(at.values()) + 1.6 * step
    axis.axhline(0, color="black", linewidth=0.8)
    axis.axvline(right - 0.8 * step, color="grey", linewidth=0.6)
    for order, system in enumerate(("gril", "gricol")):
        own = [row for row in shown(rows, system=system, inference="lower") if number(row, "more") == number(row, "more")]
        colour, marker, _ = STYLES[system]
        x = [at.get(row["level"], right) + (order - 0.5) * 0.25 * step for row in own]
        y, low, high = ([100 * number(row, key) for row in own] for key in ("more", "more_low", "more_high"))
        bars = [[b - a for a, b in zip(low, y, strict=True)], [b - a for a, b in zip(y, high, strict=True)]]
        axis.errorbar(x, y, bars, color=colour, marker=marker, linestyle="none", markersize=5, elinewidth=1)
    axis.set_xlim(-0.6 * step, right + 0.8 * step)
    ticks(axis, rows, {**at, "all": right})


def ticks(axis: Any, rows: Sequence[Row], at: Mapping[str, float]) -> None:
    """Label the levels; under a bin of real images, also the number of images in it."""
    counts = {row["level"]: row["images"] for row in rows}
    real = rows[0]["part"] == "real"
    words = [f"{name}\n{counts.get(name, counts[BENT])}" if real else name for name in at]
    axis.set_xticks(list(at.values()), words, fontsize=8)
    axis.grid(axis="y", color="0.9")
    axis.set_axisbelow(True)
