"""The classical systems: geometry against the renderer's, networks against scikit-learn, and damaged folders."""

import csv
import hashlib
import json

import numpy as np
import pytest
from helpers.synthetic import tiny_set

from gricol_zoo.classical.axis import bend_of, find_axis, length_of
from gricol_zoo.classical.features import ENOUGH, poletti_features, typical_scale, wang_features
from gricol_zoo.classical.mask import find_mask
from gricol_zoo.classical.measuring import measure_all
from gricol_zoo.classical.model import cells_of, fit, reassign
from gricol_zoo.classical.network import fit_network
from gricol_zoo.classical.profiles import SAMPLES, centromere, flipped, measure, polarity, short_arm_first
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.classical.saving import is_saved, load, save
from gricol_zoo.classical.straighten import METHODS, straighten
from gricol_zoo.classical.system import Settings
from gricol_zoo.cli import main
from gricol_zoo.commands import classical
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.data.table import Record
from gricol_zoo.errors import CheckpointError, ConfigError, CorruptWeightsError, GricolZooError, ImageError
from gricol_zoo.spec import CHROMOSOMES

PROFILES = load_profiles()


def draw(name, **look):
    return render(PROFILES[name], Look(**{"noise": 0.02, **look}), np.random.default_rng(0))


def true(values):
    return np.interp(np.linspace(0, 1, SAMPLES), np.linspace(0, 1, len(values)), values)


@pytest.mark.parametrize("name", ["1", "2", "6", "13", "X"])
@pytest.mark.parametrize("bend", [0, 90])
def test_length_and_profiles_are_the_renderers(name, bend):
    found, drawn = measure(draw(name, bend=bend)), PROFILES[name]
    assert found.length == pytest.approx(drawn.length, rel=0.07)
    middle = slice(8, -8)  # the renderer rounds the ends
    assert np.mean(found.width[middle] / true(drawn.widths)[middle]) == pytest.approx(0.98, abs=0.05)
    assert np.corrcoef(found.width, true(drawn.widths))[0, 1] > 0.75
    assert np.corrcoef(found.density, true(drawn.bands))[0, 1] > 0.95


def test_an_axis_of_a_box_is_its_middle_line():
    mask = np.zeros((60, 30), bool)
    mask[5:55, 10:21] = True
    axis = find_axis(mask, points=11)
    assert np.abs(axis[2:-2, 0] - 15).max() < 0.2
    assert np.abs(axis[:, 0] - 15).max() < 1  # towards a corner, but by less than a pixel
    assert axis[0, 1] == pytest.approx(5, abs=1)
    assert length_of(axis) == pytest.approx(50, abs=2)
    assert np.diff(axis[:, 1]) == pytest.approx(length_of(axis) / 10, rel=0.02)


def test_the_axis_of_an_arc_turns_as_the_arc():
    # The directions of its first and its last third differ by 2/3 of the whole turn.
    assert bend_of(find_axis(find_mask(draw("1", bend=150))[1])) == pytest.approx(100, abs=25)
    assert bend_of(find_axis(find_mask(draw("1"))[1])) < 5


@pytest.mark.parametrize("name", ["1", "4", "9", "X"])
def test_a_bent_one_is_straightened_to_the_straight_one(name):
    truth, grey = measure(draw(name)), draw(name, bend=140, tilt=15)
    before = bend_of(measure(grey).axis)
    straight = straighten(grey)
    after = measure(straight)
    assert straight.dtype == np.float32
    assert straight.ndim == 2
    assert 0 <= straight.min() <= straight.max() <= 1
    assert before > 45
    assert bend_of(after.axis) < 15
    assert np.corrcoef(after.density, truth.density)[0, 1] > 0.95
    assert after.length == pytest.approx(truth.length, rel=0.1)


def test_the_arms_are_cut_and_turned_upright():
    grey = draw("1", bend=120)
    straight = straighten(grey, "javan_roshtkhari")
    assert bend_of(measure(straight).axis) < bend_of(measure(grey).axis) / 2
    assert straight.shape[0] - 6 == pytest.approx(PROFILES["1"].length, rel=0.1)  # without its margin
    assert straight.shape[1] < 0.6 * grey.shape[1]


@pytest.mark.parametrize("bend", [30, 120, -120])  # 30 degrees is straight enough for the arms' method not to cut it
@pytest.mark.parametrize("method", METHODS)
def test_what_is_up_stays_up_and_a_light_background_stays_light(method, bend):
    grey = draw("2", bend=bend)
    upper = np.corrcoef(measure(straighten(grey, method)).density, measure(draw("2")).density)[0, 1]
    turned = np.corrcoef(measure(straighten(grey[::-1].copy(), method)).density, measure(draw("2")).density[::-1])[0, 1]
    assert min(upper, turned) > 0.9
    light = straighten(1 - grey, method)
    assert light[0].min() > 0.95
    assert np.abs(light - (1 - straighten(grey, method))).max() < 0.02


