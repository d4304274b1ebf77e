"""How much a model depends on the orientation of its crops: accuracy as they are, mirrored, short arm down, turned by 180.

    python -m benchmarks.released.orientation --data FOLDER [NAME ...] [--folds CROSSVAL]

Writes results/released/orientation.csv. Angles are in degrees. Scored on the val part, the part that choices are based on. With
``--folds`` also the networks of a finished `gricol-zoo crossval` of the Q-band set, each on the images that it has not seen;
rows that are not measured this time are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.folds import finished_folds, title_of_folds
from benchmarks.common.record import kept, write
from benchmarks.common.sets import open_part, open_set, tag_of
from benchmarks.common.weights import create, released, unseen
from gricol_zoo.data.arrays import arms_up, label_indices, load_canvases
from gricol_zoo.data.table import ImageSet
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.logits import predict_both

TURNED = "turned by 180 degrees"
COLUMNS = {
    "name": ("model", ""),
    "part": ("part", ""),
    "orientation": ("orientation", ""),
    "accuracy": ("accuracy", ".4f"),
}


def hits(model: Any, images: ImageSet) -> dict[str, np.ndarray]:
    """Return for each orientation which of the images, (n,) bool, a model classifies right.

    A model with polarity has one more entry, (2 * n,): where it tells the short arm's end, as the images are and turned by 180.
    """
    labels = label_indices(images.records, model.spec.labels, images.name)
    canvases = load_canvases(images, model.spec)
    views = {
        "as they are": canvases,
        "mirrored": canvases[:, :, ::-1],
        "short arm down": canvases[:, ::-1],
        TURNED: canvases[:, ::-1, ::-1],
    }
    found = {view: predict_both(model, np.ascontiguousarray(array)) for view, array in views.items()}
    logits = {view: classes for view, (classes, _) in found.items()}
    # The same for the images as they are and for those turned, since both have these two views.
    logits["mean of upright and turned"] = softmax(logits["as they are"]) + softmax(logits[TURNED])
    right = {view: each.argmax(1) == labels for view, each in logits.items()}
    up, turned = found["as they are"][1], found[TURNED][1]
    if up is not None and turned is not None:
        arms = arms_up(images.records)
        right["short arm's end told, as they are and turned"] = np.concatenate([(up > 0.5) == arms, (turned > 0.5) == ~arms])
    return right


def rows_of(known: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return a line per orientation."""
    each = {**known, "images": len(found["as they are"])}
    return [{**each, "orientation": view, "accuracy": float(right.mean())} for view, right in found.items()]


def main() -> None:
    """Score several orientations of the same canvases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("names", nargs="*", help="default: all released weights")
    parser.add_argument("--folds", type=Path, help="a finished crossval of the Q-band set, by cell")
    options = parser.parse_args()
    names = options.names or released()
    new = []
    for name in names:
        model = create(name)
        images = unseen(open_part(tag_of(name), options.data, "val"), model)
        new += rows_of({"name": name, "weights_sha256": model.info.sha256, "part": "val"}, hits(model, images))
    if options.folds:
        models = [
            (create(str(folder)), tested) for folder, tested in finished_folds(options.folds, open_set("qband", options.data))
        ]
        each = [hits(model, unseen(tested, model)) for model, tested in models]
        together = {view: np.concatenate([one[view] for one in each]) for view in each[0]}
        new += rows_of({"name": title_of_folds(options.folds, len(each)), "part": "out of fold"}, together)
    write("released/orientation", [*kept("released/orientation", {row["name"] for row in new}), *new], COLUMNS)


if __name__ == "__main__":
    main()
