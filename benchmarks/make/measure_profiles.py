"""Measure the class means of band profile, width and length on the train part of the Q-band set.

    python -m benchmarks.make.measure_profiles --data qband.zip --split benchmarks/splits/qband.csv \
        --out gricol_zoo/assets/profiles.json

Each train image that is nearly straight is turned upright; across each row of the chromosome the mean brightness and the
width are taken, resampled to 64 points from tip to tip. Within a class the profiles are turned to agree (short arm
first, as most of them lie), and the mean is written: 24 short rows of numbers, no image.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

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


def variants(rows: np.ndarray) -> np.ndarray:
    """Return each profile in every pose that alignment may choose: (n, poses, points), both ways up."""
    at = np.linspace(-1, 1, POINTS)
    poses = []
    for turn in (1, -1):
        for shift in np.linspace(-0.08, 0.08, 9):
            for stretch_by in (0.94, 0.97, 1.0, 1.03, 1.06):
                source = (turn * at * stretch_by + shift + 1) / 2 * (POINTS - 1)
                poses.append(np.stack([np.interp(source, np.arange(POINTS), row) for row in rows]))
    return np.stack(poses, 1)


def mean_profile(samples: list[tuple[np.ndarray, np.ndarray, float]]) -> dict[str, object]:
    """Return the class mean, after turning, shifting and stretching each sample to agree with the others.

    The mean of bands that do not quite meet is flatter than any of them, so its contrast along the axis is set to what the
    samples have on average.
    """
    bands = np.stack([sample[0] for sample in samples])
    widths = np.stack([sample[1] for sample in samples])
    band_poses, width_poses = variants(bands), variants(widths)
    mean, index = bands.mean(0), np.arange(len(samples))
    for _ in range(6):
        best = ((band_poses - mean) ** 2).sum(2).argmin(1)
        mean = band_poses[index, best].mean(0)
    inside = slice(POINTS // 10, -POINTS // 10)
    spread = band_poses[index, best][:, inside].std(1).mean()
    centre = mean[inside].mean()
    mean = np.clip(centre + (mean - centre) * spread / mean[inside].std(), 0, 1.1)
    return {
        "images": len(samples),
        "length": round(float(np.median([sample[2] for sample in samples])), 1),
        "bands": [round(float(x), 3) for x in mean],
        "widths": [round(float(x), 1) for x in np.median(width_poses[index, best], 0)],
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
    table: dict[str, Any] = {
        "source": f"class means over the train part of {options.split.name} of the BioImLab Q-band set; pixels are that set's",
        "classes": {name: mean_profile(values) for name, values in samples.items()},
    }
    rows = [f'  "{name}": {json.dumps(row)}' for name, row in table["classes"].items()]
    text = f'{{\n "source": {json.dumps(table["source"])},\n "classes": {{\n' + ",\n".join(rows) + "\n }\n}\n"
    options.out.write_text(text, encoding="utf-8")
    print({name: len(values) for name, values in samples.items()})


if __name__ == "__main__":
    main()