@pytest.mark.parametrize("name", ["2", "6", "12", "X", "13", "21"])
def test_centromere_and_polarity(name):
    found, middle = measure(draw(name)), slice(SAMPLES // 5, -SAMPLES // 5)
    narrowest = (SAMPLES // 5 + true(PROFILES[name].widths)[middle].argmin()) / (SAMPLES - 1)
    acrocentric = name in ("13", "21")
    assert centromere(found.width) == pytest.approx(0.15 if acrocentric else narrowest, abs=0.06)
    assert polarity(found) == 1
    assert polarity(flipped(found)) == -1
    assert np.array_equal(short_arm_first(flipped(found)).density, found.density)
    assert polarity(measure(draw(name)[::-1])) == -1


@pytest.mark.parametrize(
    ("grey", "says"),
    [
        (np.zeros((40, 30)), "blank"),
        (np.pad(np.ones((3, 3)), 20), "too small"),
        (np.random.default_rng(0).random((50, 40)), "scattered"),
        (np.full((40, 30), np.nan), "finite"),
        (np.zeros(5), "shape"),
    ],
)
def test_what_is_no_chromosome_is_named(grey, says):
    with pytest.raises(ImageError, match=says):
        straighten(grey)


def test_an_unknown_method_is_named():
    with pytest.raises(GricolZooError, match="medial_axis, javan_roshtkhari"):
        straighten(draw("1"), "iron")


@pytest.mark.parametrize("features", [poletti_features, wang_features])
def test_magnification_and_staining_of_a_cell_cancel(features):
    greys = [draw(name) for name in CHROMOSOMES]
    one = [measure(grey) for grey in greys]
    # As if the cell were seen at twice the magnification, and stained half as strongly.
    other = [
        p._replace(
            width=2 * p.width, length=2 * p.length, area=4 * p.area, perimeter=2 * p.perimeter, brightness=p.brightness / 2
        )
        for p in one
    ]
    assert len(one) >= ENOUGH
    typical = typical_scale(one, ["a"] * 24)
    a, b = features(one, ["a"] * 24, typical), features(other, ["b"] * 24, typical)
    assert a == pytest.approx(b, rel=1e-6, abs=1e-6)
    assert np.abs(features(other, [""] * 24, typical) - a).max() > 0.5


@pytest.mark.parametrize("classes", [2, 3, 24])
def test_the_forward_pass_is_scikit_learns(classes):
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    x, y = rng.normal(3, 2, (200, 6)), rng.integers(0, classes, 200) + 1
    network = fit_network(x, y, hidden=5, alpha=0.1, epochs=20, seed=3)
    reference = MLPClassifier((5,), activation="tanh", alpha=0.1, max_iter=20, random_state=3)
    with pytest.warns(UserWarning, match="converged"):
        reference.fit((x - x.mean(0)) / x.std(0), y)
    assert network.probabilities(x) == pytest.approx(reference.predict_proba((x - x.mean(0)) / x.std(0)), abs=1e-12)
    assert network.classes.tolist() == reference.classes_.tolist()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return open_images(tiny_set(tmp_path_factory.mktemp("classical"), cells=6, classes=("1", "2", "5", "21")))


@pytest.fixture(scope="module", params=CLASSICAL)
def model(request, images):
    return fit(request.param, images, val=images, settings=Settings(hidden=8, alpha=0.01))


def test_it_learns_a_tiny_set(model, images):
    found = model.predict_probabilities(images)
    assert found.shape == (24, 24)
    assert found.sum(1) == pytest.approx(1)
    assert [CHROMOSOMES[i] for i in found.argmax(1)] == [record.label for record in images.records]


def test_saved_and_loaded_it_predicts_bit_for_bit(model, images, tmp_path):
    save(model, tmp_path / "a")
    again = load(tmp_path / "a")
    assert is_saved(tmp_path / "a")
    assert np.array_equal(again.predict_logits(images), model.predict_logits(images))
    assert again.settings == model.settings
    assert again.info["temperature"] == model.info["temperature"]
    save(again, tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def _network(config):
    return next(iter(config["networks"].values()))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda c: c.update(path="x"), "unknown field 'path'"),
        (lambda c: c.pop("typical"), "'typical' is missing"),
        (lambda c: c.update(format=2), "`format`"),
        (lambda c: c.update(system="os.system"), "`system`"),
        (lambda c: c.update(temperature=0), "`temperature`"),
        (lambda c: c["settings"].update(hidden=10**9), "`hidden`"),
        (lambda c: c["settings"].update(shell="x"), "shell"),
        (lambda c: c["typical"].update(length=float("nan")), "`typical`"),
        (lambda c: c["networks"].clear(), "network"),
        (lambda c: c["networks"].update(evil=_network(c)), "no network 'evil'"),
        (lambda c: _network(c).update(sizes=[5, 5, 5]), "sizes"),
        (lambda c: _network(c).update(classes=[99]), "whole numbers"),
        (lambda c: _network(c)["classes"].reverse(), "in ascending order"),
    ],
)
def test_a_hostile_config_is_refused(model, tmp_path, harm, says):
    save(model, tmp_path)
    whole = json.loads((tmp_path / "config.json").read_text())
    harm(whole["gricol_zoo_classical"])
    (tmp_path / "config.json").write_text(json.dumps(whole))
    with pytest.raises(ConfigError, match=says):
        load(tmp_path)


