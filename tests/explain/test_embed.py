"""Features against a plain forward pass, their scores against plain loops, and the command as a user runs it."""

import csv
import shutil

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.commands import run
from helpers.synthetic import tiny_set
from PIL import Image

import gricol_zoo
from gricol_zoo import GricolZooError
from gricol_zoo.data.arrays import as_batch, load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.explain.embed import classify_features, knn_purity, pooled_features, separation, tsne
from gricol_zoo.explain.feature_maps import class_style, map_features, tsne_figure

CONTROL = "r18half_128.pki3"


@pytest.fixture(scope="module")
def packaged():
    return gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True)


def clusters(each=(5, 4, 7), seed=0):
    rng = np.random.default_rng(seed)
    labels = [name for name, count in zip("abc", each, strict=True) for _ in range(count)]
    return rng.normal(size=(sum(each), 6)) + 2 * np.array([ord(label) - 97 for label in labels])[:, None], labels


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)) ** 0.5


@pytest.mark.parametrize("neighbours", [1, 3, 15])
def test_purity_against_loops(neighbours):
    points, labels = clusters()
    shares = []
    for i in range(16):
        nearest = sorted((j for j in range(16) if j != i), key=lambda j: distance(points[i], points[j]))[:neighbours]
        shares.append(sum(labels[j] == labels[i] for j in nearest) / neighbours)
    assert knn_purity(points, labels, neighbours) == pytest.approx(sum(shares) / 16, rel=1e-12)


def test_an_image_is_no_neighbour_of_itself():
    points = np.repeat(np.arange(4.0)[:, None], 2, 0)  # each point twice, once for each class
    assert knn_purity(points, list("ab" * 4), 1) == 0


def test_silhouette_against_loops():
    points, labels = clusters()
    values = []
    for i in range(16):
        means = {
            name: np.mean([distance(points[i], points[j]) for j in range(16) if labels[j] == name and j != i]) for name in "abc"
        }
        other = min(mean for name, mean in means.items() if name != labels[i])
        values.append((other - means[labels[i]]) / max(other, means[labels[i]]))
    assert separation(points, labels, 3).silhouette == pytest.approx(np.mean(values), rel=1e-9)


def test_too_little_to_measure():
    points, labels = clusters()
    with pytest.raises(GricolZooError, match="Expected at least 17 images for 16-NN purity, but got 16"):
        knn_purity(points, labels, 16)
    for wrong in (["a"] * 16, [str(i) for i in range(16)]):
        with pytest.raises(GricolZooError, match="at least two classes and more images than classes"):
            separation(points, wrong, 3)
    with pytest.raises(GricolZooError, match="at least 4 images"):
        tsne(points[:3])


@pytest.mark.parametrize("deployed", [False, True])
def test_features_are_what_the_classifier_reads(deployed, chromosomes, packaged):
    model = packaged.deploy() if deployed else packaged
    model.train()
    model.backbone.layer1.eval()
    modes = [module.training for module in model.modules()]
    canvases = load_canvases(open_images(chromosomes), model.spec)
    features = pooled_features(model, canvases, batch_size=7)
    assert modes == [module.training for module in model.modules()]
    assert features.dtype == np.float32
    model.eval()
    with torch.no_grad():
        images = as_batch(canvases, model.spec)
        expected = model.backbone(model.overview(images)).mean((2, 3))
        logits = model(images)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    np.testing.assert_array_equal(classify_features(model, features), logits.argmax(1))
    with pytest.raises(GricolZooError, match="at least one image"):
        pooled_features(model, canvases[:0])


def test_the_map_keeps_neighbours_and_repeats():
    points, labels = clusters((20, 20, 20))
    points[:, 0] += 8 * np.array([ord(label) - 97 for label in labels])
    first = tsne(points, seed=1)
    assert first.shape == (60, 2)
    np.testing.assert_array_equal(first, tsne(points, seed=1))
    assert knn_purity(first, labels, 5) > 0.95


def test_24_classes_look_different():
    styles = [class_style(index) for index in range(24)]
    for i, (colour, marker) in enumerate(styles):
        for other, its in styles[:i]:
            assert marker != its or distance(np.array(colour), np.array(other)) > 0.2


def test_the_figure_has_names_at_the_medians(chromosomes, packaged):
    images = open_images(chromosomes)
    one = map_features(packaged, images, "ours", neighbours=4)
    figure = tsne_figure([one, one, one, one], packaged.spec.labels, "above")
    assert len(figure.axes) == 6
    axis = figure.axes[3]
    where = {text.get_text(): text.get_position() for text in axis.texts}
    assert set(where) == {"1", "5", "21"}
    for name, place in where.items():
        own = [index for index, record in enumerate(images.records) if record.label == name]
        np.testing.assert_allclose(place, np.median(one.points[own], axis=0))
    assert sum(len(dots.get_offsets()) for dots in axis.collections) == 30
    assert f"features: silhouette {one.of_features.silhouette:.3f}, 4-NN purity" in axis.get_xlabel()
    with pytest.raises(GricolZooError, match="at least one map"):
        tsne_figure([], packaged.spec.labels)


