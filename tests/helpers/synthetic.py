"""Folders and archives of synthetic chromosomes."""

import csv
import zipfile

import numpy as np
from PIL import Image

from gricol_zoo.data.synthetic import Look, load_profiles, render, render_cell


def tiny_set(folder, cells=10, classes=("1", "5", "21"), seed=0, copies="a"):
    """Write a small set of synthetic chromosomes with a manifest; return the folder."""
    rng = np.random.default_rng(seed)
    profiles = load_profiles()
    rows = []
    for cell in range(cells):
        for label in classes:
            for copy in copies:
                look = Look(bend=float(rng.uniform(-20, 20)), noise=0.02, gain=0.6)
                grey = render(profiles[label], look, rng)
                path = f"images/c{cell:02d}/{label}_{copy}.png"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((grey * 255).astype(np.uint8)).save(folder / path)
                sex = "FM"[cell % 2]
                rows.append(
                    {"path": path, "case": f"c{cell:02d}", "cell": f"c{cell:02d}", "sex": sex, "label": label, "copy": copy}
                )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_cell(folder, seed=3, sex="M", zoom=1.0):
    """Write a synthetic cell of 46 as PNG files whose names do not tell their class; return the true classes.

    ``zoom`` is the resolution of its camera relative to the usual one.
    """
    folder.mkdir(parents=True)
    cell = render_cell(seed, sex)
    order = np.random.default_rng(seed).permutation(len(cell))
    for place, index in enumerate(order):
        image = Image.fromarray((cell[index][2] * 255).astype(np.uint8))
        size = tuple(round(side * zoom) for side in image.size)
        image.resize(size, Image.Resampling.BICUBIC).save(folder / f"crop {place:02d}.png")
    return [cell[index][0] for index in order]


def zip_folder(folder, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return file
