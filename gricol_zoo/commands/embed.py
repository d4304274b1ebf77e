"""``gricol-zoo embed``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.common import (
    count_of,
    data_option,
    device_option,
    model_names,
    models_option,
    not_negative,
    part_options,
    positive,
    read_part,
)
from gricol_zoo.commands.networks import load_model
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.explain.feature_maps import FeatureMap

HELP = "map the features of models by t-SNE, and measure how well they separate the classes"
COLUMNS = {
    "model": ("model", ""),
    "images": ("images", ""),
    "features": ("features", ""),
    "silhouette": ("silhouette", ".4f"),
    "knn_purity": ("k-NN purity", ".4f"),
    "map_silhouette": ("silhouette, map", ".4f"),
    "map_knn_purity": ("k-NN purity, map", ".4f"),
    "neighbours": ("k", ""),
    "seed": ("seed", ""),
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    data_option(command)
    models_option(command)
    command.add_argument(
        "--out", type=Path, required=True, metavar="FIGURE", help="a .png, .svg or .pdf file; the points go next to it as .csv"
    )
    part_options(command, "val")
    command.add_argument("--limit", type=positive, metavar="N", help="use a random sample of N images (default: all)")
    command.add_argument("--seed", type=not_negative, default=0, help="seed of the map and of --limit (default: 0)")
    command.add_argument("--neighbours", type=positive, default=10, metavar="K", help="k of the k-NN purity (default: 10)")
    device_option(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.benchmark.rows import to_markdown
    from gricol_zoo.data.rows import to_csv
    from gricol_zoo.evaluation.seen import seen_in_training
    from gricol_zoo.explain.embed import check_enough
    from gricol_zoo.explain.feature_maps import map_features, tsne_figure
    from gricol_zoo.explain.figures import check_figure_file, save_figure
    from gricol_zoo.files import write_atomically

    check_figure_file(options.out)
    names = model_names(options)
    images, part, _ = read_part(options)
    images = _limited(images, options.limit, options.seed)
    check_enough(len(images), options.neighbours)
    classes: tuple[str, ...] = ()
    maps: list[FeatureMap] = []
    points, rows = [], []
    for name in names:
        model = load_model(name, options.device, deployed=True)
        classes = classes or model.spec.labels
        if model.spec.labels != classes:
            raise GricolZooError(f"Expected models with the same classes, but {name} and {names[0]} have different ones.")
        seen = int(seen_in_training(images, model.info, model.training_pixels).any().sum())
        if seen:
            known = count_of(seen, "image")
            print(f"{name} was trained on the cells of {known} in this set, so its scores are optimistic", file=sys.stderr)
        one = map_features(model, images, name, options.seed, options.neighbours)
        maps.append(one)
        points += _points(one, images)
        rows.append({**one.scores(), "seed": options.seed})
    title = f"{images.name} ({part}), {len(images)} images, t-SNE, seed {options.seed}"
    save_figure(tsne_figure(maps, classes, title), options.out)
    write_atomically(options.out.with_suffix(".csv"), to_csv(points).encode())
    print(to_markdown(rows, COLUMNS), end="")
    print(f"figure written to {options.out}, points to {options.out.with_suffix('.csv')}", file=sys.stderr)
    return 0


def _points(one: FeatureMap, images: ImageSet) -> list[dict[str, str]]:
    """Return the CSV rows of one model, one row per image."""
    return [
        {
            "model": one.name,
            "path": record.path,
            "label": record.label,
            "prediction": prediction,
            "x": f"{x:.4f}",
            "y": f"{y:.4f}",
        }
        for record, prediction, (x, y) in zip(images.records, one.predictions, one.points.tolist(), strict=True)
    ]


def _limited(images: ImageSet, limit: int | None, seed: int) -> ImageSet:
    import numpy as np

    if limit is None or limit >= len(images):
        return images
    return images.subset(sorted(np.random.default_rng(seed).choice(len(images), limit, replace=False).tolist()))
