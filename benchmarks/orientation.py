"""How much a model depends on the way its crops lie: accuracy as they are, mirrored, and short arm down.

    python benchmarks/orientation.py --data qband.zip --split benchmarks/splits/qband.csv

Writes benchmarks/results/orientation.csv. On the val part by default: nothing of it is a released test figure.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import gricol_zoo
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.evaluate import predict_logits

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Score three orientations of the same canvases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", default="val")
    parser.add_argument("--model", default=gricol_zoo.DEFAULT_MODEL)
    options = parser.parse_args()
    images = apply_split(open_images(options.data), read_split(options.split))[options.part]
    model = gricol_zoo.create_model(options.model, pretrained=True, deployed=True)
    labels = label_indices(images.records, model.spec.labels, images.name)
    canvases = load_canvases(images, model.spec)
    turned = {"as they are": canvases, "mirrored": canvases[:, :, ::-1].copy(), "short arm down": canvases[:, ::-1].copy()}
    rows = []
    for orientation, array in turned.items():
        accuracy = float((predict_logits(model, array).argmax(1) == labels).mean())
        known = {"model": options.model, "weights_sha256": model.info["sha256"], "split": options.split.name}
        rows.append({**known, "part": options.part, "images": len(labels), "orientation": orientation, "accuracy": accuracy})
        print(f"{orientation:<16}{accuracy:.4f}")
    with (RESULTS / "orientation.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
