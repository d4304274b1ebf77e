"""Figures of the released weights, each by one command.

    pip install '.[viz]'
    python -m benchmarks.released.figures confusion NAME --data FOLDER             # 24 classes, Denver groups framed
    python -m benchmarks.released.figures reliability NAME --data FOLDER           # before and after temperature
    python -m benchmarks.released.figures learning NAME                            # from the training's log
    python -m benchmarks.released.figures wrong NAME --data FOLDER --out wrong.png # the wrongly classified images, to look at

Writes results/released/NAME.confusion.png, NAME.reliability.png and NAME.learning.png. The first two and the sheet of wrongly
classified images show the part given by --part (default: test; for the sheet val, because choices are based on it). The sheet
holds images of the data set, so it stays on your machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from benchmarks.common.record import RESULTS
from benchmarks.common.sets import open_part, tag_of
from benchmarks.common.weights import create, unseen
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.table import ImageSet
from gricol_zoo.evaluation.metrics import confusion_matrix
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.logits import predict_logits
from gricol_zoo.spec import CHROMOSOMES, DENVER_GROUPS

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

ORDER = [CHROMOSOMES.index(name) for names in DENVER_GROUPS.values() for name in names]
BINS = 10
FEWEST = 5  # images in a bin, for its point to be drawn
ACROSS = 12
BLUE, GREY, RED = "#1f6f8b", "#9aa5b1", "#b23a48"


def confusion(name: str, images: ImageSet, logits: np.ndarray, labels: np.ndarray, part: str) -> None:
    """Draw the confusion matrix in the order of the Denver groups, and the matrix of the groups beside it."""
    matrix = confusion_matrix(labels, logits.argmax(1), len(CHROMOSOMES))[np.ix_(ORDER, ORDER)]
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 7.4), width_ratios=[2.6, 1], layout="constrained")
    left.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        left.text(j, i, matrix[i, j], ha="center", va="center", fontsize=7, color="white" if share[i, j] > 0.5 else "black")
    names = [CHROMOSOMES[index] for index in ORDER]
    left.set(xticks=range(24), yticks=range(24), xticklabels=names, yticklabels=names, xlabel="predicted", ylabel="true")
    left.tick_params(length=0, labelsize=8)
    start, sizes = 0, [len(members) for members in DENVER_GROUPS.values()]
    for group, size in zip(DENVER_GROUPS, sizes, strict=True):
        left.add_patch(Rectangle((start - 0.5, start - 0.5), size, size, fill=False, edgecolor=RED, linewidth=1.2))
        left.text(start + size / 2 - 0.5, -0.9, group, ha="center", color=RED, fontsize=9)
        start += size
    accuracy = float(np.trace(matrix) / matrix.sum())
    left.set_title(f"{name}: {part} part, {matrix.sum()} images, accuracy {100 * accuracy:.1f} %", pad=26)
    edges = np.cumsum([0, *sizes])[:-1]
    groups = np.add.reduceat(np.add.reduceat(matrix, edges, 0), edges, 1)
    right.imshow(groups / np.maximum(groups.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*groups.shape):
        dark = groups[i, j] > 0.5 * groups[i].sum()
        right.text(j, i, groups[i, j], ha="center", va="center", fontsize=8, color="white" if dark else "black")
    right.set(xticks=range(7), yticks=range(7), xticklabels=DENVER_GROUPS, yticklabels=DENVER_GROUPS, xlabel="predicted")
    right.tick_params(length=0)
    right.set_title(f"Denver groups: {100 * np.trace(groups) / groups.sum():.1f} % in the right one", fontsize=10)
    save(figure, f"{name}.confusion.png")


def reliability(name: str, logits: np.ndarray, labels: np.ndarray, temperature: float, part: str) -> None:
    """Draw accuracy against confidence in ten bins, before and after the temperature, above the number of images per bin."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(5.2, 6.4), height_ratios=[3, 1], sharex=True, layout="constrained")
    correct = logits.argmax(1) == labels
    top.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    for label, heat, color in (("before", 1.0, GREY), (f"after, temperature {temperature:.2f}", temperature, BLUE)):
        confidence = softmax(logits, heat).max(1)
        index = np.minimum((confidence * BINS).astype(int), BINS - 1)
        filled = [b for b in range(BINS) if (index == b).sum() >= FEWEST]
        points = [(confidence[index == b].mean(), correct[index == b].mean()) for b in filled]
        top.plot(*zip(*points, strict=True), marker="o", markersize=4, color=color, label=label)
        bottom.stairs(np.bincount(index, minlength=BINS), np.linspace(0, 1, BINS + 1), color=color, fill=False)
    top.set(ylabel="share of right ones", title=f"{name}: {part} part, {len(labels)} images")
    top.legend(frameon=False)
    bottom.set(xlabel="probability of the predicted class", ylabel="images", yscale="symlog", xlim=(0, 1))
    save(figure, f"{name}.reliability.png")


