"""Warnings: what is measured, what it is compared with, and which reason is given; and malformed references."""

import json
import math

import numpy as np
import pytest
from helpers.crops import HOW
from helpers.synthetic import tiny_set

from gricol_zoo import create_model
from gricol_zoo.data.preprocess import Prepared, prepare
from gricol_zoo.data.quality import (
    BAND,
    DOUBTFUL_CELL,
    FEATURES,
    MANY,
    ROOM,
    Measures,
    Reference,
    cell_warnings,
    fit_reference,
    image_warnings,
    is_reference,
    measure,
    same_pictures,
)
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.scale import MIN_CROPS
from gricol_zoo.data.synthetic import Look, blur, load_profiles, render, render_cell
from gricol_zoo.errors import ConfigError
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.weights.config import make_config, read_config

SIZE = (192, 96)
UNIT = 43.0  # reference length of the tests, in crop pixels


def chromosome(label="1", **look):
    return render(load_profiles()[label], Look(**look), np.random.default_rng(0))


def looked_at(grey, reference, scale=1.0, how=HOW):
    prepared = prepare(grey, how, SIZE, scale)
    return [one.text for one in image_warnings(prepared, measure(prepared, UNIT, scale), reference)]


@pytest.fixture(scope="module")
def val():
    """Two ordinary cells: measures, and the cell of each."""
    prepared = [prepare(grey, HOW, SIZE) for seed in (0, 1) for _, _, grey in render_cell(seed, "FM"[seed])]
    return [measure(one, UNIT) for one in prepared], [str(n // 46) for n in range(92)]


@pytest.fixture(scope="module")
def reference(val):
    return fit_reference(*val, np.zeros(92, bool), [False] * 92)


def test_measures_by_hand():
    canvas = np.zeros((7, 6), np.uint8)
    canvas[1:5, 2:4] = [[100, 200], [50, 200], [0, 100], [255, 255]]
    canvas[6, 0] = BAND  # as dark as ground
    inside = canvas[1:5, 2:4].astype(int)
    change = sum(abs(int(inside[y + 1, x]) - int(inside[y, x])) for y in range(3) for x in range(2))
    found = measure(Prepared(canvas, length=40.0, area=300), reference_length=20.0, scale=0.5)
    assert found.sharpness == pytest.approx(change / inside.sum())
    assert found.tone == pytest.approx(inside.sum() / (255 * 7))
    assert (found.length, found.area) == pytest.approx((1.0, 300 / 1600))
    assert measure(Prepared(canvas, length=40.0, area=300)).area == 300
    assert measure(Prepared(np.full((9, 9), BAND, np.uint8))) == Measures(0, 0, 0, 0)


@pytest.mark.parametrize(("gain", "zoom"), [(0.3, 1), (0.9, 1), (0.6, 2)])
def test_exposure_and_resolution_play_no_part(gain, zoom):
    plain, other = (
        measure(prepare(np.kron(chromosome("5", gain=by), np.ones((z, z), np.float32)), HOW, SIZE, 1 / z), UNIT, 1 / z)
        for by, z in ((0.6, 1), (gain, zoom))
    )
    assert other == pytest.approx(plain, rel=0.12)


def test_a_reference_is_the_ranges_of_what_it_was_made_from(val):
    measures, cells = val
    doubtful = np.arange(92) < 23
    found = fit_reference(measures, cells, doubtful, [n % 3 > 0 for n in range(92)])
    table = np.array(measures)
    for column, name in enumerate(FEATURES):
        assert found.image[name] == pytest.approx((min(table[:, column]), max(table[:, column])), abs=1e-5)
        medians = sorted(np.median(table[:46, column]) for table in (table, table[46:]))
        assert found.cell[name] == pytest.approx(medians, abs=1e-5)
    assert (found.doubtful, found.light, found.images) == (0.25, True, 92)
    assert fit_reference(measures, [""] * 92, doubtful, [True] * 92).cell == found.image  # no cells: as single images


def test_an_empty_crop_does_not_widen_the_ranges(val, reference):
    measures, cells = val
    empty = Measures(0, 0, 0, 0)
    found = fit_reference([*measures, empty], [*cells, "0"], np.zeros(93, bool), [False] * 93)
    assert (found.image, found.images) == (reference.image, 93)
    assert fit_reference([empty], [""], np.zeros(1, bool), [False]).image["area"] == (0, 0)


def test_what_was_written_is_read(reference):
    assert Reference.from_dict(json.loads(json.dumps(reference.to_dict()))) == reference
    assert is_reference(reference.to_dict())
    assert WeightsInfo().reference is None
    assert WeightsInfo({"reference": None}).reference is None


def test_weights_keep_their_reference(measured, tmp_path):
    model = create_model(f"local-dir:{measured}", pretrained=True)
    kept = model.info.reference
    assert kept is not None
    model.save_pretrained(tmp_path)
    again = create_model(f"local-dir:{tmp_path}", pretrained=True, deployed=True)
    assert again.info.reference == kept
    assert read_config(tmp_path / "config.json").info["reference"] == kept.to_dict() | {
        kind: {name: list(pair) for name, pair in getattr(kept, kind).items()} for kind in ("image", "cell")
    }


def pair_of(value):
    return lambda data: data["image"].update(area=value)


MALFORMED = {
    "null": None,
    "empty": {},
    "a list": [],
    "a text": "yes",
    "a feature missing": lambda data: data["image"].pop("area"),
    "no features": lambda data: data.update(cell={}),
    "an extra feature": lambda data: data["cell"].update(colour=[0, 1]),
    "a field missing": lambda data: data.pop("light"),
    "an extra field": lambda data: data.update(more=1),
    "cells as a list": lambda data: data.update(cell=[]),
    "a pair of three": pair_of([0, 1, 2]),
    "a pair of one": pair_of([1]),
    "a number for a pair": pair_of(1.0),
    "a text in a pair": pair_of(["0", 1]),
    "a bool in a pair": pair_of([False, True]),
    "null in a pair": pair_of([None, 1]),
    "low above high": pair_of([2, 1]),
    "NaN": pair_of([math.nan, 1]),
    "NaN above": pair_of([0, math.nan]),
    "infinite": pair_of([0, math.inf]),
    "huge": pair_of([0, 10**400]),
    "huge and negative": pair_of([-1e300, 1]),
    "below 0": pair_of([-0.1, 1]),
    "doubtful above 1": lambda data: data.update(doubtful=1.5),
    "doubtful below 0": lambda data: data.update(doubtful=-0.1),
    "doubtful NaN": lambda data: data.update(doubtful=math.nan),
    "doubtful a text": lambda data: data.update(doubtful="0.1"),
    "images below 0": lambda data: data.update(images=-1),
    "images a fraction": lambda data: data.update(images=1.5),
    "images huge": lambda data: data.update(images=10**400),
    "light a number": lambda data: data.update(light=1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_reference_is_refused(name, measured, tmp_path):
    config = json.loads((measured / "config.json").read_text())
    change = MALFORMED[name]
    if callable(change):
        change(config["gricol_zoo"]["reference"])
    else:
        config["gricol_zoo"]["reference"] = change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ConfigError, match=r"expected `reference` to be a mapping of \(low, high\) ranges measured on the val part"
    ):
        read_config(tmp_path / "config.json")
    model = create_model(f"local-dir:{measured}", pretrained=True)
    info = {**model.info, "reference": config["gricol_zoo"]["reference"]}
    with pytest.raises(ConfigError, match="expected `reference`"):
        make_config("x", model.spec, model.num_features, info, "0" * 64, 1)


@pytest.mark.parametrize("value", ["much", None, math.nan, 2, True, [0.1]])
def test_a_share_to_review_that_is_none_is_refused(value, measured, tmp_path):
    config = json.loads((measured / "config.json").read_text())
    config["gricol_zoo"]["val"]["review_fraction"] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="expected `val` to be a mapping whose `review_fraction`"):
        read_config(tmp_path / "config.json")


def beside(*greys):
    """Lay crops side by side with ground between."""
    height = max(len(grey) for grey in greys)
    return np.concatenate([np.pad(grey, ((0, height - len(grey)), (6, 6))) for grey in greys], 1)


def test_an_ordinary_image_has_no_warning(reference):
    said = [warning for _, _, grey in render_cell(7, "F") for warning in looked_at(grey, reference)]
    assert [warning for warning in said if "too large for the canvas" not in warning] == []
    assert looked_at(chromosome("5"), None) == []


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("count", "warning"),
    [
        (2, "several chromosomes in one crop: cut them apart"),
        (3, "several chromosomes in one crop: cut them apart"),
        (MANY + 1, "a whole metaphase in one crop: cut the chromosomes apart"),
        (12, "a whole metaphase in one crop: cut the chromosomes apart"),
    ],
)
def test_several_in_one_crop(count, warning, known, reference):
    assert warning in looked_at(beside(*[chromosome("8")] * count), reference if known else None)


@pytest.mark.parametrize("known", [True, False])
def test_nothing_there(known, reference):
    prepared = Prepared(np.zeros(SIZE, np.uint8))
    (said,) = image_warnings(prepared, measure(prepared, UNIT), reference if known else None)
    assert said == ("nothing stands out of the background", True)


def test_too_large_for_the_canvas(reference):
    said = looked_at(chromosome("1", scale=3.0), None)
    assert len(said) == 1
    assert said[0].startswith("too large for the canvas, shrunk to ")
    share = int(said[0].split()[-1].rstrip("%"))
    assert 100 * (SIZE[0] - 2) / (load_profiles()["1"].length * 3) == pytest.approx(share, abs=4)


@pytest.mark.parametrize(
    ("grey", "scale", "warning"),
    [
        (lambda: chromosome("1", scale=2.0), 1.0, "larger than any chromosome of the training: several that touch"),
        (lambda: chromosome("1"), 2.0, "larger than any chromosome of the training: several that touch"),
        (lambda: chromosome("21", scale=0.4), 1.0, "smaller than any chromosome of the training: a piece"),
        (lambda: chromosome("21"), 0.4, "smaller than any chromosome of the training: a piece"),
    ],
)
def test_unlike_the_training(grey, scale, warning, reference):
    assert any(said.startswith(warning) for said in looked_at(grey(), reference, scale))
    assert not any(said.startswith(warning) for said in looked_at(grey(), None, scale))  # nothing to compare with


@pytest.mark.parametrize(
    ("name", "side", "warning"),
    [("area", 1, "larger than"), ("area", 0, "smaller than"), ("sharpness", 0, "blurred: the")],
)
def test_a_range_is_widened_by_a_quarter(name, side, warning, reference):
    low, high = reference.image[name]
    prepared = prepare(chromosome("8"), HOW, SIZE)
    plain = measure(prepared, UNIT)
    for by, count in ((0.99, 0), (1.01, 1)):
        room = (high / low) ** (by * ROOM)
        said = image_warnings(prepared, plain._replace(**{name: high * room if side else low / room}), reference)
        assert [one.text.startswith(warning) for one in said] == [True] * count


def test_a_range_from_0(reference):
    import dataclasses

    flat = dataclasses.replace(reference, image={**reference.image, "area": (0.0, 0.4)})
    prepared = prepare(chromosome("8"), HOW, SIZE)
    plain = measure(prepared, UNIT)
    assert image_warnings(prepared, plain._replace(area=1e-9), flat) == []
    assert image_warnings(prepared, plain._replace(area=0.4 * (1 + ROOM) - 1e-9), flat) == []
    assert len(image_warnings(prepared, plain._replace(area=0.4 * (1 + ROOM) + 1e-9), flat)) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda grey: blur(np.pad(grey, 10), 3.0), "blurred"),
        (lambda grey: grey + (grey > 0.1) * np.random.default_rng(0).normal(0, 0.1, grey.shape), "grainy or sharpened"),
        (lambda grey: np.sqrt(grey), "darker"),
        (lambda grey: grey**2.5, "paler"),
        (lambda grey: 1 - grey, "another banding?"),
    ],
)
def test_cells_that_were_photographed_otherwise(change, reason, reference):
    prepared = [prepare(change(grey).astype(np.float32), HOW, SIZE) for _, _, grey in render_cell(7, "F")]
    (said,) = cell_warnings([measure(one, UNIT) for one in prepared], 0.4, reference, [one.light for one in prepared])
    assert reason in said


