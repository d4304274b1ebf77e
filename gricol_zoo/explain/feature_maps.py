"""Maps of the features of several models side by side, as in Fig. 6 of the paper."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.explain.embed import NEIGHBOURS, Separation, classify_features, pooled_features, separation, tsne
from gricol_zoo.models.lower import LowerBranch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GOLDEN = 0.618034  # step on the hue circle from one class to the next, so that neighbouring classes differ clearly in colour
SHADES = ((0.85, 0.75), (0.95, 0.95), (0.75, 0.5))  # saturation and value, in turn
MARKERS = "o^sDv"
ACROSS = 3


@dataclass(frozen=True)
class FeatureMap:
    """The map of one model's features.

    Attributes:
        name: name of the model for the title.
        points: (n, 2), from ``tsne``.
        names: (n,) the class that gives each point its colour.
        predictions: (n,) the predicted classes.
        width: F, the number of features.
        of_features, of_map: the separation of the classes in the features and on the map; None without labels.
        neighbours: number of neighbours for the purity.
    """

    name: str
    points: np.ndarray
    names: Sequence[str]
    predictions: Sequence[str]
    width: int
    of_features: Separation | None = None
    of_map: Separation | None = None
    neighbours: int = 0

    def caption(self) -> str:
        """Return the scores, one line each; without labels, what the colours mean."""
        if self.of_features is None or self.of_map is None:
            return f"{len(self.points)} images, coloured by prediction"
        lines = []
        for what, found in (("features", self.of_features), ("map", self.of_map)):
            lines.append(f"{what}: silhouette {found.silhouette:.3f}, {self.neighbours}-NN purity {found.knn_purity:.3f}")
        return "\n".join(lines)

    def scores(self) -> dict[str, Any]:
        """Return the measures as a row of a table; without labels, only the numbers of images and features."""
        row: dict[str, Any] = {"model": self.name, "images": len(self.points), "features": self.width}
        if self.of_features is not None and self.of_map is not None:
            row |= {"silhouette": self.of_features.silhouette, "knn_purity": self.of_features.knn_purity}
            row |= {"map_silhouette": self.of_map.silhouette, "map_knn_purity": self.of_map.knn_purity}
            row["neighbours"] = self.neighbours
        return row


def map_features(
    model: LowerBranch, images: ImageSet, name: str = "", seed: int = 0, neighbours: int = NEIGHBOURS
) -> FeatureMap:
    """Map a model's features of a set, and measure how well they separate the classes.

    Args:
        model: a model with weights, in its full or deployed form.
        images: all labelled, or all unlabelled; without labels nothing is measured, and the colours show the predictions.
        name: name of the model for the title; "" takes its own.
        seed: of t-SNE.
        neighbours: number of neighbours for the k-NN purity.

    Raises:
        GricolZooError: there are too few images, a label is not a class of the model, or an image cannot be read.
    """
    labels = [record.label for record in images.records]
    if any(labels):
        label_indices(images.records, model.spec.labels, str(images.store.root))
    features = pooled_features(model, load_canvases(images, model.spec))
    predictions = [model.spec.labels[index] for index in classify_features(model, features)]
    of_features = separation(features, labels, neighbours) if any(labels) else None
    points = tsne(features, seed)
    of_map = separation(points, labels, neighbours) if any(labels) else None
    names = labels if any(labels) else predictions
    title = name or model.name
    return FeatureMap(title, points, names, predictions, features.shape[1], of_features, of_map, neighbours)


def class_style(index: int) -> tuple[tuple[float, float, float], str]:
    """Return the colour (red, green, blue in 0..1) and the marker of a class."""
    saturation, value = SHADES[index % len(SHADES)]
    return colorsys.hsv_to_rgb(index * GOLDEN % 1, saturation, value), MARKERS[index % len(MARKERS)]


def tsne_figure(maps: Sequence[FeatureMap], classes: Sequence[str], title: str = "") -> Figure:
    """Draw maps side by side, three per row, with the name of each class at the median of its points.

    Args:
        maps: one per model.
        classes: the names of all classes, in the order of the colours.
        title: title of the whole figure.

    Raises:
        GricolZooError: there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not maps:
        raise GricolZooError("Expected at least one map to draw, but got none.")
    across = min(ACROSS, len(maps))
    down = -(-len(maps) // across)
    figure = Figure(figsize=(5.0 * across, 5.6 * down + (0.4 if title else 0)), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).flat
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    for axis, one in zip(axes, maps, strict=False):
        _scatter(axis, one, classes)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _scatter(axis: Axes, one: FeatureMap, classes: Sequence[str]) -> None:
    from matplotlib.patheffects import withStroke

    names = np.asarray(one.names)
    outline = [withStroke(linewidth=2.5, foreground="white")]
    for index, name in enumerate(classes):
        points = one.points[names == name]
        if not len(points):
            continue
        colour, marker = class_style(index)
        axis.scatter(points[:, 0], points[:, 1], s=11, color=[colour], marker=marker, linewidths=0, alpha=0.8)
        x, y = np.median(points, axis=0)
        axis.text(x, y, name, ha="center", va="center", fontsize=9, fontweight="bold", path_effects=outline, zorder=3)
    axis.set_title(one.name, fontsize=10)
    axis.set_xlabel(one.caption(), fontsize=9)
    axis.set(xticks=[], yticks=[])
