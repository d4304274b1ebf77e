"""The bend benchmark: the warp against closed forms, its statistics against naive loops, its conclusion, and resuming."""

import math
import re
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT

from benchmarks.common import record
from benchmarks.paper import bend as bench
from benchmarks.paper import bend_numbers as numbers
from benchmarks.paper import bend_page as pages
from benchmarks.paper import bend_pictures as pictures
from gricol_zoo import GricolZooError
from gricol_zoo.classical.axis import bend_of, find_axis, length_of
from gricol_zoo.classical.bend import bend, fit_line, from_arc, onto_arc
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.errors import ImageError
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.models.presets import MODELS

RESULTS = ROOT / "benchmarks" / "results" / "paper"


LENGTH, WIDTH, MARGIN = 100, 12, 20


def bar():
    """An upright bar whose brightness grows downwards from 0.5 to 0.9."""
    image = np.zeros((LENGTH + 2 * MARGIN, WIDTH + 2 * MARGIN), np.float32)
    image[MARGIN:-MARGIN, MARGIN:-MARGIN] = np.linspace(0.5, 0.9, LENGTH)[:, None]
    return image


@pytest.mark.parametrize("side", [1, -1])
def test_a_bar_bent_by_90_degrees_is_a_quarter_of_a_ring(side):
    bent = bend(bar(), 90 * side)
    radius, half = LENGTH / (math.pi / 2), math.radians(45)
    # The ring's box: its ends reach farthest to the bent side, up and down; its middle reaches farthest to the other side.
    left, top = -(radius + WIDTH / 2), -(radius + WIDTH / 2) * math.sin(half)
    ys, xs = np.mgrid[: bent.shape[0], : bent.shape[1]].astype(float)
    xs = xs if side > 0 else bent.shape[1] - 1 - xs
    x, y = xs - MARGIN + left + 0.5, ys - MARGIN + top + 0.5
    turn, away = np.arctan2(y, -x), np.hypot(x, y) - radius
    ring = (np.abs(away) < WIDTH / 2) & (np.abs(turn) < half)
    assert ((bent > 0.25) != ring).sum() < 0.1 * ring.sum()
    inside = (np.abs(away) < WIDTH / 2 - 3) & (np.abs(turn) < half - 0.08)  # away from the edges, where a cubic rings
    np.testing.assert_allclose(bent[inside], 0.7 + 0.4 * (turn[inside] / (2 * half)), atol=0.02)
    axis = find_axis(find_mask(bent)[1])
    assert length_of(axis) == pytest.approx(LENGTH, rel=0.05)
    assert bend_of(axis) == pytest.approx(60, abs=6)  # chords of thirds: at most two thirds of an arc's turn


def test_no_bend_gives_the_crop_back_and_a_tiny_one_nearly_does():
    grey = render(load_profiles()["5"], Look(tilt=20, noise=0.02), np.random.default_rng(0))
    np.testing.assert_array_equal(bend(grey, 0), grey)
    np.testing.assert_allclose(bend(grey, 0.01), grey, atol=0.01)


@pytest.mark.parametrize("tilt", [0, 30])
@pytest.mark.parametrize("angle", [60, -120, 180])
def test_bending_what_is_drawn_straight_is_drawing_it_bent(angle, tilt):
    profile, rng = load_profiles()["2"], np.random.default_rng(0)
    straight = render(profile, Look(tilt=tilt), rng)
    # The tips fade, so a mask is slightly shorter than the drawing: the degrees per pixel agree, not the total turn.
    fades = fit_line(find_axis(find_mask(straight)[1])).length / profile.length
    assert 0.9 < fades <= 1.05
    bent, drawn = bend(straight, angle * fades), render(profile, Look(bend=angle, tilt=tilt), rng)
    assert bend_of(find_axis(find_mask(bent)[1])) == pytest.approx(bend_of(find_axis(find_mask(drawn)[1])), abs=4)
    bent, drawn = boxed(bent), boxed(drawn)
    likeness = [
        np.corrcoef(bent.ravel(), np.roll(drawn, (dy, dx), (0, 1)).ravel())[0, 1] for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    ]
    assert max(likeness) > 0.97


