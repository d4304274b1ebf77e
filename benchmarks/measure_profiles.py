"""Measure the class means of band profile, width and length on the train part of the Q-band set.

    python benchmarks/measure_profiles.py --data qband.zip --split benchmarks/splits/qband.csv \
        --out gricol_zoo/assets/profiles.json

Each train image that is nearly straight is turned upright; across each row of the chromosome the mean brightness and the
width are taken, resampled to 64 points from tip to tip. Within a class the profiles are turned to agree (short arm
first, as most of them lie), and the mean is written: 24 short rows of numbers, no image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import foreground, measure_pose, stretch, upright
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.spec import CHROMOSOMES

POINTS = 64
CANVAS = (260, 120)


def measure(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Return (bands, widths, length) of one image, or None where it is too bent to be read row by row."""
    value = stretch(grey)
    pose = measure_pose(value)
    if pose is None or pose.width > 0.45 * pose.length + 8:
        return None
    canvas = upright(value, 1.0, CANVAS)
    mask = foreground(canvas)
    rows = np.nonzero(mask.any(1))[0]
    if len(rows) < 8:
        return None
    top, bottom = rows[0], rows[-1] + 1
    widths = mask[top:bottom].sum(1).astype(float)
    middle = (mask[top:bottom] * np.arange(CANVAS[1])).sum(1) / np.maximum(widths, 1)
    core = np.abs(np.arange(CANVAS[1])[None] - middle[:, None]) <= np.maximum(widths[:, None] * 0.3, 1)
    bands = (canvas[top:bottom] * core).sum(1) / core.sum(1)
    at = np.linspace(0, len(bands) - 1, POINTS)
    index = np.arange(len(bands))
    return np.interp(at, index, bands), np.interp(at, index, widths), float(bottom - top)


def mean_profile(samples: list[tuple[np.ndarray, np.ndarray, float]]) -> dict[str, object]:
    """Return the class mean, after turning each sample the way that agrees with the others."""
    bands = np.stack([sample[0] for sample in samples])
    widths = np.stack([sample[1] for sample in samples])
    mean = bands.mean(0)
    for _ in range(5):
        flip = ((bands[:, ::-1] - mean) ** 2).sum(1) < ((bands - mean) ** 2).sum(1)
        mean = np.where(flip[:, None], bands[:, ::-1], bands).mean(0)
    bands = np.where(flip[:, None], bands[:, ::-1], bands)
    widths = np.where(flip[:, None], widths[:, ::-1], widths)
    return {
        "images": len(samples),
        "length": round(float(np.median([sample[2] for sample in samples])), 1),
        "bands": [round(float(x), 3) for x in bands.mean(0)],
        "widths": [round(float(x), 1) for x in np.median(widths, 0)],
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    images = apply_split(open_images(options.data), read_split(options.split))["train"]
    samples: dict[str, list[tuple[np.ndarray, np.ndarray, float]]] = {name: [] for name in CHROMOSOMES}
    for record in images.records:
        sample = measure(read_grey(images.read(record)))
        if sample is not None:
            samples[record.label].append(sample)
    table = {
        "source": f"class means over the train part of {options.split.name} of the BioImLab Q-band set; pixels are that set's",
        "classes": {name: mean_profile(values) for name, values in samples.items()},
    }
    lines = json.dumps(table, indent=1)
    options.out.write_text(lines + "\n", encoding="utf-8")
    print({name: len(values) for name, values in samples.items()})


if __name__ == "__main__":
    main()