def around(reference, count=46, **changed):
    """Measures of a cell in the middle of the reference, except for those ``changed``, by multiples of their range's width."""
    middle = {name: sum(reference.cell[name]) / 2 for name in FEATURES}
    for name, by in changed.items():
        low, high = reference.cell[name]
        middle[name] += by * (high - low)
    return [Measures(**middle)] * count


@pytest.mark.parametrize(
    ("changed", "light", "reason"),
    [
        ({}, False, "another stain, or images unlike the training images: try other weights"),
        ({"sharpness": -2}, False, "blurred: refocus or use the original files"),
        ({"sharpness": 2}, False, "grainy or sharpened: use the original files"),
        ({"tone": -2}, False, "paler than the training images: check the contrast"),
        ({"tone": 2}, False, "darker than the training images: check the contrast"),
        (
            {},
            True,
            "stained dark on a light background, the training images light on a dark background: another banding?",
        ),
    ],
)
def test_doubt_and_then_the_reason(changed, light, reason, reference):
    measures = around(reference, **changed)
    assert cell_warnings(measures, DOUBTFUL_CELL, reference, [light] * 46) == []  # a difference need not cause doubt
    (said,) = cell_warnings(measures, 0.31, reference, [light] * 46)
    assert said.startswith("not like the training images (31% of the chromosomes are doubtful): ")
    assert reason in said
    others = {"blurred", "grainy", "paler", "darker", "stained"} - {reason.split()[0].strip(":")}
    assert not any(other in said for other in others)