def test_the_command(chromosomes, tmp_path, capsys):
    options = ["embed", "--data", chromosomes, "--model", gricol_zoo.DEFAULT_MODEL, CONTROL, "--neighbours", 5]
    assert run(*options, "--out", tmp_path / "new" / "tsne.png") == 0
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in table] == ["| model", "| ---", f"| {gricol_zoo.DEFAULT_MODEL}", f"| {CONTROL}"]
    rows = list(csv.DictReader((tmp_path / "new" / "tsne.csv").open()))
    assert [row["model"] for row in rows] == [gricol_zoo.DEFAULT_MODEL] * 30 + [CONTROL] * 30
    ours = rows[:30]
    points = np.array([[float(row["x"]), float(row["y"])] for row in ours])
    found = separation(points, [row["label"] for row in ours], 5)
    assert [float(value) for value in table[2][5:7]] == pytest.approx(found, abs=1e-3)
    assert Image.open(tmp_path / "new" / "tsne.png").size[0] > 1000


def test_without_labels_predictions_colour_the_map(tmp_path, capsys):
    folder = tiny_set(tmp_path / "set", cells=5)
    (folder / "manifest.csv").unlink()
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        file.rename(folder / f"scan{number}.png")
    shutil.rmtree(folder / "images")
    assert run("embed", "--data", folder, "--out", tmp_path / "a.svg", "--limit", 12) == 0
    assert "silhouette" not in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(rows) == 12
    assert {row["label"] for row in rows} == {""}
    assert {row["prediction"] for row in rows} <= set(gricol_zoo.CHROMOSOMES)
    svg = (tmp_path / "a.svg").read_text()
    assert "coloured by prediction" in svg


def test_limit_and_seed_and_split(chromosomes, tmp_path):
    lines = ["case,cell,part", *(f"c{i:02d},c{i:02d},{'val' if i < 8 else 'train'}" for i in range(10))]
    (tmp_path / "split.csv").write_text("\n".join(lines))
    options = ["embed", "--data", chromosomes, "--split", tmp_path / "split.csv", "--neighbours", 3, "--limit", 15]
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run(*options, "--seed", seed, "--out", tmp_path / f"{name}.png") == 0
        found.append((tmp_path / f"{name}.csv").read_text())
    assert found[0] == found[1] != found[2]
    paths = [row["path"] for row in csv.DictReader(found[0].splitlines())]
    assert len(paths) == 15
    assert not any("c08" in path or "c09" in path for path in paths)
    assert run(*options, "--part", "test", "--out", tmp_path / "d.png") == 2


@pytest.fixture
def places(tmp_path, chromosomes):
    five = gricol_zoo.create_model("r18half_128", num_classes=5)
    five.save_pretrained(tmp_path / "five")
    one = tiny_set(tmp_path / "one", classes=("7",))
    odd = tiny_set(tmp_path / "odd", cells=6)
    manifest = (odd / "manifest.csv").read_text()
    (odd / "manifest.csv").write_text(manifest.replace(",21,a", ",Z,a"))
    (tmp_path / "file").write_text("")
    return {"f": tmp_path, "good": chromosomes, "one": one, "odd": odd}


MISTAKES = [
    ("--data {good} --out {f}/a.gif", "ends in .png, .svg, .pdf"),
    ("--data {f}/none --out {f}/a.png", "No such file or folder"),
    ("--data {good} --out {f}/a.png --model nothing", "Unknown model 'nothing'"),
    ("--data {good} --out {f}/a.png --model gricol_r50half_n2", "No pretrained weights exist"),
    ("--data {good} --out {f}/a.png --model r18half_128.pki3 {f}/five", "models with the same classes"),
    ("--data {good} --out {f}/a.png --model {f}/five", "to be one of 0, 1, 2, 3, 4, but got '5'"),
    ("--data {odd} --out {f}/a.png", "but got 'Z'"),
    ("--data {one} --out {f}/a.png --neighbours 3", "at least two classes"),
    ("--data {good} --out {f}/a.png --neighbours 30", "at least 31 images for 30-NN purity"),
    ("--data {good} --out {f}/a.png --limit 10", "at least 11 images for 10-NN purity"),
    ("--data {good} --out {f}/a.png --limit 0", "expected at least 1"),
    ("--data {good} --out {f}/a.png --seed -1", "expected at least 0"),
    ("--data {good} --out {f}/a.png --split {f}/none.csv", "No such split file"),
    ("--data {good} --out {f}/file/a.png --neighbours 3", "file"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_2(line, message, places, capsys):
    assert run("embed", *line.format(**places).split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_images_of_the_training_are_named(chromosomes, tmp_path, capsys):
    model = gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True)
    model.info = {"training": {"groups": ["c00", "c01"]}}
    model.save_pretrained(tmp_path / "run")
    assert run("embed", "--data", chromosomes, "--model", tmp_path / "run", "--out", tmp_path / "a.png") == 0
    assert "trained on the cells of 6 images in this set" in capsys.readouterr().err


def test_the_numbers_in_the_docs_are_the_committed_ones():
    rows = {row["name"]: row for row in csv.DictReader((ROOT / "benchmarks" / "results" / "paper" / "embed.csv").open())}
    names = ("r18half_128", "gril_r18half_128", "gricol_r18half_n3_128")
    own = [rows[f"{name}.qband"] for name in names]
    silhouettes, purities = (", ".join(f"{float(row[key]):.3f}" for row in own) for key in ("silhouette", "knn_purity"))
    decisions = (ROOT / "docs" / "explanation" / "decisions" / "explain.md").read_text()
    assert f"silhouette {silhouettes}, 10-NN purity {purities}" in " ".join(decisions.split())
    for name, row in zip(names, own, strict=True):
        assert row["weights_sha256"] == gricol_zoo.WEIGHTS[name]["qband"].sha256
        assert (row["part"], row["images"], row["neighbours"]) == ("val", "460", "10")
