"""The picture of each page in docs/results/, drawn from the committed result files alone.

    pip install '.[viz]'
    python -m benchmarks.make.result_pictures [NAME...]        # without names, all of them

Writes docs/images/results/NAME.png, which holds the hash of the files that it was drawn from. All are in black and grey, for
printing; the caption is on the page.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib

from benchmarks.common.record import RESULTS, ROOT
from benchmarks.make.result_tables import bend_rows, grid_rows, rows_of, worst_rows

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PICTURES = ROOT / "docs" / "images" / "results"
INK, DARK, LIGHT = "black", "#6b6b6b", "#bdbdbd"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Dot:
    """One value with its interval.

    Attributes:
        value, low, high: in the axis' unit; low and high equal the value where there is no interval.
        filled: drawn filled rather than hollow.
    """

    value: float
    low: float
    high: float
    filled: bool = True


def percent(row: Row, value: str = "accuracy", low: str = "low", high: str = "high", filled: bool = True) -> Dot:
    """Return a fraction of a row and its interval, converted to percent."""
    middle, left, right = (100 * (row[key] if key else row[value]) for key in (value, low, high))
    return Dot(middle, left, right, filled)


def draw_dots(lines: Mapping[str, Sequence[Dot]], label: str, legend: Sequence[str] = (), zero: bool = False) -> Any:
    """Draw one line per name, from top to bottom, and on it the dots with their intervals."""
    figure, axis = plt.subplots(figsize=(7.4, 0.9 + 0.34 * len(lines)), layout="constrained")
    for place, dots in enumerate(lines.values()):
        for index, dot in enumerate(dots):
            at = place + 0.22 * (index - (len(dots) - 1) / 2)
            axis.plot([dot.low, dot.high], [at, at], color=DARK, linewidth=1.4, zorder=2)
            face = INK if dot.filled else "white"
            axis.plot(dot.value, at, "o", color=INK, markerfacecolor=face, markersize=5.5, zorder=3)
    for text, face in zip(legend, (INK, "white"), strict=False):
        axis.plot([], [], "o", color=INK, markerfacecolor=face, label=text)
    if zero:
        axis.axvline(0, color=INK, linewidth=0.8)
    axis.set(yticks=range(len(lines)), yticklabels=list(lines), ylim=(len(lines) - 0.4, -0.6), xlabel=label)
    _tidy(axis, "x")
    if legend:
        figure.legend(loc="outside upper right", ncols=len(legend), frameon=False)
    return figure


def draw_bars(bars: Mapping[str, Sequence[float]], label: str, legend: Sequence[str] = (), log: bool = False) -> Any:
    """Draw one bar per value of each name, one below the other, each with its value beside it."""
    series = max(len(values) for values in bars.values())
    figure, axis = plt.subplots(figsize=(7.4, 0.9 + (0.2 + 0.2 * series) * len(bars)), layout="constrained")
    for place, values in enumerate(bars.values()):
        for index, value in enumerate(values):
            at = place + 0.38 * (index - (len(values) - 1) / 2)
            axis.barh(at, value, 0.34, color=(LIGHT, DARK)[index] if series > 1 else DARK)
            text = f"{value:.3g}" if value < 100 else f"{value:.0f}"
            axis.annotate(text, (value, at), (4, 0), textcoords="offset points", va="center")
    for text, shade in zip(legend, (LIGHT, DARK), strict=False):
        axis.barh(0, 0, color=shade, label=text)
    axis.set(yticks=range(len(bars)), yticklabels=list(bars), ylim=(len(bars) - 0.4, -0.6), xlabel=label)
    if log:
        axis.set_xscale("log")
    axis.margins(x=0.12)
    _tidy(axis, "x")
    if legend:
        figure.legend(loc="outside upper right", ncols=len(legend), frameon=False)
    return figure


def _tidy(axis: Any, grid: str) -> None:
    axis.grid(axis=grid, color="#e4e4e4", zorder=0)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)


def weights() -> Any:
    """Draw the accuracy of released weights on their test parts."""
    tested = [row for row in rows_of("released/weights") if (row["part"], row["inference"]) == ("test", "lower")]
    tested.sort(key=lambda row: (row["tag"], -row["accuracy"]))
    return draw_dots({row["name"]: [percent(row)] for row in tested}, "accuracy of single images, %")


def paper_tables() -> Any:
    """Draw Table 3 at the light budget."""
    rows = sorted(rows_of("paper/table3_comparison.light.qband"), key=lambda row: -row["accuracy"])
    return draw_dots({row["name"]: [_points(row)] for row in rows}, "accuracy of single images, %")


def _points(row: Row) -> Dot:
    return Dot(row["accuracy"], row["low"], row["high"])


def cheaper_grid() -> Any:
    """Draw what a cheaper grid gains over the paper's, with its cost."""
    rows = [row for row in rows_of("paper/cheaper_grids.light.qband") if row["difference"] != ""]
    lines = {
        f"{row['name'].partition(', ')[2]}: {row['gmacs_full']:.3f} Gflops": [
            Dot(row["difference"], row["gap_low"], row["gap_high"])
        ]
        for row in rows
    }
    return draw_dots(lines, "points of accuracy more than cells of the image (0.425 Gflops)", zero=True)


