"""Straightening of synthetic chromosomes (docs/images/straighten.png): how close each method comes to one drawn straight.

    python -m benchmarks.classical.straighten

Writes results/classical/straighten.csv and .md: per method and bend, means over the 24 classes of the turn that is left, of
the density profile's correlation with that of the same chromosome drawn straight, and of the ratio of the two lengths.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.common.record import ROOT, write
from gricol_zoo.classical.axis import bend_of
from gricol_zoo.classical.profiles import measure
from gricol_zoo.classical.straighten import METHODS, straighten
from gricol_zoo.data.synthetic import Look, load_profiles, render

BENDS = (0.0, 45.0, 90.0, 135.0, 180.0)
SHOWN = ("1", "4", "9", "13", "17", "X")
SHOWN_BENDS = (60.0, -100.0, 140.0, -80.0, 120.0, -160.0)
ZOOM, GAP, LABELS = 2, 12, 130  # output pixels per pixel; pixels between chromosomes; pixels for the labels on the left
COLUMNS = {
    "method": ("method", ""),
    "bend": ("bend", "g"),
    "left": ("turn left", ".1f"),
    "correlation": ("correlation of density", ".3f"),
    "length": ("length / straight length", ".3f"),
    "classes": ("classes", "d"),
    "noise": ("noise", "g"),
    "seed": ("seed", "d"),
}
NOISE, SEED = 0.02, 0


def score(method: str, bend: float) -> dict[str, float]:
    """Return the means over the classes of one method at one bend, in degrees."""
    rng = np.random.default_rng(SEED)
    rows = []
    for profile in load_profiles().values():
        truth = measure(render(profile, Look(noise=NOISE), rng))
        found = measure(straighten(render(profile, Look(bend=bend, noise=NOISE), rng), method))
        alike = np.corrcoef(truth.density, found.density)[0, 1]
        rows.append((bend_of(found.axis), alike, found.length / truth.length))
    return dict(zip(("left", "correlation", "length"), np.mean(rows, axis=0).tolist(), strict=True))


def picture() -> Image.Image:
    """Return the page: chromosomes as they lie, then as each method straightens them, then drawn straight, one row each."""
    rng = np.random.default_rng(SEED)
    profiles = load_profiles()
    bent = [
        render(profiles[name], Look(bend=bend, tilt=15, noise=NOISE), rng)
        for name, bend in zip(SHOWN, SHOWN_BENDS, strict=True)
    ]
    lines = [bent, *([straighten(grey, method) for grey in bent] for method in METHODS)]
    lines.append([render(profiles[name], Look(noise=NOISE), rng) for name in SHOWN])
    widths = [max(line[i].shape[1] for line in lines) for i in range(len(SHOWN))]
    heights = [max(grey.shape[0] for grey in line) for line in lines]
    page = np.zeros((sum(heights) + GAP * (len(lines) + 1), sum(widths) + GAP * (len(SHOWN) + 1)))
    top = GAP
    for line, height in zip(lines, heights, strict=True):
        left = GAP
        for grey, width in zip(line, widths, strict=True):
            y, x = top + (height - grey.shape[0]) // 2, left + (width - grey.shape[1]) // 2
            page[y : y + grey.shape[0], x : x + grey.shape[1]] = grey
            left += width + GAP
        top += height + GAP
    image = Image.fromarray((255 - np.clip(page / 0.6, 0, 1) * 255).astype(np.uint8))
    image = image.resize((image.width * ZOOM, image.height * ZOOM), Image.Resampling.BICUBIC)
    sheet = Image.new("L", (image.width + LABELS, image.height), 255)
    sheet.paste(image, (LABELS, 0))
    pen = ImageDraw.Draw(sheet)
    middles = np.cumsum([GAP + height for height in heights]) - np.array(heights) / 2
    for words, middle in zip(("as it lies", *METHODS, "drawn straight"), middles, strict=True):
        pen.text((8, middle * ZOOM), words.replace("_", " "), fill=0, anchor="lm", font_size=15)
    return sheet


def main() -> None:
    """Draw the picture and write the table."""
    picture().save(ROOT / "docs" / "images" / "straighten.png", optimize=True)
    rows = [
        {"method": method, "bend": bend, **score(method, bend), "classes": len(load_profiles()), "noise": NOISE, "seed": SEED}
        for method, bend in product(METHODS, BENDS)
    ]
    write("classical/straighten", rows, COLUMNS)


if __name__ == "__main__":
    main()