def test_several_reasons_stand_together(reference):
    (said,) = cell_warnings(around(reference, sharpness=-2, tone=2), 0.5, reference, [True] * 46)
    assert [part in said for part in ("blurred", "darker", "another banding?")] == [True] * 3
    assert said.count("; ") == 2


def test_weights_that_doubted_their_own_val_doubt_later(reference):
    import dataclasses

    doubting = dataclasses.replace(reference, doubtful=0.2)
    assert cell_warnings(around(reference), 0.39, doubting) == []
    assert len(cell_warnings(around(reference), 0.41, doubting)) == 1
    assert len(cell_warnings(around(reference), 0.21, None)) == 1  # no reference: doubt alone


@pytest.mark.parametrize(("ratio", "warned"), [(0.5, True), (0.85, False), (1.2, False), (2.0, True)])
def test_a_scale_that_is_off(ratio, warned, reference):
    measures = [one._replace(length=ratio) for one in around(reference)]
    said = cell_warnings(measures, 0.0, reference, scaled=False)
    assert said == [f"scale: chromosomes {ratio:.2f} times as long as in the training images: try `--scale auto`"] * warned
    assert cell_warnings(measures, 0.0, reference, scaled=True) == []
    # A few crops do not determine a scale: they may be the cell's long chromosomes.
    assert cell_warnings(measures[: MIN_CROPS - 1], 0.0, reference, scaled=False) == []


