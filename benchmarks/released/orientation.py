"""How much a model depends on the orientation of its crops: accuracy as they are, mirrored, short arm down, turned by 180.

    python -m benchmarks.released.orientation --data FOLDER [NAME ...]

Writes results/released/orientation.csv. Angles are in degrees. Scored on the val part, the part that choices are based on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.common.record import kept, write
from benchmarks.common.sets import open_part, tag_of
from benchmarks.common.weights import create, released, unseen
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.inference.calibration import softmax
from gricol_zoo.inference.logits import predict_logits

COLUMNS = {"name": ("model", ""), "part": ("part", ""), "orientation": ("orientation", ""), "accuracy": ("accuracy", ".4f")}


def main() -> None:
    """Score several orientations of the same canvases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("names", nargs="*", help="default: all released weights")
    options = parser.parse_args()
    names = options.names or released()
    rows = kept("released/orientation", names)
    for name in names:
        model = create(name)
        images = unseen(open_part(tag_of(name), options.data, "val"), model)
        labels = label_indices(images.records, model.spec.labels, images.name)
        canvases = load_canvases(images, model.spec)
        turned = {"as they are": canvases, "mirrored": canvases[:, :, ::-1], "short arm down": canvases[:, ::-1]}
        turned["turned by 180 degrees"] = canvases[:, ::-1, ::-1]
        known = {"name": name, "weights_sha256": model.info.sha256, "part": "val", "images": len(labels)}
        logits = {orientation: predict_logits(model, array.copy()) for orientation, array in turned.items()}
        # The same for the images as they are and for those turned, since both have these two views.
        logits["mean of upright and turned"] = softmax(logits["as they are"]) + softmax(logits["turned by 180 degrees"])
        for orientation, found in logits.items():
            rows.append({**known, "orientation": orientation, "accuracy": float((found.argmax(1) == labels).mean())})
    write("released/orientation", rows, COLUMNS)


if __name__ == "__main__":
    main()
