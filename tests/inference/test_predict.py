"""One row per image, whatever the image."""

import csv
import io
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.bad_files import BAD_FILES
from helpers.models import SMALL
from helpers.synthetic import write_cell, zip_folder
from PIL import Image

from gricol_zoo import MODELS, GricolZooError, create_model
from gricol_zoo.cli import main
from gricol_zoo.data.arrays import as_batch, load_canvases
from gricol_zoo.data.images import pixel_hash
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import Look, load_profiles, render
from gricol_zoo.data.table import Record
from gricol_zoo.evaluation.report import evaluate
from gricol_zoo.inference.logits import best_batch_size, predict_logits
from gricol_zoo.inference.predict import COLUMNS, MAX_SEEN, Seen, open_paths, predict_rows, write_predictions
from gricol_zoo.inference.shards import whole_rows


@pytest.fixture(scope="module")
def model():
    model = create_model("r18half_128", deployed=True).eval()
    model.info = {"temperature": 2.0, "review_threshold": 0.99}
    return model


def test_rows_agree_with_the_logits(model, chromosomes):
    images = open_images(chromosomes)
    rows = [row for batch in predict_rows(model, images, batch_size=7) for row in batch]
    logits = predict_logits(model, load_canvases(images, model.spec))
    probabilities = np.exp(logits / 2) / np.exp(logits / 2).sum(1, keepdims=True)
    assert [row["path"] for row in rows] == [record.path for record in images.records]
    for row, record, p in zip(rows, images.records, probabilities, strict=True):
        order = np.argsort(-p)
        assert row["prediction"] == model.spec.labels[order[0]]
        assert row["second"] == model.spec.labels[order[1]]
        assert float(row["probability"]) == pytest.approx(p[order[0]], abs=6e-5)
        assert (row["label"], row["cell"], row["review"], row["error"]) == (record.label, record.cell, 1, "")


def test_bad_files_are_rows_and_the_others_go_on(model, chromosomes, tmp_path):
    good = next(chromosomes.rglob("*.png")).read_bytes()
    for name, (data, _) in BAD_FILES.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    (tmp_path / "good.png").write_bytes(good)
    rows = [row for batch in predict_rows(model, open_images(tmp_path), 3) for row in batch]
    assert len(rows) == len(BAD_FILES) + 1
    for row in rows:
        name = row["path"].removesuffix(".png")
        if name == "good":
            assert row["prediction"]
            assert not row["error"]
        else:
            assert BAD_FILES[name][1] in row["error"]
            assert row["prediction"] == row["review"] == ""


def test_zip_folder_csv_and_single_files_give_the_same_rows(model, chromosomes, tmp_path):
    def rows(*paths):
        return [row for images in open_paths(paths) for batch in predict_rows(model, images) for row in batch]

    expected = rows(chromosomes)
    assert rows(zip_folder(chromosomes, tmp_path / "set.zip")) == expected
    assert rows(chromosomes / "manifest.csv") == expected
    single = rows(chromosomes / expected[0]["path"])[0]
    assert (single["prediction"], single["probability"]) == (expected[0]["prediction"], expected[0]["probability"])


def test_rows_written_stay_when_a_later_one_fails(model, chromosomes):
    images = open_images(chromosomes)

    class Breaking(type(images.store)):
        def read(self, name):
            if name == images.records[20].path:
                raise MemoryError
            return super().read(name)

    images.store.__class__ = Breaking
    stream = io.StringIO()
    with pytest.raises(MemoryError):
        list(write_predictions(model, [images], stream, batch_size=8))
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert len(rows) == 16
    assert list(rows[0]) == COLUMNS


def test_evaluate_reports_what_it_scored(model, chromosomes):
    images = open_images(chromosomes)
    model.info = model.info.replace(training={"groups": ["c00", "c01"]})
    report, logits = evaluate(model, images, name="x", part="all")
    assert (report["seen_in_training"], report["of_cells_in_training"]) == (None, 6)
    assert report["images"] == 30
    assert report["cells"] == report["cases"] == 10
    truth = [model.spec.labels.index(record.label) for record in images.records]
    assert report["accuracy"] == pytest.approx((logits.argmax(1) == truth).mean())
    with pytest.raises(GricolZooError, match="needs the full form"):
        evaluate(model, images, name="x", full=True)