def bend() -> Any:
    """Draw how much more the grid loses than the control from straight to bent."""
    rows = [row for row in bend_rows() if row["classifiers"] == "lower branch"]
    lines = {f"{row['what']}; {row['training']}": [Dot(row["points"], row["low"], row["high"])] for row in rows}
    return draw_dots(lines, "points that GRiCoL loses more", zero=True)


def karyotype() -> Any:
    """Draw the accuracy of single images, and of images assigned together within their cell."""
    lines = {}
    for row in rows_of("released/karyotype"):
        name = f"{row['name']}: {row['what'].replace('BioImLab ', '').replace(' (G-banded)', '')}"
        name = name.replace(", kept from training", "").replace(" (5 folds by cell)", "").replace("all cells, ", "")
        values = [(100 * row[key], filled) for key, filled in (("single_accuracy", False), ("accuracy", True))]
        lines[name] = [Dot(value, value, value, filled) for value, filled in values]
    return draw_dots(lines, "accuracy, %", ("assigned together", "single images"))


def classical() -> Any:
    """Draw the classical systems out of fold."""
    rows = [row for row in rows_of("classical/classical_crossval") if "without" not in row["protocol"]]
    lines = {
        row["name"]: [percent(row, filled=False), percent(row, "reassigned", "reassigned_low", "reassigned_high")]
        for row in rows
    }
    return draw_dots(lines, "accuracy out of fold, %", ("assigned together", "single images"))


def speed() -> Any:
    """Draw images per second beside timm's models."""
    bars: dict[str, list[float]] = {}
    for row in rows_of("speed/speed"):
        name = f"{row['model']}, {row['in_chans']} x {row['infer_img_size']}"
        bars.setdefault(name, []).append(row["infer_samples_per_sec"])
    return draw_bars(bars, "images per second (logarithmic)", ("as created", "optimized"), log=True)


def speed_training() -> Any:
    """Draw images per second of a training step."""
    rows = rows_of("speed/training_step")
    return draw_bars({row["step"]: [row["train_samples_per_sec"]] for row in rows}, "images per second, training")


def speed_exported() -> Any:
    """Draw images per second by runtime."""
    rows = rows_of("speed/export_speed")
    bars = {f"{row['model'].replace(', as created', '')}: {row['how']}": [row["per_sec"]] for row in rows}
    return draw_bars(bars, "images per second (logarithmic)", log=True)


def robustness() -> Any:
    """Draw the conditions that cost most, for both sets of weights."""
    bars = {row["condition"]: [row["qband_lost"], row["pki3_lost"]] for row in worst_rows()}
    return draw_bars(bars, "points of accuracy lost", ("r18half_192.qband", "r18half_192.pki3"))


def grid() -> Any:
    """Draw control, GRiL and GRiCoL wherever all three were measured."""
    lines = {f"{row['system']}: {row['what']}": [_points(row)] for row in grid_rows()}
    return draw_dots(lines, "accuracy of single images, lower branch, %")


def speed_runtimes() -> Any:
    """Draw how many times as fast as torch's model as created each model is on each runtime."""
    rows = rows_of("speed/runtimes")
    created = {row["model"]: row["infer_samples_per_sec"] for row in rows if row["form"] == "as is"}
    bars = {
        f"{row['model']}: {row['runtime']} {row['dtype']}": [row["infer_samples_per_sec"] / created[row["model"]]]
        for row in rows
        if row["form"] != "as is"
    }
    return draw_bars(bars, "times as fast as torch runs the model as created")


FIGURES: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "grid": (grid, ("released/weights", "paper/table3_comparison.light.qband", "paper/grid_seeds")),
    "weights": (weights, ("released/weights",)),
    "paper-tables": (paper_tables, ("paper/table3_comparison.light.qband",)),
    "cheaper-grid": (cheaper_grid, ("paper/cheaper_grids.light.qband",)),
    "bend": (bend, ("paper/bend",)),
    "robustness": (robustness, ("released/robustness",)),
    "karyotype": (karyotype, ("released/karyotype",)),
    "classical": (classical, ("classical/classical_crossval",)),
    "speed": (speed, ("speed/speed",)),
    "speed-training": (speed_training, ("speed/training_step",)),
    "speed-exported": (speed_exported, ("speed/export_speed",)),
    "speed-runtimes": (speed_runtimes, ("speed/runtimes",)),
}
"""Page -> what draws its picture, and the result files that it reads."""


def source(files: Sequence[str]) -> str:
    """Return what a picture's metadata records about its files: their names and a SHA-256 of their bytes."""
    digest = hashlib.sha256(b"".join((RESULTS / f"{file}.csv").read_bytes() for file in files)).hexdigest()
    return f"{', '.join(files)} {digest}"


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*FIGURES, []])
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().names or FIGURES:
        draw, files = FIGURES[name]
        figure = draw()
        figure.savefig(PICTURES / f"{name}.png", dpi=110, metadata={"Source": source(files), "Software": None})
        plt.close(figure)
        print(PICTURES.relative_to(ROOT) / f"{name}.png")


if __name__ == "__main__":
    main()