def boxed(grey):
    """The chromosome's own box in the middle of 120 x 120 pixels."""
    ys, xs = np.nonzero(find_mask(grey)[1])
    box = grey[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    top, left = (120 - box.shape[0]) // 2, (120 - box.shape[1]) // 2
    page = np.zeros((120, 120))
    page[top : top + box.shape[0], left : left + box.shape[1]] = box
    return page


def test_the_way_onto_the_arc_and_back_is_the_identity():
    rng = np.random.default_rng(0)
    across, along = rng.uniform(-8, 8, 200), rng.uniform(-50, 50, 200)
    for curvature in (0.03, -0.03, 1e-4):
        there = onto_arc(across, along, curvature)
        np.testing.assert_allclose(from_arc(*there, curvature), (across, along), atol=1e-7)
    # A quarter of a circle: its ends are 45 degrees off its middle, and the directions there differ by 90 degrees.
    ends = np.array([-50.0, -49.99, 49.99, 50.0])
    x, y = onto_arc(np.zeros(4), ends, math.pi / 200)
    radius = 200 / math.pi
    np.testing.assert_allclose((x[[0, 3]], y[[0, 3]]), [[radius * (1 - 0.5**0.5)] * 2, [-radius * 0.5**0.5, radius * 0.5**0.5]])
    first, last = math.atan2(x[1] - x[0], y[1] - y[0]), math.atan2(x[3] - x[2], y[3] - y[2])
    assert math.degrees(last - first) == pytest.approx(90, abs=0.1)


def test_too_much_and_nothing_to_bend_are_refused():
    with pytest.raises(GricolZooError, match="300 degrees"):
        bend(bar(), 301)
    with pytest.raises(ImageError):
        bend(np.zeros((20, 20), np.float32), 30)


def test_bins_are_those_of_a_loop_and_lose_nobody():
    edges = [7.0, 14.0, 32.0]
    bends = [0.0, 6.99, 7.0, 13.5, 14.0, 31.0, 32.0, 180.0, None]
    naive = [next((i for i, edge in enumerate(edges) if v < edge), 3) if v is not None else 4 for v in bends]
    assert pictures.bin_of(bends, edges).tolist() == naive
    measured = {str(i): float(i) for i in range(101)} | {"x": None}
    assert pictures.edges_of(measured) == [50.0, 75.0, 90.0, 95.0]


def three_levels(rng, n=60, cells=6):
    """Hits of n chromosomes, each shown twice at each of three levels, or each at one level only."""
    names = [f"c{index % cells}" for index in range(n)]
    who, level = np.repeat(np.arange(n), 6), np.tile([0, 0, 1, 1, 2, 2], n)
    return names, who, level, rng.random(6 * n) < 0.7


def test_the_paired_loss_is_that_of_a_naive_loop():
    names, who, level, right = three_levels(np.random.default_rng(0))
    other = np.random.default_rng(1).random(len(right)) < 0.8
    grid, control = (numbers.outcome_of(["0", "90", "180"], names, who, level, hits) for hits in (right, other))
    values = []
    for chromosome in range(60):
        lost = []
        for hits in (right, other):
            straight = [hits[i] for i in range(len(hits)) if who[i] == chromosome and level[i] == 0]
            bent = [hits[i] for i in range(len(hits)) if who[i] == chromosome and level[i] > 0]
            lost.append(sum(straight) / 2 - sum(bent) / 4)
        values.append(lost[0] - lost[1])
    found = numbers.loss(grid, numbers.BENT, control)
    assert found.mean == pytest.approx(sum(values) / 60)
    assert (found.low, found.high) == numbers.bootstrap_mean(np.array(values), names)
    assert numbers.loss(grid, "90").mean == pytest.approx(right[level == 0].mean() - right[level == 1].mean())
    assert grid.count("180") == (120, right[level == 2].sum())


def test_bins_of_different_images_are_compared_as_two_means_drawn_by_cell():
    rng = np.random.default_rng(2)
    cells = [f"c{index % 30}" for index in range(600)]
    level = rng.choice(2, 600, p=[0.8, 0.2])
    grid, control = (rng.random(600) < share for share in (0.9, 0.8))
    levels = ["0-10", "10+"]
    outcomes = [numbers.outcome_of(levels, cells, np.arange(600), level, hits) for hits in (grid, control)]
    found = numbers.loss(outcomes[0], "10+", outcomes[1])
    gap = grid.astype(float) - control
    assert found.mean == pytest.approx(gap[level == 0].mean() - gap[level == 1].mean())
    of = np.array([int(cell[1:]) for cell in cells])
    drawn = []
    for _ in range(1000):
        rows = np.concatenate([np.nonzero(of == cell)[0] for cell in rng.integers(0, 30, 30)])
        drawn.append(gap[rows][level[rows] == 0].mean() - gap[rows][level[rows] == 1].mean())
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))