def test_a_tree_that_is_not_whole_is_refused(images, tmp_path):
    save(fit("wang2009", images, settings=Settings(hidden=4, epochs=2)), tmp_path)
    text = (tmp_path / "config.json").read_text()
    for harm, says in (
        (lambda n: n.pop("A"), "expected the networks"),
        (lambda n: n["A"].update(classes=[3, 5]), "outside its group"),
    ):
        whole = json.loads(text)
        harm(whole["gricol_zoo_classical"]["networks"])
        (tmp_path / "config.json").write_text(json.dumps(whole))
        with pytest.raises(ConfigError, match=says):
            load(tmp_path)


def test_harmed_weights_are_refused(model, tmp_path):
    from safetensors.numpy import load as from_bytes
    from safetensors.numpy import save as to_bytes

    save(model, tmp_path)
    file = tmp_path / "model.safetensors"
    good = file.read_bytes()
    file.write_bytes(good[:-1])
    with pytest.raises(CorruptWeightsError, match="bytes"):
        load(tmp_path)
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(CorruptWeightsError, match="SHA-256"):
        load(tmp_path)
    arrays = from_bytes(good)
    name = next(key for key in arrays if key.endswith("weight0"))
    for harmed, says in ((arrays[name].T.copy(), "tensor"), (np.full_like(arrays[name], np.nan), "NaN")):
        file.write_bytes(to_bytes({**arrays, name: harmed}))
        config = json.loads((tmp_path / "config.json").read_text())
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        config["gricol_zoo_classical"].update(sha256=digest, size=file.stat().st_size)
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=says):
            load(tmp_path)


def test_reassignment_is_within_the_cell():
    # Three are classified as chromosome 1; a cell has two, and the least certain of them has 2 as its second choice.
    probabilities = np.full((4, 24), 1e-4)
    probabilities[:3, 0], probabilities[2, 1] = 0.9, 0.3
    probabilities[2, 0], probabilities[3, 1] = 0.6, 0.9
    probabilities /= probabilities.sum(1, keepdims=True)
    records = [Record(str(i), cell="c") for i in range(4)]
    assert reassign(probabilities, records).tolist() == [0, 0, 1, 1]
    assert reassign(probabilities, [Record(str(i)) for i in range(4)]).tolist() == [0, 0, 0, 1]


def test_an_unusable_image_is_named(tmp_path, images):
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)).save(tmp_path / "noise.png")
    with pytest.raises(GricolZooError, match=r"noise\.png .*scattered"):
        measure_all(open_images(tmp_path))
    assert cells_of(images.records[:1]) == ["c00/c00"]


@pytest.mark.parametrize("system", CLASSICAL)
def test_the_commands(system, tmp_path, capsys):
    data = tiny_set(tmp_path / "data", cells=10, classes=("1", "21"))
    out = tmp_path / "run"
    assert main(["train", "--data", str(data), "--model", system, "--out", str(out)]) == 0
    training = json.loads((out / "config.json").read_text())["gricol_zoo_classical"]["training"]
    assert training["split"] == "by case or cell, 80/10/10, seed 0"  # a split was made, and it is recorded
    report = tmp_path / "report.json"
    assert main(["validate", "--data", str(data), "--model", str(out), "--out", str(report)]) == 0
    scores = json.loads(report.read_text())
    assert scores["accuracy"] == 1
    assert (scores["seen_in_training"], scores["of_cells_in_training"]) == (None, 12)
    (data / "images" / "c00" / "bad.png").write_bytes(b"no image")
    assert main(["predict", str(data / "images"), "--model", str(out), "--out", str(tmp_path / "p.csv")]) == 0
    with (tmp_path / "p.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    bad = [row for row in rows if row["error"]]
    assert [row["path"] for row in bad] == ["c00/bad.png"]
    assert all(row["prediction"] == row["path"].split("/")[1].split("_")[0] for row in rows if not row["error"])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--change", "grid=2"], "--change only applies to neural networks; 'wang2009' is a classical system."),
        (["--recipe", "paper"], "--recipe only applies to neural networks"),
        (["--device", "cuda"], "--device only applies"),
    ],
)
def test_options_of_networks_are_refused(more, says, tmp_path, capsys):
    asked = ["train", "--data", str(tmp_path), "--model", "wang2009", "--out", str(tmp_path / "o"), *more]
    assert main(asked) == 2
    assert says in capsys.readouterr().err


def test_no_name_is_not_the_folder_one_stands_in(model, tmp_path, monkeypatch):
    save(model, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert classical.holds(str(tmp_path))
    assert not classical.holds("")
    assert not classical.holds("r18half_128")


def test_a_name_without_weights_says_so(tmp_path, capsys, images):
    asked = ["validate", "--data", str(images.store.root), "--model", "wang2009", "--out", str(tmp_path / "r.json")]
    assert main(asked) == 2
    assert "Train it" in capsys.readouterr().err