def test_full_inference_is_scored_by_the_full_form(chromosomes):
    model = create_model("gricol_r18half_n3_128").eval()
    report, _ = evaluate(model, open_images(chromosomes).subset([0, 1]), name="x", full=True)
    assert report["inference"] == "full"
    assert report["temperature"] == 1.0


def test_unknown_labels_are_named(model, chromosomes, tmp_path):
    images = open_images(chromosomes)
    images.records[3] = images.records[3].__class__("images/c01/1_a.png", "Z")
    with pytest.raises(GricolZooError, match="but got 'Z'"):
        evaluate(model, images, name="x")


def test_nothing_to_predict():
    with pytest.raises(GricolZooError, match=r"No such file: nowhere\.png"):
        open_paths(["nowhere.png"])


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 7), (2, 7), (3, 4), (0, 0)])
def test_workers_and_batches_change_nothing(model, chromosomes, workers, batch_size):
    images = open_images(chromosomes)
    with torch.inference_mode():
        logits = model(as_batch(load_canvases(images, model.spec), model.spec))
    expected = [model.spec.labels[i] for i in logits.argmax(1)]
    rows = [row for batch in predict_rows(model, images, batch_size, "fp32", workers) for row in batch]
    assert [row["path"] for row in rows] == [record.path for record in images.records]
    assert [row["prediction"] for row in rows] == expected


@pytest.mark.parametrize(
    ("name", "size"), [("r18half_128", 32), ("gricol_r18half_n3_128", 32), ("gricol_r50half_n3", 8), ("resnet50", 2)]
)
def test_the_default_batch_suits_what_the_backbone_sees(name, size):
    assert best_batch_size(MODELS.get(name)) == size
    assert best_batch_size(MODELS.get(name), "cuda") == 16 * size


def test_a_damaged_member_of_a_zip_is_a_row(model, chromosomes, tmp_path):
    file = zip_folder(chromosomes, tmp_path / "set.zip")
    name = open_images(file).records[4].path
    with zipfile.ZipFile(file) as archive:
        start = archive.getinfo(name).header_offset + 30 + len(name)
        size = archive.getinfo(name).compress_size
    data = bytearray(file.read_bytes())
    data[start + size // 2] ^= 0xFF
    file.write_bytes(bytes(data))
    rows = [row for batch in predict_rows(model, open_images(file), batch_size=7) for row in batch]
    assert [index for index, row in enumerate(rows) if row["error"]] == [4]
    assert "cannot be unpacked" in rows[4]["error"]
    with pytest.raises(GricolZooError, match="cannot be unpacked"):
        load_canvases(open_images(file), model.spec)


# --- turned, warnings ---


def rows_of(model, images, **options):
    return [row for batch in predict_rows(model, images, dtype="fp32", **options) for row in batch]


def test_the_columns_are_those_of_the_contract(model, chromosomes):
    assert COLUMNS[-2:] == ["turned", "warnings"]
    assert COLUMNS[:2] + COLUMNS[8:10] == ["path", "case", "review", "error"]  # new ones come last
    rows = rows_of(model, open_images(chromosomes).subset(range(4)))
    assert [list(row) for row in rows] == [COLUMNS] * 4
    assert {(row["turned"], row["warnings"]) for row in rows} == {("", "")}  # without polarity, nothing wrong


def test_turned_is_what_the_model_says(chromosomes):
    model = create_model("r18half_192", deployed=True, **SMALL).eval()
    images = open_images(chromosomes).subset(range(6))
    for up in (1.0, -1.0):
        with torch.no_grad():
            model.classifier.bias.copy_(torch.tensor([4 * up, -4 * up]).repeat(24))
        assert [row["turned"] for row in rows_of(model, images)] == [int(up < 0)] * 6


@pytest.fixture
def repeated(chromosomes, tmp_path):
    """A folder of 12 images in two cells: c00 has one picture three times; c01 has the same one once, and another twice."""
    files = sorted(chromosomes.rglob("*.png"))[:6]
    for cell in ("c00", "c01"):
        (tmp_path / cell).mkdir()
        for n, file in enumerate(files[:4]):
            shutil.copy(file, tmp_path / cell / f"{n}.png")
    shutil.copy(files[1], tmp_path / "c00" / "4 again.png")
    Image.open(files[1]).save(tmp_path / "c00" / "5 as tiff.tif")  # other bytes
    shutil.copy(files[3], tmp_path / "c01" / "4 again.png")
    (tmp_path / "c01" / "5 broken.png").write_bytes(b"no image")
    return tmp_path


TWICE = {
    "c00/4 again.png": "the same picture as c00/1.png: take one out",
    "c00/5 as tiff.tif": "the same picture as c00/1.png: take one out",
    "c01/4 again.png": "the same picture as c01/3.png: take one out",
}


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 3), (2, 1), (3, 5), (4, 12), (0, 0)])
def test_the_same_picture_is_told_of_the_second_alone(model, repeated, workers, batch_size):
    rows = rows_of(model, open_images(repeated), batch_size=batch_size, workers=workers)
    assert {row["path"]: row["warnings"] for row in rows if row["warnings"]} == TWICE
    assert rows[-1]["error"]
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)


