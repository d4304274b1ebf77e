"""The size of a cell's pixels: worked out from whichever of its chromosomes are there, and passed on as a number."""

import csv
import json
import math
import statistics
import warnings

import numpy as np
import pytest
from helpers.crops import HOW
from helpers.synthetic import tiny_set, write_cell
from PIL import Image

from gricol_zoo import GricolZooError, ModelSpec, create_model
from gricol_zoo.cli import main
from gricol_zoo.data.arrays import image_factors, load_canvases, measure_lengths
from gricol_zoo.data.prepare import prepare_data
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.scale import (
    AS_IT_IS,
    LARGEST,
    MIN_CROPS,
    check_factor,
    factor_of,
    find_scales,
    groups_of,
    read_scale,
    typical_length,
)
from gricol_zoo.data.synthetic import load_profiles
from gricol_zoo.data.table import Record
from gricol_zoo.errors import QualityWarning
from gricol_zoo.inference.predict import predict_rows

PROFILES = {label: profile.length for label, profile in load_profiles().items()}
"""Lengths in pixels, measured on real images; the code under test does not contain them."""


def cell_of(seed, sex="M"):
    """The lengths of the 46 chromosomes of a cell in pixels, each with a random error of 4 %."""
    rng = np.random.default_rng(seed)
    labels = [label for label in PROFILES if label not in "XY" for _ in range(2)] + list("XX" if sex == "F" else "XY")
    return np.array([PROFILES[label] for label in labels]) * rng.normal(1, 0.04, 46)


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("none", "none"), ("2", 2.0), (".5", 0.5), ("16", 16.0)])
def test_what_a_scale_may_be(text, value):
    assert read_scale(text) == value


@pytest.mark.parametrize("text", ["0", "abc", "nan", "inf", "-1", "", "AUTO", "17", "0.06", "1e400", "1,5", "2x"])
def test_what_a_scale_may_not_be(text):
    with pytest.raises(GricolZooError, match=r"auto, none, or a number in 0\.0625\.\.16, but got"):
        read_scale(text)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, 17, 10**400, True, None, "2", [2.0]])
def test_a_factor_that_no_camera_has(value):
    with pytest.raises(GricolZooError, match="Expected the scale"):
        check_factor(value)
    assert check_factor(np.float32(2)) == 2.0


