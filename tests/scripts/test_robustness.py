"""The robustness benchmark: its files can be read, its changes are what they say, and its counts are right."""

import sys

import numpy as np
import pytest
from helpers.synthetic import zip_folder
from PIL import Image

from benchmarks.common.sets import split_file
from benchmarks.released import robustness
from benchmarks.released.robustness_cells import Seen, arms_up, as_set, change, draw, read_cells, stays_up
from benchmarks.released.robustness_conditions import ALWAYS_WARNED, CELLS, IMAGES, NEIGHBOURS, TURNS
from benchmarks.released.robustness_page import page, summaries
from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.images import read_crop, read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import load_profiles, random_look, render, render_cell
from gricol_zoo.spec import Preprocess

PROFILES = list(load_profiles().items())


def crop(index=0, light=False):
    rng = np.random.default_rng(index)
    value = np.clip(render(PROFILES[index % 24][1], random_look(rng), rng), 0, 1)
    value = np.pad(np.rint(255 * value).astype(np.uint8), 3)
    return 255 - value if light else value


def cell(first=0):
    return [(crop(first + i), PROFILES[(first + i) % 24][0]) for i in range(46)]


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("condition", IMAGES)
def test_a_condition_gives_a_readable_file_the_same_each_time(condition, light):
    image = crop(3, light)
    first, second = (IMAGES[condition](image, np.random.default_rng(5)) for _ in range(2))
    assert first == second
    found = find_chromosome(read_crop(first).grey)
    assert found.mask.sum() > 20


def test_untouched_is_the_crop():
    image = crop(1)
    assert np.array_equal(np.rint(read_crop(IMAGES["untouched"](image, np.random.default_rng(0))).grey * 255), image)


@pytest.mark.parametrize(("condition", "factor"), [("scale 0.5", 0.5), ("scale 2", 2), ("scale 3", 3)])
def test_a_scale_is_of_both_sides(condition, factor):
    image = crop(0)
    shape = read_crop(IMAGES[condition](image, np.random.default_rng(0))).grey.shape
    assert shape == tuple(round(side * factor) for side in image.shape)


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("condition", NEIGHBOURS)
def test_a_neighbours_end_is_beside_the_chromosome(condition, light):
    image, other = crop(0, light), crop(8, light)
    grey = read_grey(NEIGHBOURS[condition](image, other, np.random.default_rng(2)))
    ground = 1.0 if light else 0.0
    weight = np.abs(grey - ground).sum() / (np.abs(image / 255 - ground).sum())
    assert 1.02 < weight < 1.5
    assert (np.abs(grey - ground)[[0, -1]].max() > 0.2) or (np.abs(grey - ground)[:, [0, -1]].max() > 0.2)  # the edge cuts it


@pytest.mark.parametrize("condition", CELLS)
def test_a_cell_changes_as_it_says(condition):
    files = CELLS[condition](cell(), cell(50), np.random.default_rng(0))
    more = {
        "ten chromosomes missing": -10,
        "three of another cell": 3,
        "two cells in one heap": 46,
        "two chromosomes that touch": -1,
        "two chromosomes in one crop": -1,
        "ten chromosomes in one crop": -9,
        "the same picture twice": 1,
    }
    assert len(files) == 46 + more.get(condition, 0)
    assert all(read_crop(data).grey.size for data, _ in files)
    odd = sum(not label for _, label in files)
    assert odd == (condition in ALWAYS_WARNED and condition != "two cells in one heap")


def test_draws_depend_on_condition_cell_and_place_alone():
    cells = {"a/1": cell()[:3], "b/1": cell(3)[:3]}
    noise = change("noise 5", "a/1", cells)
    assert noise == change("noise 5", "a/1", {"a/1": cells["a/1"]})
    assert noise != change("noise 10", "a/1", cells)
    assert draw("noise 5", "a/1", 0).random() != draw("noise 5", "a/1", 1).random()
    assert [label for _, label in noise] == [label for _, label in cells["a/1"]]


@pytest.mark.parametrize("angle", [5, 60, 100, 140, 180, 250, 300])
def test_which_end_comes_to_lie_up_is_what_the_canvas_shows(angle):
    how, size = Preprocess("upright", 1.0, None, "p99", version=2), (192, 96)
    image = crop(2)
    turned = Image.fromarray(image).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    before, after = (to_canvas(np.asarray(grey, np.float32) / 255, how, size).astype(float) for grey in (image, turned))
    same, upside_down = np.abs(after - before).sum(), np.abs(after[::-1, ::-1] - before).sum()
    data = IMAGES["untouched"](np.asarray(turned), np.random.default_rng(0))
    assert stays_up(image, data, angle) == (same < upside_down)