def test_what_cannot_be_measured_stays_out_of_the_loss_and_in_the_table():
    levels = ["0-10", "10-20", "20+", numbers.UNMEASURED]
    outcome = numbers.outcome_of(levels, ["a", "a", "b", "b"], np.arange(4), np.array([0, 1, 0, 3]), np.array([1, 0, 1, 1]))
    rows = {row["level"]: row for row in numbers.rows_of(outcome, None, {"part": "real"})}
    assert rows[numbers.BENT]["images"] == 1
    assert rows[numbers.BENT]["loss"] == 1
    assert (rows[numbers.UNMEASURED]["images"], rows[numbers.UNMEASURED]["accuracy"]) == (1, 1)
    assert "loss" not in rows[numbers.UNMEASURED]
    assert rows["20+"]["accuracy"] == ""
    assert sum(row["images"] for level, row in rows.items() if level != numbers.BENT) == 4


def test_wilsons_interval_is_scipys():
    from scipy.stats import binomtest

    for right, count in ((0, 9), (9, 9), (7, 23)):
        expected = binomtest(right, count).proportion_ci(method="wilson")
        assert numbers.wilson(right, count)[1:] == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_sentence_follows_from_the_intervals():
    better, same, worse = (numbers.Estimate(m / 100, (m - 1) / 100, (m + 1) / 100) for m in (-2, 0.5, 3))
    assert numbers.conclusion({"synthetic": better, "warped": better}) == (
        "Gridding weakens the effect of bending [synthetic -2.0 (-3.0 to -1.0), warped -2.0 (-3.0 to -1.0)]."
    )
    assert numbers.conclusion({"synthetic": same, "warped": worse, "real": same}) == (
        "Gridding makes no measurable difference to the effect of bending [synthetic +0.5 (-0.5 to +1.5), "
        "real +0.5 (-0.5 to +1.5)]; it strengthens the effect of bending [warped +3.0 (+2.0 to +4.0)]."
    )
    assert numbers.verdict(numbers.Estimate(-0.1, math.nan, math.nan)) == "cannot be said to change"
    assert numbers.verdict(numbers.Estimate(0.5, -0.1, 1.1)) == "makes no measurable difference to"
    assert numbers.verdict(numbers.Estimate(-0.5, -1.5, 0.5)) == "makes no measurable difference to"
    assert numbers.verdict(numbers.Estimate(0.0, -0.1, 0.0)) == "makes no measurable difference to"


def fake(sha, cells=0, groups=(), arc=120.0):
    training = {"groups": list(groups), "recipe": {"augment": {"arc": arc, "bend": 0.0}, "seed": 0}}
    spec = MODELS.get("r18half_128")
    return SimpleNamespace(
        info=WeightsInfo({"sha256": sha, "training": training}), spec=spec, splitter=SimpleNamespace(num_cells=cells)
    )