def test_it_does_not_matter_that_cells_are_mixed(model, repeated):
    images = open_images(repeated)
    mixed = images.subset(sorted(range(12), key=lambda n: (n % 6, n)))
    assert [record.cell for record in mixed.records[:4]] == ["c00", "c01", "c00", "c01"]
    assert {row["path"]: row["warnings"] for row in rows_of(model, mixed, batch_size=2) if row["warnings"]} == TWICE


@pytest.mark.parametrize("start", [0, 1, 5, 8, 11])
def test_what_goes_on_says_what_the_whole_says(model, repeated, start):
    images = open_images(repeated)
    expected = rows_of(model, images)
    assert rows_of(model, images, start=start) == expected[start:]
    stream, again = io.StringIO(newline=""), io.StringIO(newline="")
    assert [row for rows in write_predictions(model, [images], stream, dtype="fp32") for row in rows] == expected
    lines = stream.getvalue().splitlines(keepends=True)
    again.write("".join(lines[: start + 1]))
    for _ in write_predictions(model, [images], again, dtype="fp32", start=start):
        pass
    assert again.getvalue() == stream.getvalue()


def test_single_images_of_a_folder_are_one_set(model, repeated, chromosomes, tmp_path):
    cell, other = repeated / "c00", next(chromosomes.rglob("*.png"))
    paths = [cell / "1.png", cell / "4 again.png", other, cell / "5 as tiff.tif", repeated / "c01", cell / "0.png"]
    sets = open_paths(paths)
    single = [path for path in paths if path.is_file()]
    assert [[str(images.store.root / record.path) for record in images.records] for images in sets] == [
        [str(path) for path in single],
        [str(repeated / "c01" / f"{name}.png") for name in ("0", "1", "2", "3", "4 again", "5 broken")],
    ]
    rows = [row for images in sets for row in rows_of(model, images)]
    assert len({row["path"] for row in rows}) == 11
    assert "the same picture as" in rows[1]["warnings"]
    (twice,) = open_paths([cell / "1.png", cell / "1.png"])
    assert [row["warnings"] for row in rows_of(model, twice)] == ["", "the same picture as 1.png: take one out"]


def test_pixels_are_compared_with_their_shape():
    grey = np.random.default_rng(0).random((6, 4), np.float32)
    assert pixel_hash(grey) == pixel_hash(grey.copy())
    assert len({pixel_hash(grey.reshape(shape)) for shape in ((6, 4), (4, 6), (24, 1), (1, 24))}) == 4


def test_memory_stays_flat():
    seen = Seen()
    rows = ({"case": "", "cell": "", "path": str(n)} for n in range(MAX_SEEN + 10))
    for n, row in enumerate(rows):
        seen.before(row, n.to_bytes(12, "big"))
    assert len(seen.paths) <= MAX_SEEN
    assert seen.before({"case": "", "cell": "", "path": "x"}, (MAX_SEEN + 5).to_bytes(12, "big"))
    assert seen.before({"case": "", "cell": "1", "path": "x"}, (MAX_SEEN + 5).to_bytes(12, "big")) == ""


