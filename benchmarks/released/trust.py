"""Can the probability be trusted? Calibration, the review flag, and inputs that are not a chromosome or are of another band.

    python -m benchmarks.released.trust --data FOLDER                     # all released weights, test part

Temperature and review threshold were fitted on the val part when the weights were made; nothing is fitted here. Writes
results/released/trust.csv (one row per set of weights) and results/released/trust_outliers.csv (one row per set of weights and
kind of input).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.common.record import kept, write
from benchmarks.common.sets import FILES, open_part, tag_of
from benchmarks.common.weights import create, released, unseen
from gricol_zoo.data.arrays import label_indices, load_canvases
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.outliers import OUTLIERS
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.table import ImageSet
from gricol_zoo.inference.calibration import expected_calibration_error, softmax
from gricol_zoo.inference.logits import predict_logits

SEED = 0
TRUST = {
    "name": ("model", "s"),
    "images": ("images", "d"),
    "accuracy": ("accuracy", ".4f"),
    "ece_before": ("ECE before", ".4f"),
    "ece_after": ("ECE after", ".4f"),
    "temperature": ("temperature", ".3f"),
    "review_threshold": ("review below", ".4f"),
    "coverage": ("not reviewed", ".4f"),
    "error_accepted": ("error there", ".4f"),
    "error_reviewed": ("error among the reviewed", ".4f"),
}
OUTLIER = {
    "name": ("model", "s"),
    "input": ("input", "s"),
    "images": ("images", "d"),
    "auroc": ("AUROC", ".4f"),
    "false_accepts": ("accepted at 95 % coverage", ".4f"),
    "not_reviewed": ("not marked for review", ".4f"),
}


def outliers(images: ImageSet, model: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each kind of input that is not a single chromosome, with one canvas per image of the part."""
    crops = [read_grey(images.read(record)) for record in images.records]
    for kind, make in OUTLIERS.items():
        rng = np.random.default_rng(SEED)
        made = (make(crop, crops[int(rng.integers(len(crops)))], rng) for crop in crops)
        yield kind, np.stack([to_canvas(grey, model.spec.preprocess, model.spec.image_size) for grey in made])


def main() -> None:
    """Measure the named weights and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    parser.add_argument("--part", default="test", choices=["val", "test"])
    parser.add_argument("names", nargs="*", help="default: all released weights")
    options = parser.parse_args()
    names = options.names or released()
    trust, strange = kept("released/trust", names), kept("released/trust_outliers", names)
    for name in names:
        tag, model = tag_of(name), create(name)
        images = unseen(open_part(tag, options.data, options.part), model)
        labels = label_indices(images.records, model.spec.labels, images.name)
        logits = predict_logits(model, load_canvases(images, model.spec))
        temperature, threshold = model.info.calibration.temperature, model.info.calibration.threshold
        confidence, correct = softmax(logits, temperature).max(1), logits.argmax(1) == labels
        known = {"name": name, "part": options.part, "weights_sha256": model.info.sha256}
        accepted = confidence >= threshold
        trust.append(
            {
                **known,
                "images": len(labels),
                "accuracy": float(correct.mean()),
                "ece_before": expected_calibration_error(softmax(logits).max(1), correct),
                "ece_after": expected_calibration_error(confidence, correct),
                "temperature": temperature,
                "review_threshold": threshold,
                "coverage": float(accepted.mean()),
                "error_accepted": float(1 - correct[accepted].mean()) if accepted.any() else 0.0,
                "error_reviewed": float(1 - correct[~accepted].mean()) if (~accepted).any() else 0.0,
            }
        )
        other = next(key for key in FILES if key != tag)
        foreign = load_canvases(open_part(other, options.data, options.part), model.spec)
        cut = np.quantile(confidence, 0.05)
        for kind, canvases in [*outliers(images, model), (f"another band ({other})", foreign)]:
            doubt = softmax(predict_logits(model, canvases), temperature).max(1)
            truth = np.concatenate([np.ones(len(confidence)), np.zeros(len(doubt))])
            strange.append(
                {
                    **known,
                    "input": kind,
                    "images": len(doubt),
                    "seed": SEED,
                    "auroc": float(roc_auc_score(truth, np.concatenate([confidence, doubt]))),
                    "false_accepts": float((doubt >= cut).mean()),
                    "not_reviewed": float((doubt >= threshold).mean()),
                }
            )
            print(name, kind, f"{strange[-1]['auroc']:.4f} {strange[-1]['false_accepts']:.4f}", flush=True)
    write("released/trust", trust, TRUST)
    write("released/trust_outliers", strange, OUTLIER)


if __name__ == "__main__":
    main()