def test_seeds_records_and_names_are_checked():
    one, other = {"0": fake("a")}, {"0": fake("b", arc=0.0)}
    assert bench.make_group("r", {"control": one, "gricol": one}).training == "with bends"
    assert bench.make_group("r", {"control": other, "gril": other}).training == "without bends"
    for models, message in (
        ({"gricol": one}, "Expected a control"),
        ({"control": one}, "Expected a control and"),
        ({"control": one, "gricol": other}, "all without"),
        ({"control": one, "gricol": {"1": fake("c")}}, "same seeds"),
        ({"control": one, "gricol": {"0": SimpleNamespace(info=WeightsInfo())}}, "which cells"),
    ):
        with pytest.raises(GricolZooError, match=message):
            bench.make_group("r", models)


def test_runs_are_named_by_system_and_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "create", lambda name, deployed: fake(Path(name).name))
    for name in ("control.0", "control.1", "gricol.0", "gricol.1"):
        (tmp_path / name).mkdir()
    group = bench.read_runs(tmp_path)
    assert [model.info.sha256 for model in group.each()] == ["control.0", "control.1", "gricol.0", "gricol.1"]
    (tmp_path / "grid.0").mkdir()
    with pytest.raises(GricolZooError, match=r"got 'grid\.0'"):
        bench.read_runs(tmp_path)


def test_only_unseen_cells_are_scored(chromosomes):
    images = open_images(chromosomes)
    kept = bench.unseen(images, [fake("a", groups=["c00", "c01"]), fake("b", groups=["c02", images.records[-1].path])])
    assert {record.cell for record in kept.records} == {f"c{cell:02d}" for cell in range(3, 10)}
    assert len(kept) == 7 * 3 - 1
    with pytest.raises(GricolZooError, match="every cell"):
        bench.unseen(images, [fake("a", groups=[f"c{cell:02d}" for cell in range(10)])])


def small_parts(chromosomes, monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "ANGLES", (0, 90))
    monkeypatch.setattr(pictures, "CELLS", 2)
    images = open_images(chromosomes)
    bends = pictures.measure(images, tmp_path)
    return pictures, images, bends


def test_each_part_shows_what_it_says(chromosomes, monkeypatch, tmp_path):
    pictures, images, bends = small_parts(chromosomes, monkeypatch, tmp_path)
    drawn = pictures.synthetic()
    greys = list(drawn.draw())
    assert (len(drawn.chromosomes), len(greys), drawn.levels) == (92, 184, ("0", "90"))
    turns = [bend_of(find_axis(find_mask(grey)[1])) for grey in greys[:20]]  # of 1 to 5, the longest
    assert max(turns[::2]) < 15
    assert min(turns[1::2]) > 30
    assert all(np.array_equal(a, b) for a, b in zip(greys, drawn.draw(), strict=True))
    straight = [path for path, value in bends.items() if value < 15]
    bent = pictures.warped(images, bends)
    assert [record.path for record in bent.chromosomes] == straight
    assert bent.level.tolist() == [0, 1, 1] * len(straight)
    a, b, c = list(bent.draw())[:3]
    np.testing.assert_array_equal(a, pictures.grey_of(images, bent.chromosomes[0]))
    assert b.shape == c.shape or abs(b.shape[1] - c.shape[1]) < 3
    with pytest.raises(GricolZooError, match="there are none"):
        pictures.warped(images, dict.fromkeys(bends, 90.0))