CHANGES = {
    "5 missing": (lambda lengths, rng: rng.permutation(lengths)[:41], 1.0),
    "5 longest missing": (lambda lengths, rng: np.sort(lengths)[:41], 0.75),
    "5 shortest missing": (lambda lengths, rng: np.sort(lengths)[5:], 1.0),
    "3 extra": (lambda lengths, rng: np.append(lengths, rng.choice(lengths, 3)), 1.0),
    "3 extra long ones": (lambda lengths, rng: np.append(lengths, np.sort(lengths)[-3:]), 1.0),
    "5 pieces of dirt": (lambda lengths, rng: np.append(lengths, rng.uniform(3, 300, 5)), 0.95),
    "25 crops": (lambda lengths, rng: rng.permutation(lengths)[:25], 0.85),
}
"""How a cell is changed, and the share of cells in which the factor must then stay within 5 %."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_missing_or_extra_does_not_change_the_factor(change):
    alter, share = CHANGES[change]
    errors, reference = [], statistics.median(cell_of(1000))
    for seed in range(40):
        whole = cell_of(seed, "FM"[seed % 2]) / 2  # a camera of half the resolution: a factor of about 2
        factor = factor_of(alter(whole, np.random.default_rng(seed)), reference)
        errors.append(abs(factor / factor_of(whole, reference) - 1))
    assert np.mean(np.array(errors) <= 0.05) >= share
    assert np.quantile(errors, 0.95) <= 0.1


def test_a_whole_cell_is_as_long_as_its_median():
    for seed in range(10):
        lengths = cell_of(seed)
        assert typical_length(lengths) == pytest.approx(statistics.median(lengths), rel=0.08)
    assert typical_length(np.tile(cell_of(0), 500)) == pytest.approx(typical_length(cell_of(0)), rel=0.02)  # 23,000 crops


@pytest.mark.parametrize("zoom", [0.3, 0.5, 1.5, 3.0])
def test_a_factor_undoes_the_camera(zoom):
    lengths = cell_of(5)
    assert factor_of(lengths * zoom, typical_length(lengths)) == round(1 / zoom, 4)


@pytest.mark.parametrize("ratio", [AS_IT_IS[0] + 0.01, 1.0, AS_IT_IS[1] - 0.01])
def test_cells_that_differ_by_themselves_are_left_alone(ratio):
    lengths = cell_of(5)
    assert factor_of(lengths * ratio, typical_length(lengths)) == 1.0


def test_what_could_not_be_measured_does_not_count():
    lengths = cell_of(5)[:MIN_CROPS] / 2
    expected = factor_of(lengths, 43.0)
    assert factor_of(np.append(lengths, [np.nan, 0.0, np.nan]), 43.0) == expected != 1
    assert factor_of(lengths[1:], 43.0) is None
    assert factor_of(np.append(lengths[1:], [0.0, np.nan]), 43.0) is None
    assert factor_of(np.zeros(0), 43.0) is None


@pytest.mark.parametrize(("length", "factor"), [(1e-9, LARGEST), (1e9, 1 / LARGEST), (1e300, 1 / LARGEST)])
def test_a_factor_has_bounds(length, factor):
    assert factor_of(np.full(30, length), 43.0) == factor


def records_of(*counts):
    """Records by (case, cell, how many)."""
    return [Record(f"{case}/{cell}/{n}.png", case=case, cell=cell) for case, cell, count in counts for n in range(count)]


def test_cells_then_cases_then_1():
    lengths, reference = cell_of(7), typical_length(cell_of(7))
    records = records_of(("p", "1", 46), ("p", "2", 10), ("q", "1", 12), ("r", "1", 12), ("r", "2", 12))
    found = find_scales(
        records, np.concatenate([lengths / 2, lengths[::5] / 2, lengths[::4] / 3, lengths[::2] / 4, [20.0]]), reference
    )
    assert found.factors[:46].tolist() == [2.0] * 46
    # The case's other cell is from the same camera, so its ten crops get the same factor.
    assert found.factors[46:56].tolist() == pytest.approx([2.0] * 10, rel=0.1)
    assert len(set(found.factors[46:56])) == 1
    assert found.factors[56:68].tolist() == [1.0] * 12
    assert found.factors[68:].tolist() == pytest.approx([4.0] * 24, rel=0.1)
    (note,) = found.notes
    assert note.startswith("q/1: scale taken as 1: too few crops")


def test_one_note_names_a_few_cells():
    found = find_scales(records_of(*(("", f"c{n}", 3) for n in range(9))), np.full(27, 40.0), 43.0)
    assert set(found.factors) == {1.0}
    (note,) = found.notes
    assert (
        note
        == "c0, c1, c2 and 6 more cells: scale taken as 1: too few crops to estimate it (needs at least 20 of one cell or case)"
    )


def test_weights_without_a_length_change_nothing():
    found = find_scales(records_of(("", "", 46)), cell_of(1) / 3, 0.0)
    assert set(found.factors) == {1.0}
    assert found.notes == ["scale not checked, 1 was used: these weights have no reference length"]


def test_groups_keep_their_order():
    assert groups_of(["b", "a", "b"]) == {"b": [0, 2], "a": [1]}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A cell from the usual camera, and the same cell at twice its resolution."""
    folder = tmp_path_factory.mktemp("scale")
    write_cell(folder / "usual", seed=100, sex="F")
    write_cell(folder / "fine", seed=100, sex="F", zoom=2.0)
    return folder


def test_files_of_another_camera_give_the_same_canvases(cells, measured):
    spec = create_model(f"local-dir:{measured}", pretrained=True, deployed=True).spec
    usual, fine = (open_images(cells / name) for name in ("usual", "fine"))
    factors = image_factors(spec.preprocess, fine, "auto")
    assert factors.tolist() == pytest.approx([0.5] * 46, rel=0.1)
    assert image_factors(spec.preprocess, usual, "auto").tolist() == [1.0] * 46
    assert image_factors(spec.preprocess, fine, "none") is None
    assert image_factors(spec.preprocess, fine, 0.25).tolist() == [0.25] * 46
    expected = load_canvases(usual, spec).astype(float)
    as_it_is, brought = (np.abs(load_canvases(fine, spec, by) - expected).mean() for by in (None, np.full(46, 0.5)))
    assert brought < 2 < 10 < as_it_is


def test_the_command_line_of_another_camera(cells, measured, tmp_path, capsys):
    def labels(folder, *more):
        out = tmp_path / "p.csv"
        arguments = ["predict", cells / folder, "--model", measured, "--out", out, "--dtype", "fp32", *more]
        assert main([str(one) for one in arguments]) == 0
        with out.open() as stream:
            return [row["prediction"] for row in csv.DictReader(stream)]

    usual, fine, brought = labels("usual"), labels("fine"), labels("fine", "--scale", "auto")
    assert "warning: scale" not in capsys.readouterr().err
    assert sum(a == b for a, b in zip(usual, brought, strict=True)) >= 44
    assert sum(a == b for a, b in zip(usual, fine, strict=True)) < 40
    assert labels("fine", "--scale", "0.5") == labels("fine", "--scale", ".50")