def test_a_half_turn_lays_every_short_arm_down():
    cells = {"a/1": cell()[:6]}
    assert set(TURNS) < set(IMAGES)
    for condition, expected in (("turned by 180", False), ("mirrored", True)):
        assert arms_up(condition, "a/1", cells, change(condition, "a/1", cells)) == [expected] * 6


def test_cells_are_spread_over_a_part():
    files = [(IMAGES["untouched"](crop(i), np.random.default_rng(0)), "1") for i in range(9)]
    images = as_set("c", files)
    images.records = [type(one)(one.path, "1", cell=str(i)) for i, one in enumerate(images.records)]
    assert list(read_cells(images, 3)) == ["/0", "/4", "/8"]
    assert len(read_cells(images, 99)) == 9


def seen(assigned, warned, odd=(), images=46):
    return Seen(images, 0.8, 0.85, assigned, 0.1, warned, 0.1, odd, False, 0.9, 1.0)


def test_losses_and_warnings_are_counted():
    was = [seen(0.98, False), seen(0.98, True), seen(0.96, False)]
    row = robustness.row_of("blur 3 px", [seen(0.80, True), seen(0.86, False), seen(0.95, True)], was)
    assert (row["lost"], row["lost_warned"], row["kept"], row["kept_warned"], row["warned"]) == (2, 1, 1, 1, 2)
    assert row["points"] == pytest.approx(-100 * (0.18 + 0.12 + 0.01) / 3, abs=0.01)
    assert row["least"] == 0.8
    odd = robustness.row_of("the same picture twice", [seen(0.98, True, (True,)), seen(0.98, False, (False,))], was[:2])
    assert (odd["lost"], odd["lost_warned"], odd["kept"], odd["odd_found"]) == (2, 1, 0, 0.5)


def test_rows_of_older_weights_leave_and_others_stay():
    row = {"name": "a", "weights_sha256": "1", "part": "val", "preparation": 2, "cells": 3, "seed": 0, "condition": "RGB"}
    rows = [
        {**row, "weights_sha256": "0"},
        row,
        {**row, "part": "test"},
        {**row, "name": "b"},
        {**row, "condition": "inverted"},
    ]
    new = {**row, "fresh": True}
    left = robustness.merged(rows, new)
    assert len(left) == 4
    assert {(one["name"], one["part"], one["condition"]) for one in left} == {
        ("a", "val", "RGB"),
        ("a", "test", "RGB"),
        ("b", "val", "RGB"),
        ("a", "val", "inverted"),
    }
    assert new in left
    assert row not in left


def synthetic_part(folder):
    """Two cells under names of the val part of the Q-band split, as qband.zip."""
    split = [row for row in read_csv(split_file("qband")) if row["part"] == "val"]
    rows = []
    for seed, row in enumerate(split[:2]):
        for i, (label, copy, grey) in enumerate(render_cell(seed=seed, sex="F")[::4]):
            path = f"images/{seed}_{i}.png"
            (folder / "set" / "images").mkdir(parents=True, exist_ok=True)
            Image.fromarray((grey * 255).astype(np.uint8)).save(folder / "set" / path)
            rows.append(f"{path},{label},{row['case']},{row['cell']},{copy}")
    (folder / "set" / "manifest.csv").write_text("\n".join(["path,label,case,cell,copy", *rows]))
    zip_folder(folder / "set", folder / "qband.zip")


def test_the_script_measures_what_is_not_there_yet(tmp_path, monkeypatch):
    synthetic_part(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    command = f"robustness.py r18half_128.qband --data {tmp_path} --part val --preparation 2 --out {out} --only".split()
    monkeypatch.setattr(sys, "argv", [*command, "untouched", "turned by 180", "the same picture twice"])
    robustness.main()
    rows = read_csv(out / "robustness.csv")
    assert [row["condition"] for row in rows] == ["untouched", "turned by 180", "the same picture twice"]
    assert all((row["cells"], row["preparation"], row["part"]) == ("2", "2", "val") for row in rows)
    assert rows[2]["lost_warned"] == rows[2]["lost"] == "2"
    assert float(rows[0]["points"]) == 0
    assert "| r18half_128.qband | 2 | turned by 180 | 2 |" in (out / "robustness.md").read_text()
    assert (out / "robustness.png").stat().st_size > 1000
    monkeypatch.setattr(robustness, "look", None)  # nothing is measured again
    robustness.main()
    assert read_csv(out / "robustness.csv") == rows
    (line,) = summaries(robustness.read_rows(out / "robustness.csv"))
    assert (line["conditions"], line["odd"], line["odd_warned"]) == (1, 2, 2)
    assert page([], []).count("\n") > 5
