"""Draw explanations of images, as in Fig. 5 (and Fig. 2) of the paper, and save figures; no global state of matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gricol_zoo.errors import GricolZooError
from gricol_zoo.explain.cells import GridEvidence
from gricol_zoo.explain.panel import Explanation
from gricol_zoo.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
HEADINGS = (
    "as the network sees it",
    "guided back-propagation, positive part",
    "Grad-CAM, last layer",
    "grid: gate, cell's prediction",
)
INK = "#14506a"
CELL = 1.1  # height in inches of a cell with its text
TEXT = 7.0  # font size, in points, of the text below a cell
LINE = 0.19  # height of a line of that text, as a fraction of a cell's height


def check_figure_file(file: Path) -> None:
    """Check, before any work is done, that a figure can be written to a file.

    Raises:
        GricolZooError: the suffix is not .png, .svg or .pdf.
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib  # noqa: F401

    if file.suffix.lower() not in FORMATS:
        raise GricolZooError(f"Expected a figure file that ends in {', '.join(FORMATS)}, but got {str(file)!r}.")


def save_figure(figure: Figure, file: Path, dpi: int = 130) -> None:
    """Write a figure in the format of the file's suffix; missing folders are created.

    Raises:
        GricolZooError: the suffix is not .png, .svg or .pdf.
        OSError: the file cannot be written.
    """
    check_figure_file(file)
    stream = io.BytesIO()
    figure.savefig(stream, format=file.suffix.lower()[1:], dpi=dpi)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, stream.getvalue())


def explain_figure(explanations: Sequence[Explanation], title: str = "") -> Figure:
    """Draw one row per model: the canvas, guided back-propagation, Grad-CAM over the canvas, and the predictions of the grid.

    Raises:
        GricolZooError: there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not explanations:
        raise GricolZooError("Expected at least one explanation to draw, but got none.")
    columns = max(len(set(row.evidence.boxes[:, 0])) if isinstance(row.evidence, GridEvidence) else 0 for row in explanations)
    high = max(3.3, CELL * columns)  # inches of a row
    tall, wide = np.max([row.canvas.shape for row in explanations], axis=0)
    image = max(2.3, high * wide / tall)  # inches across
    size = (3 * image + 0.9 * high, (high + 0.6) * len(explanations) + (0.4 if title else 0))
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subfigures(len(explanations), 1, squeeze=False)[:, 0]
    for number, (part, row) in enumerate(zip(rows, explanations, strict=True)):
        axes = part.subplots(1, 4, width_ratios=[image, image, image, 0.9 * high])
        part.suptitle(_describe(row), fontsize=11, fontweight="bold")
        for axis, heading in zip(axes, HEADINGS, strict=True):
            axis.set_axis_off()
            if number == 0:
                axis.set_title(heading, fontsize=9, color="0.35")
        _image(axes[0], row.canvas)
        _panel(axes[1], row.guided, lambda axis, values: axis.imshow(_positive(values), cmap="gray", vmin=0, vmax=1))
        _panel(axes[2], row.cam, lambda axis, values, row=row: _overlay(axis, row.canvas, values))
        _panel(axes[3], row.evidence, lambda axis, evidence, row=row: _grid(axis, row, evidence))
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def _describe(row: Explanation) -> str:
    said = f"{row.labels[row.prediction]}, probability {row.probabilities[row.prediction]:.2f}"
    if row.target != row.prediction:
        said += f"; explained: {row.labels[row.target]}, probability {row.probabilities[row.target]:.2f}"
    return "\n".join(textwrap.wrap(f"{row.name}: {said}", 90))


def _panel(axis: Axes, content: Any, draw: Any) -> None:
    """Draw the content, or write why there is none if it is a text."""
    if isinstance(content, str):
        text = "\n".join(textwrap.wrap(content, 30))
        axis.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, color="0.35", transform=axis.transAxes)
    else:
        draw(axis, content)


def _image(axis: Axes, canvas: np.ndarray) -> None:
    axis.imshow(canvas, cmap="gray", vmin=0, vmax=255)


def _overlay(axis: Axes, canvas: np.ndarray, cam: np.ndarray) -> None:
    _image(axis, canvas)
    axis.imshow(cam, cmap="inferno", vmin=0, vmax=1, alpha=0.65 * cam)
    if not cam.any():
        axis.text(0.5, 0.03, "nowhere positive", ha="center", fontsize=8, color="white", transform=axis.transAxes)


def _positive(gradient: np.ndarray) -> np.ndarray:
    """Return the positive part of (H, W), scaled to 0..1 so that its brightest half percent is 1."""
    positive = np.maximum(gradient, 0)
    top = np.percentile(positive, 99.5)
    return np.clip(positive / top, 0, 1) if top > 0 else positive


def _grid(axis: Axes, row: Explanation, evidence: GridEvidence) -> None:
    """Draw the cells at their positions but apart (overlapping cells would hide each other), with their numbers below."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    tops, lefts = (sorted(set(evidence.boxes[:, side])) for side in (0, 1))
    height, width = evidence.boxes[:, 2:].max(0)
    line, gap = LINE * height, 0.06 * height  # of text; between cells
    texts = _cell_texts(row, evidence)
    down = height + 3 * line + gap
    across = max(width, 5.2 * line) + gap
    for number, (box, text) in enumerate(zip(evidence.boxes, texts, strict=True), start=1):
        top, left, tall, wide = box
        x, y = lefts.index(left) * across, tops.index(top) * down
        axis.imshow(
            row.canvas[top : top + tall, left : left + wide], cmap="gray", vmin=0, vmax=255, extent=(x, x + wide, y + tall, y)
        )
        axis.add_patch(Rectangle((x, y), wide, tall, fill=False, edgecolor=INK, linewidth=1.2))
        outline = [withStroke(linewidth=1.5, foreground="black")]
        axis.text(x + 0.04 * wide, y + 0.04 * tall, str(number), va="top", fontsize=8, color="white", path_effects=outline)
        axis.text(x + wide / 2, y + tall + 0.3 * line, text, ha="center", va="top", fontsize=TEXT, linespacing=1.1)
    if evidence.merged_probabilities is not None:
        text = f"merged: {_answers(row, evidence.merged_probabilities[0], ', ')}"
        axis.text(len(lefts) * across / 2, len(tops) * down, text, ha="center", va="top", fontsize=TEXT)
    axis.set(xlim=(-gap, len(lefts) * across), ylim=(len(tops) * down + line, -gap), aspect="equal")


def _cell_texts(row: Explanation, evidence: GridEvidence) -> list[str]:
    answers = [_answers(row, probabilities, "\n") for probabilities in evidence.cell_probabilities[0]]
    if evidence.gates is None:
        return answers
    return [f"gate {gate:.2f}\n{answer}" for gate, answer in zip(evidence.gates[0], answers, strict=True)]


def _answers(row: Explanation, probabilities: np.ndarray, between: str) -> str:
    """Return the most probable class and the explained one, each with its probability."""
    shown = dict.fromkeys([int(probabilities.argmax()), row.target])
    return between.join(f"{row.labels[index]}: {probabilities[index]:.2f}" for index in shown)