@pytest.mark.parametrize(("batch_size", "workers"), [(5, 1), (3, 3), (46, 1)])
def test_no_batch_has_a_say(cells, measured, batch_size, workers):
    model = create_model(f"local-dir:{measured}", pretrained=True, deployed=True)
    images = open_images(cells / "fine")
    factors = image_factors(model.spec.preprocess, images, "auto")
    rows = [row for rows in predict_rows(model, images, batch_size, "fp32", workers, factors) for row in rows]
    alone = [next(predict_rows(model, images.subset([n]), 1, "fp32", 1, factors[n : n + 1]))[0] for n in (0, 17, 45)]
    for n, row in zip((0, 17, 45), alone, strict=True):
        assert row["prediction"] == rows[n]["prediction"]
        assert float(row["probability"]) == pytest.approx(float(rows[n]["probability"]), abs=1e-3)


def test_too_few_crops_warn_once_and_broken_ones_do_not_count(cells, measured, tmp_path):
    how = create_model(f"local-dir:{measured}", pretrained=True, deployed=True).spec.preprocess
    images = open_images(cells / "fine").subset(range(25))
    for n in range(6):
        (tmp_path / f"{n}.png").write_bytes(b"no image")
    for n, record in enumerate(images.records[:19]):
        (tmp_path / f"good {n}.png").write_bytes(images.read(record))
    with pytest.warns(QualityWarning, match="too few crops to estimate it") as said:
        assert set(image_factors(how, open_images(tmp_path), "auto")) == {1.0}
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(image_factors(how, images, "auto")) != {1.0}
    assert np.isnan(measure_lengths(open_images(tmp_path), how)).sum() == 6


SPEC = ModelSpec("r18half", overview="none", image_size=(128, 96), cell_size=(64, 64), preprocess=HOW)


def test_a_training_on_scaled_crops_knows_it(tmp_path):
    images = open_images(tiny_set(tmp_path, cells=4))
    parts = {"train": images.subset(range(9)), "val": images.subset(range(9, 12))}
    plain, canvases = prepare_data(parts, SPEC, set())
    twice, scaled = prepare_data(parts, SPEC, set(), 2.0)
    assert twice.preprocess.length == pytest.approx(2 * plain.preprocess.length, abs=0.02)
    assert twice.preprocess.scale == pytest.approx(plain.preprocess.scale / 2, abs=0.01)  # so that all fit as before
    assert np.abs(scaled["train"].astype(float) - canvases["train"]).mean() < 1
    given, _ = prepare_data(parts, SPEC.replace(preprocess={"scale": 1.2, "length": 33.0}), {"scale", "length"}, 2.0)
    assert (given.preprocess.scale, given.preprocess.length) == (1.2, 33.0)


def test_a_training_by_cells_brings_them_together(tmp_path):
    for name, zoom in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
        write_cell(tmp_path / name, seed=100, zoom=zoom)
    images = open_images(tmp_path)
    by_cell = {name: images.subset(n for n, record in enumerate(images.records) if record.cell == name) for name in "abc"}
    parts = {"train": images, "val": by_cell["a"]}
    spec, canvases = prepare_data(parts, SPEC, set(), "auto")
    plain, _ = prepare_data({"train": by_cell["a"], "val": by_cell["a"]}, SPEC, set())
    assert spec.preprocess.scale == pytest.approx(plain.preprocess.scale, rel=0.1)
    a, c = canvases["train"][:46].astype(float), canvases["train"][92:].astype(float)
    assert np.abs(a - c).mean() < 4


def test_reports_say_the_scale(measured, tmp_path):
    data = tiny_set(tmp_path / "set", cells=2, classes=("1",))
    for given, kept in (("none", "none"), ("auto", "auto"), ("0.50", 0.5)):
        arguments = ["validate", "--data", data, "--model", measured, "--out", tmp_path / "r.json", "--scale", given]
        assert main([str(one) for one in arguments]) == 0
        report = json.loads((tmp_path / "r.json").read_text())
        assert (report["scale"], report["preparation"], report["ground"]) == (kept, 2, "auto")
        assert report["polarity_accuracy"] is None  # these weights have no polarity


def test_the_canvas_is_scaled_as_the_crop_would_be():
    rng = np.random.default_rng(0)
    crop = np.asarray(Image.fromarray((rng.random((6, 4)) * 255).astype(np.uint8)).resize((24, 60), Image.Resampling.BICUBIC))
    from gricol_zoo.data.preprocess import prepare

    crop = np.pad(crop, 10).astype(np.float32) / 255
    twice = np.kron(crop, np.ones((2, 2), np.float32))
    one, two = (prepare(grey, HOW, (128, 96), by) for grey, by in ((crop, 1.0), (twice, 0.5)))
    assert two.length == pytest.approx(2 * one.length, rel=0.05)
    assert np.abs(one.canvas.astype(float) - two.canvas).mean() < 3
