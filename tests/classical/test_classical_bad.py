"""Images that do not show a single chromosome: one typed error each, which never stops a run over other images."""

import json

import numpy as np
import pytest
from helpers.synthetic import tiny_set
from PIL import Image

from gricol_zoo.classical.mask import find_mask
from gricol_zoo.classical.measuring import measure_images
from gricol_zoo.classical.model import fit
from gricol_zoo.classical.profiles import measure
from gricol_zoo.classical.saving import load, save
from gricol_zoo.classical.straighten import METHODS, straighten
from gricol_zoo.classical.system import Settings
from gricol_zoo.cli import main
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.errors import GricolZooError, ImageError


def draw(name):
    return render(load_profiles()[name], Look(noise=0.02), np.random.default_rng(0))


def ring(inner, outer):
    y, x = np.indices((70, 70)) - 35
    return np.where((np.hypot(x, y) > inner) & (np.hypot(x, y) < outer), 0.7, 0.0)


def side_by_side(first, second, gap):
    height = max(len(first), len(second))
    parts = [np.pad(part, ((0, height - len(part)), (0, gap))) for part in (first, second)]
    return np.concatenate(parts, 1)


def filled():
    """A chromosome larger than its crop: only the corners are background."""
    grey = 0.7 + 0.05 * np.random.default_rng(0).random((40, 30))
    for rows in (slice(0, 6), slice(-6, None)):
        for columns in (slice(0, 6), slice(-6, None)):
            grey[rows, columns] = 0.02
    return grey


BAD = {
    "nothing": (0.3 + 0.02 * np.random.default_rng(0).random((60, 40)), "scattered"),
    "two": (side_by_side(draw("1"), draw("5"), 12), "two chromosomes"),
    "ring": (ring(18, 28), "ring"),
    "five pixels": (np.array([[0.1, 0.9, 0.2, 0.8, 0.1]]), "at least 3x3"),
    "filled": (filled(), "two chromosomes"),
}
WAYS = {"measure": measure, **{method: lambda grey, method=method: straighten(grey, method) for method in METHODS}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD)
def test_each_is_a_typed_error(name, way):
    grey, says = BAD[name]
    with pytest.raises(ImageError, match=says):
        WAYS[way](grey)


def test_what_only_looks_like_one_is_measured():
    """A chromosome torn at its centromere, one with a small hole, and one that touches all four borders of its crop."""
    y, x = np.indices((61, 21)) - np.array([30, 10])[:, None, None]
    tight = np.where((y / 30) ** 2 + (x / 10) ** 2 <= 1.01, 0.7, 0.0)
    mask = find_mask(tight)[1]
    assert all(side.any() for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    assert measure(tight).length == pytest.approx(61, abs=2)
    whole = draw("2")
    torn = whole.copy()
    torn[len(torn) // 2 - 1 : len(torn) // 2 + 1] = 0
    assert measure(torn).area < 0.7 * measure(whole).area  # its larger piece
    assert measure(ring(5, 28)).length > 40


@pytest.mark.parametrize("seed", range(3))
def test_any_blobs_are_measured_or_refused(seed):
    from scipy.ndimage import gaussian_filter

    rng, measured = np.random.default_rng(seed), 0
    for _ in range(8):
        noise = gaussian_filter(rng.standard_normal(rng.integers(5, 60, 2)), rng.uniform(0.5, 6))
        grey = np.clip((noise - noise.mean()) / max(np.ptp(noise), 1e-9), 0, 1)
        for way in WAYS.values():
            try:
                found = way(grey)
            except ImageError:
                continue
            measured += 1
            assert all(np.isfinite(values).all() for values in (found if isinstance(found, tuple) else [found]))
    assert measured


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A set of 20 images with the five bad ones among them."""
    folder = tiny_set(tmp_path_factory.mktemp("bad"), cells=10, classes=("1", "21"))
    for cell, (grey, _) in enumerate(BAD.values()):
        Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(folder / f"images/c{cell:02d}/21_a.png")
    return folder


SPOILT = [f"images/c{cell:02d}/21_a.png" for cell in range(len(BAD))]


def test_training_leaves_them_out_and_says_so(data):
    images = open_images(data)
    assert [images.records[index].path for index in measure_images(images).errors] == SPOILT
    with pytest.warns(UserWarning, match="5 of 20 images could not be measured: images/c00/21_a.png .*scattered") as caught:
        model = fit("poletti2012", images, settings=Settings(hidden=4, epochs=2))
    assert all(path in str(caught[0].message) for path in SPOILT)
    assert model.info["training"]["images"] == 15
    with pytest.warns(UserWarning, match="could not be measured"), pytest.raises(GricolZooError, match="at least one image"):
        fit("poletti2012", images.subset([index for index, r in enumerate(images.records) if r.path in SPOILT]))


def test_the_commands_go_on(data, tmp_path, capsys):
    out = str(tmp_path / "run")
    assert main(["train", "--data", str(data), "--model", "wang2009", "--out", out]) == 0
    error = capsys.readouterr().err
    assert sum(path in error for path in SPOILT) >= 3  # the others may be in the test part
    assert "They are excluded" in error
    assert main(["predict", str(data), "--model", out, "--out", str(tmp_path / "p.csv")]) == 0
    rows = {row["path"]: row for row in read_csv(tmp_path / "p.csv")}
    for path, (_, says) in zip(SPOILT, BAD.values(), strict=True):
        assert says in rows[path]["error"]
        assert rows[path]["prediction"] == ""
    good = [row for path, row in rows.items() if path not in SPOILT]
    assert len(good) == 15
    assert all(row["prediction"] == row["label"] and not row["error"] for row in good)
    assert main(["validate", "--data", str(data), "--model", out, "--out", str(tmp_path / "r.json")]) == 2  # as for a network
    assert SPOILT[0] in capsys.readouterr().err


def test_a_trained_one_keeps_its_val_accuracy(data, tmp_path):
    images = open_images(data)
    good = images.subset([index for index, record in enumerate(images.records) if record.path not in SPOILT])
    model = fit("poletti2012", good, val=good, settings=Settings(hidden=8, alpha=0.01))
    save(model, tmp_path)
    assert load(tmp_path).info["val"] == {"images": 15, "accuracy": 1.0}
    assert json.loads((tmp_path / "config.json").read_text())["gricol_zoo_classical"]["val"]["images"] == 15