def test_a_few_images_are_compared_with_single_images(reference):
    low = reference.image["sharpness"][0]
    assert low < reference.cell["sharpness"][0] - 2 * np.diff(reference.cell["sharpness"])[0]
    one = around(reference)[0]._replace(sharpness=low)
    assert "blurred" not in cell_warnings([one], 1.0, reference)[0]
    assert "blurred" in cell_warnings([one] * 46, 1.0, reference)[0]


@pytest.mark.parametrize("values", [(math.nan,) * 4, (1e300,) * 4, (-1e300,) * 4, (math.inf,) * 4])
def test_measures_that_nothing_has_do_no_harm(values, reference):
    prepared = prepare(chromosome("8"), HOW, SIZE)
    image_warnings(prepared, Measures(*values), reference)
    cell_warnings([Measures(*values)] * 30, 0.5, reference, [False] * 30, scaled=False)
    assert cell_warnings([], 0.0, reference) == []


def test_the_same_picture():
    found = same_pictures(["a", "b", "", "a", "", "a", "b"], list("tuvwxyz"))
    assert found == {
        3: "the same picture as t: take one out",
        5: "the same picture as t: take one out",
        6: "the same picture as u: take one out",
    }


def test_a_training_notes_what_its_val_part_is_like(tmp_path):
    from gricol_zoo.cli import main
    from gricol_zoo.training.recipes import LIGHT

    data = tiny_set(tmp_path / "set", cells=10)
    recipe = tmp_path / "fp32.json"  # torch's batch-norm gives NaN in bf16, now and then, on maps as small as these
    recipe.write_text(json.dumps({**LIGHT.to_dict(), "precision": "fp32"}))
    change = ["--change", "image_size=[48,24]", "--change", "polarity=false"]
    for more, factor in (([], 1.0), (["--scale", "2"], 2.0)):
        out = tmp_path / f"run{factor:g}"
        arguments = ["train", "--data", data, "--model", "r18half_192", "--out", out, "--epochs", "1", *change, *more]
        assert main([str(one) for one in [*arguments, "--recipe", recipe]]) == 0
        config = read_config(out / "config.json")
        kept, how = config.info.reference, config.spec.preprocess
        # Measured independently of the training: the same files, prepared again.
        images = open_images(data)
        groups = config.info.groups
        rest = [record for record in images.records if record.cell not in groups]  # val and test
        crops = [prepare(read(images, record), how, config.spec.image_size, factor) for record in rest]
        table = np.array([measure(one, how.length, factor) for one in crops])
        assert kept.images == 6
        for column, name in enumerate(FEATURES):
            low, high = kept.image[name]
            assert any(abs(low - value) < 1e-4 for value in table[:, column])
            assert any(abs(high - value) < 1e-4 for value in table[:, column])
        assert isinstance(kept, Reference)
        assert 0.3 < kept.image["length"][0] <= kept.image["length"][1] < 3  # in units of the training's own median


def read(images, record):
    from gricol_zoo.data.images import read_grey

    return read_grey(images.read(record))