def test_an_image_that_cannot_be_measured_is_kept_and_named(chromosomes, monkeypatch, tmp_path):
    images = open_images(chromosomes).subset(range(4))
    calls = []

    def refuse_second(grey):
        calls.append(grey)
        if len(calls) == 2:
            raise ImageError("scattered")
        return find_mask(grey)

    monkeypatch.setattr(pictures, "find_mask", refuse_second)
    bends = pictures.measure(images, tmp_path)
    assert [value is None for value in bends.values()] == [False, True, False, False]
    assert pictures.measure(images, tmp_path) == bends
    assert len(calls) == 4  # the second time it was read
    shown = pictures.real(images, bends, [10.0])
    assert shown.levels == ("0-10", "10+", pictures.UNMEASURED)
    assert shown.level[1] == 2


def test_what_is_scored_is_not_scored_again(chromosomes, monkeypatch, tmp_path):
    pictures, images, bends = small_parts(chromosomes, monkeypatch, tmp_path)
    calls = []

    def predict(model, canvases, full):
        calls.append((model.info.sha256, full))
        return np.eye(24)[canvases.reshape(len(canvases), -1).astype(int).sum(1) % 24]

    monkeypatch.setattr(bench, "predict_logits", predict)
    group = bench.make_group(
        "runs", {"control": {"0": fake("a"), "1": fake("b")}, "gricol": {"0": fake("c", 9), "1": fake("d", 9)}}
    )
    part = pictures.real(images, bends, [10.0])
    first = bench.group_rows(group, part, "test", tmp_path / "work")
    assert calls == [("a", False), ("b", False), ("c", False), ("c", True), ("d", False), ("d", True)]
    kept = sorted((tmp_path / "work").iterdir())
    kept[2].unlink()
    assert bench.group_rows(group, part, "test", tmp_path / "work") == first
    assert len(calls) == 7
    fewer = pictures.real(images.subset(range(20)), bends, [10.0])
    bench.group_rows(group, fewer, "test", tmp_path / "work", lower=True)
    assert len(calls) == 11  # other pictures, only the lower branch
    mean = [row for row in first if row["seed"] == "mean" and row["system"] == "control" and row["level"] == "0-10"]
    each = [row["accuracy"] for row in first if row["system"] == "control" and row["level"] == "0-10" and row["seed"] != "mean"]
    assert mean[0]["accuracy"] == pytest.approx(sum(each) / 2)


def made_rows(numbers, parts=("synthetic", "warped", "real")):
    """Rows of three parts, two groups, the second with two seeds; the grid models lose less."""
    rng, rows = np.random.default_rng(0), []
    for group, part in ((group, part) for group in ("released", "runs") for part in parts):
        levels = ["0-10", "10+", numbers.UNMEASURED] if part == "real" else ["0", "90"]
        who, level = np.repeat(np.arange(90), 2), np.tile([0, 1], 90)
        cells = [f"c{index % 9}" for index in range(90)]
        known = {
            "part": part,
            "weights": group,
            "training": "with bends",
            "chromosomes": 90,
            "cells": 9,
            "images_of": "Q-band test",
        }
        share = 0.5 if part == "synthetic" else 0.95
        for system, kept in (("control", 0.1), ("gril", share), ("gricol", share)):
            outcomes = [
                numbers.outcome_of(levels, cells, who, level, rng.random(180) < np.where(level == 0, share, kept)) for _ in "ab"
            ]
            if system == "control":
                against = outcomes
            compared = system != "control"
            seeds = ["0"] if group == "released" else ["0", "1"]
            for outcome, control, seed in zip(outcomes, against, seeds, strict=False):
                about = {**known, "system": system, "inference": "lower", "seed": seed}
                rows += numbers.rows_of(outcome, control if compared else None, about)
            if group == "runs":
                about = {**known, "system": system, "inference": "lower", "seed": "mean"}
                control = numbers.mean_of(against) if compared else None
                rows += numbers.rows_of(numbers.mean_of(outcomes), control, about)
    return rows


