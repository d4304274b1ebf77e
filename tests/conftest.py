import csv
import os
import shutil
import zipfile

import numpy as np
import pytest
from hub_server import ENVIRONMENT, LOCAL_HUB
from PIL import Image

os.environ.update(ENVIRONMENT)  # before huggingface_hub is first imported
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:  # tests side by side, and what they start, get a core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is

import torch

from gricol_zoo.data.synthetic import Look, load_profiles, render, render_cell

torch.set_num_threads(min(2, torch.get_num_threads()))

SMALL = {"image_size": (96, 98), "cell_size": (48, 48)}
"""A size at which every model is quick; the same code as at 448x456, by proportion."""
OLD_MODEL = "gricol_r18half_n3_128.qband"
"""Packaged weights of preparation 1, that know neither the length of their training images nor what these were like."""


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty local Hub, with an empty cache and no wait between attempts."""
    import huggingface_hub.constants

    import gricol_zoo.weights.hub.repo

    LOCAL_HUB.forget()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf_cache"))
    monkeypatch.setattr(gricol_zoo.weights.hub.repo, "WAIT", 0)
    yield LOCAL_HUB
    LOCAL_HUB.forget()


@pytest.fixture(scope="session", autouse=True)
def _no_cache_left():
    yield
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


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
    """Write a synthetic cell of 46 as PNG files whose names say nothing of their class; return the true classes.

    ``zoom`` is how many pixels its camera has where the usual one has one.
    """
    folder.mkdir(parents=True)
    cell = render_cell(seed, sex)
    order = np.random.default_rng(seed).permutation(len(cell))
    for place, index in enumerate(order):
        image = Image.fromarray((cell[index][2] * 255).astype(np.uint8))
        size = tuple(round(side * zoom) for side in image.size)
        image.resize(size, Image.Resampling.BICUBIC).save(folder / f"crop {place:02d}.png")
    return [cell[index][0] for index in order]


@pytest.fixture(scope="session")
def measured(tmp_path_factory):
    """A folder with packaged weights, prepared by preparation 2, that know the size and the looks of synthetic cells."""
    from gricol_zoo import create_model
    from gricol_zoo.data.preprocess import prepare
    from gricol_zoo.data.quality import fit_reference, measure

    model = create_model(OLD_MODEL, pretrained=True)
    model.spec = model.spec.replace(preprocess={"version": 2})
    greys = {seed: [grey for _, _, grey in render_cell(seed, sex)] for seed, sex in ((100, "F"), (101, "M"))}
    prepared = [prepare(grey, model.spec.preprocess, model.spec.image_size) for cell in greys.values() for grey in cell]
    length = float(np.median([one.length for one in prepared]))
    model.spec = model.spec.replace(preprocess={"length": length})
    cells = [str(seed) for seed, cell in greys.items() for _ in cell]
    measures = [measure(one, length) for one in prepared]
    reference = fit_reference(measures, cells, np.zeros(len(cells), bool), [one.light for one in prepared])
    model.info["reference"] = reference.to_dict()
    folder = tmp_path_factory.mktemp("measured") / "weights"
    model.save_pretrained(folder)
    return folder


def zip_folder(folder, file):
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return file


@pytest.fixture(scope="session")
def chromosomes(tmp_path_factory):
    """A folder of 30 synthetic chromosomes: 10 cells of 3 classes, with a manifest."""
    return tiny_set(tmp_path_factory.mktemp("chromosomes"))