def test_warnings_of_an_image_are_joined(measured, tmp_path):
    write_cell(tmp_path / "cell")
    first, second = (np.asarray(Image.open(tmp_path / "cell" / f"crop {n:02d}.png")) for n in range(2))
    height = max(len(first), len(second))
    row = np.concatenate([np.pad(grey, ((0, height - len(grey)), (8, 8))) for grey in (first, second)], 1)
    pages = [Image.fromarray(row), Image.new("L", (5, 5))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    shutil.copy(tmp_path / "a.tif", tmp_path / "b.tif")
    shutil.copy(tmp_path / "cell" / "crop 02.png", tmp_path / "c.png")
    model = create_model(f"local-dir:{measured}", pretrained=True, deployed=True)
    (images,) = open_paths([tmp_path / name for name in ("a.tif", "b.tif", "c.png")])
    said = [row["warnings"].split("; ") for row in rows_of(model, images)]
    assert said[0] == ["only the first of 2 pages was used", "several chromosomes in one crop: cut them apart"]
    assert said[1] == [*said[0], "the same picture as a.tif: take one out"]
    assert said[2] == [""]


def test_a_report_says_how_images_were_prepared(chromosomes):
    images = open_images(chromosomes).subset(range(6))
    report, _ = evaluate(create_model("r18half_128", **SMALL).eval(), images, name="x")
    assert (report["preparation"], report["ground"], report["scale"], report["polarity_accuracy"]) == (1, "auto", "none", None)
    model = create_model("r18half_192", preprocess={"ground": "dark"}, **SMALL).eval()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([4.0, -4.0]).repeat(24))  # always "up"
    arms = ["down", "up", "", "", "down", "down"]
    images.records = [
        Record(r.path, r.label, r.cell, extra={"short_arm": arm}) for r, arm in zip(images.records, arms, strict=True)
    ]
    report, _ = evaluate(model, images, name="x", scale=2.0)
    assert (report["preparation"], report["ground"], report["scale"], report["polarity_accuracy"]) == (2, "dark", 2.0, 0.5)
    report, _ = evaluate(model, images, name="x", full=True)
    assert report["polarity_accuracy"] is None  # all classifiers together give no polarity
    images.records[0] = Record(images.records[0].path, "1", extra={"short_arm": "left"})
    with pytest.raises(GricolZooError, match="up, down or empty, but got 'left'"):
        evaluate(model, images, name="x")


@pytest.mark.parametrize("kind", ["files", "folders", "zips", "a file and a zip", "files far apart"])
def test_rows_tell_inputs_apart(kind, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, label in (("a", "1"), ("b", "21")):
        Path(name).mkdir()
        grey = render(load_profiles()[label], Look(), np.random.default_rng(0))
        Image.fromarray((grey * 255).astype(np.uint8)).save(f"{name}/1.png")
        zip_folder(Path(name), Path(f"{name}.zip"))
    given = {
        "files": ["a/1.png", "b/1.png"],
        "folders": ["a", "./b"],
        "zips": ["a.zip", "b.zip"],
        "a file and a zip": ["a/1.png", "b.zip"],
        "files far apart": [tmp_path / "a/1.png", "b/1.png"],
    }[kind]
    sets = open_paths(given)
    stream = io.StringIO()
    for _ in write_predictions(model, sets, stream, dtype="fp32"):
        pass
    paths = [row["path"] for row in csv.DictReader(io.StringIO(stream.getvalue()))]
    expected = {"zips": ["a.zip/1.png", "b.zip/1.png"], "a file and a zip": ["a/1.png", "b.zip/1.png"]}
    assert paths == expected.get(kind, ["a/1.png", "b/1.png"])
    assert len(sets) == (1 if kind.startswith("files") else 2)


def test_what_a_spreadsheet_takes_for_a_formula_is_text(model, tmp_path):
    for name in ("=1+1.png", "@a.png", "-b.png", "+c.png", "d.png"):
        grey = render(load_profiles()["1"], Look(), np.random.default_rng(0))
        Image.fromarray((grey * 255).astype(np.uint8)).save(tmp_path / name)
    (images,) = open_paths([tmp_path])
    with (tmp_path / "p.csv").open("w", newline="") as stream:
        for _ in write_predictions(model, [images], stream, dtype="fp32"):
            pass
    written = [line.partition(",")[0] for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    assert sorted(written) == ["'+c.png", "'-b.png", "'=1+1.png", "'@a.png", "d.png"]
    assert [row["path"] for row in read_csv(tmp_path / "p.csv")] == [record.path for record in images.records]
    assert whole_rows(tmp_path / "p.csv", images) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--engine", "ray", "--shards", "out"), "writes one file"),
        (("--engine", "ray", "--device", "cuda", "--out", "o.csv"), "runs on CPUs"),
        (("--out", "o.parquet"), "Only --engine ray reads and writes Parquet"),
        (("--engine", "ray", "--out", "o.csv"), "The engine ray is not installed. Run: pip install 'gricol_zoo[ray]'"),
    ],
)
def test_what_another_engine_does_is_said(options, said, chromosomes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    assert main(["predict", str(chromosomes), *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.strip().count("\n") == 0