@pytest.mark.slow
def test_the_page_says_what_the_rows_say(tmp_path):
    rows = made_rows(numbers)
    text = pages.page(rows, ["a note"])
    assert "**released weights, trained with bends, lower branch: Gridding weakens the effect of bending [" in text
    assert "**runs weights, trained with bends, lower branch: Gridding" in text
    assert "synthetic chromosomes are poorly told apart even unbent" in text
    assert "warped chromosomes are poorly" not in text
    assert "- a note" in text
    assert pages.shown(rows, weights="runs", system="gril", level=numbers.BENT, part="warped")[0]["seed"] == "mean"
    pages.draw(rows, tmp_path / "bend.png")
    assert (tmp_path / "bend.png").read_bytes()[:4] == b"\x89PNG"


def test_the_committed_page_is_that_of_the_committed_rows():
    rows = read_csv(RESULTS / "bend.csv")
    text = (RESULTS / "bend.md").read_text()
    for said in pages.conclusions(rows):
        assert f"**{said}**" in text
    assert {row["images_of"] for row in rows} == {"renderer", "Q-band test", "Q-band unseen"}
    assert not [row for row in rows if row["commit"].endswith("+")]
    for row in rows:
        if row["level"] == numbers.BENT and row["system"] != "control":
            more = numbers.Estimate(*(float(row[key]) for key in ("more", "more_low", "more_high")))
            assert row["verdict"] == numbers.verdict(more)
    released = [row for row in rows if (row["weights"], row["system"], row["level"]) == ("released", "gricol", numbers.BENT)]
    (verdict,) = {
        row["verdict"] for row in released if row["inference"] == "lower"
    }  # otherwise the docs must say which part says what
    docs = ROOT / "docs"
    assert f"gridding {verdict} the effect of bending" in " ".join((docs / "results" / "bend.md").read_text().split())
    decisions = " ".join((docs / "explanation" / "decisions" / "benchmarks.md").read_text().split())
    for row in released:
        more, low, high = (round(100 * float(row[key]), 1) + 0.0 for key in ("more", "more_low", "more_high"))
        assert re.search(re.escape(f"{more:+.1f}") + "( points)? " + re.escape(f"({low:+.1f} to {high:+.1f})"), decisions)
    angles = [
        float(level)
        for level in dict.fromkeys(row["level"] for row in rows if row["part"] == "warped")
        if level != numbers.BENT
    ]
    assert angles[0] == 0
    assert all(a < b for a, b in pairwise(angles))


def test_what_was_found_of_other_weights_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", "--data", str(tmp_path), "--only", "real", "--work", str(tmp_path / "work")])
    monkeypatch.setattr(bench, "measure", lambda images, work: {"a.png": 3.0})
    monkeypatch.setattr(bench, "open_part", lambda *_: None)
    monkeypatch.setattr(bench, "unseen", lambda images, models: images)
    monkeypatch.setattr(bench, "note_of", lambda group, images, bends: f"{group.name}: a new note")
    for name in ("edges_of", "real", "warped", "synthetic"):
        monkeypatch.setattr(bench, name, lambda *_: SimpleNamespace(part="real"))
    monkeypatch.setattr(bench, "read_released", lambda: bench.Group("released", "with bends", {}))
    rows = made_rows(numbers, ("real",))
    old = [{**row, "commit": "0000000"} for row in rows]
    record.write("paper/bend", old, bench.COLUMNS)
    record.write("paper/bend_notes", [{"weights": name, "note": "an old note"} for name in ("released", "runs")], {})
    monkeypatch.setattr(bench, "group_rows", lambda *_: [row for row in rows if row["weights"] == "released"])
    bench.main()
    found = {(row["weights"], row["commit"] == "0000000") for row in read_csv(tmp_path / "paper" / "bend.csv")}
    assert found == {("released", False), ("runs", True)}
    notes = [row["note"] for row in read_csv(tmp_path / "paper" / "bend_notes.csv")]
    assert notes == ["released: a new note", "an old note"]
    text = (tmp_path / "paper" / "bend.md").read_text()
    assert all(f"- {note}" in text for note in notes)
    assert (tmp_path / "paper" / "bend.png").exists()
