"""Draw docs/images/augment.png: what each field of ``Augment`` does to synthetic chromosomes, one row per field.

    python -m benchmarks.make.augment_pictures [--out docs/images/augment.png]

A row shows a canvas as preparation 2 makes it, and six changed by that field alone, at the strength that the label gives. Where
it shows the effect better, the strength is above that of the recipes, or the probability is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common.record import ROOT
from gricol_zoo.data.augment import Augment
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.synthetic import load_profiles, random_look, render
from gricol_zoo.spec import Preprocess

SIZE = (144, 72)  # of a canvas: height, width
NAME, COPIES = "3", 7  # the chromosome of every row: once as it is, and six times changed
HOW = Preprocess("upright", scale=1.6, pad_to=None, contrast="p99", version=2)
STRENGTHS = {
    "tilt": 15,
    "scale": 0.2,
    "stretch": 0.2,
    "shift": 0.05,
    "bend": 0.1,
    "arc": 120,
    "elastic": 0.04,
    "flip": 1,
    "flip_arms": 1,
    "contrast": 0.4,
    "gamma": 0.8,
    "brightness": 0.1,
    "blur": 1,
    "noise": 0.1,
    "overlap": 1,
    "erase": 1,
    "strong_bend": 1,
    "fit": 1,
    "rotation": 1,
    "specks": 1,
    "neighbour": 1,
    "blur_sd": 3,
    "grain": 0.15,
    "jpeg": 1,
    "background": 1,
}
WITH = {"fit": {"scale": 0.4}}  # a field that is seen only beside another
ENLARGED = ("blur", "rotation", "specks", "jpeg")  # drawn twice as large, as they change little
SEEDS = {"erase": 1, "strong_bend": 2, "fit": 3, "neighbour": 4, "blur_sd": 4}  # that show a field well; 0 for the others
LABEL, GAP = 110, 4  # pixels


def canvases() -> torch.Tensor:
    """Return a batch of one synthetic chromosome, (7, H, W) float 0..1."""
    rng = np.random.default_rng(1)
    drawn = to_canvas(render(load_profiles()[NAME], dataclasses.replace(random_look(rng), bend=25, tilt=0), rng), HOW, SIZE)
    return torch.from_numpy(drawn).float().expand(COPIES, -1, -1) / 255


def row(images: torch.Tensor, field: str) -> torch.Tensor:
    """Return the first image as it is, and the others changed by one field, (7, H, W)."""
    augment = Augment(**{field: STRENGTHS[field], **WITH.get(field, {})})
    changed = augment(images, torch.Generator().manual_seed(SEEDS.get(field, 0)))
    return torch.cat([images[:1], changed[1:]])


def sheet(fields: list[str], columns: int = 2) -> Image.Image:
    """Return a labelled picture with one row per field, in columns that are read downwards."""
    images = canvases()
    height, width = SIZE
    wide, lines = LABEL + COPIES * (width + GAP) + 4 * GAP, -(-len(fields) // columns)
    picture = Image.new("L", (columns * wide, lines * (height + GAP) + GAP), 40)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for index, field in enumerate(fields):
        left, top = index // lines * wide, GAP + index % lines * (height + GAP)
        others = "".join(f"\n{key} {value:g}" for key, value in WITH.get(field, {}).items())
        others += "\n(enlarged)" if field in ENLARGED else ""
        draw.text((left + GAP, top + 45), f"{field}\n{STRENGTHS[field]:g}{others}", 255, font)
        for place, image in enumerate(row(images, field)):
            levels = Image.fromarray((image.numpy() * 255).round().astype(np.uint8))
            if field in ENLARGED:
                box = (width / 4, height / 8, width * 3 / 4, height * 5 / 8)
                levels = levels.resize((width, height), Image.Resampling.NEAREST, box)
            picture.paste(levels, (left + LABEL + place * (width + GAP), top))
    return picture


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "augment.png")
    options = parser.parse_args()
    sheet([field.name for field in dataclasses.fields(Augment)]).quantize(32).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