def learning(name: str) -> None:
    """Draw val accuracy and loss by epoch, from the training's log."""
    file = RESULTS / "released" / f"{name}.log.csv"
    if not file.exists():
        raise SystemExit(f"there is no log of {name} in {file.parent}")
    rows = read_csv(file)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    epochs = [int(row["epoch"]) for row in rows]
    axes[0].plot(epochs, [100 * float(row["val_accuracy"]) for row in rows], marker=".", color=BLUE)
    axes[1].plot(epochs, [float(row["val_loss"]) for row in rows], marker=".", color=BLUE)
    for axis in axes:
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set(xlabel="epoch", ylabel="val accuracy, %, averaged weights")
    axes[1].set(xlabel="epoch", ylabel="val loss, averaged weights")
    figure.suptitle(name)
    save(figure, f"{name}.learning.png")


def wrong(name: str, images: ImageSet, canvases: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, out: Path) -> None:
    """Draw every wrongly classified image as the network sees it, the most confident mistakes first."""
    guess, sure = probabilities.argmax(1), probabilities.max(1)
    order = sorted(np.nonzero(guess != labels)[0], key=lambda index: -sure[index])
    down = max(1, -(-len(order) // ACROSS))
    figure, axes = plt.subplots(down, ACROSS, figsize=(ACROSS * 1.15, 1.9 * down), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, order, strict=False):
        axis.imshow(canvases[index], cmap="gray", vmin=0, vmax=255)
        names = f"{CHROMOSOMES[labels[index]]} taken for {CHROMOSOMES[guess[index]]}"
        axis.set_title(f"{names}\n{sure[index]:.2f}  {images.records[index].cell}", fontsize=6)
    figure.suptitle(f"{name}: {len(order)} of {len(labels)} images wrong")
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    print(out)


def save(figure: Any, file: str) -> None:
    """Save a figure in results/released."""
    figure.savefig(RESULTS / "released" / file, dpi=110)
    plt.close(figure)
    print(RESULTS / "released" / file)


def main() -> None:
    """Draw one figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["confusion", "reliability", "learning", "wrong"])
    parser.add_argument("name", help="a released name with its tag, or a folder of `train` for the sheet")
    parser.add_argument("--tag", default="", help="tag of the images, if the name has none")
    parser.add_argument("--data", type=Path, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--part", default="")
    parser.add_argument("--out", type=Path, default=Path("wrong.png"))
    options = parser.parse_args()
    if options.what == "learning":
        learning(options.name)
        return
    part = options.part or ("val" if options.what == "wrong" else "test")
    model = create(options.name)
    images = unseen(open_part(options.tag or tag_of(options.name), options.data, part), model)
    labels = label_indices(images.records, model.spec.labels, images.name)
    canvases = load_canvases(images, model.spec)
    logits = predict_logits(model, canvases)
    if options.what == "confusion":
        confusion(options.name, images, logits, labels, part)
    elif options.what == "reliability":
        reliability(options.name, logits, labels, model.info.calibration.temperature, part)
    else:
        probabilities = model.info.calibration.probabilities(logits)
        wrong(options.name, images, canvases, probabilities, labels, options.out)


if __name__ == "__main__":
    main()
