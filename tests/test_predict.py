"""One row an image, whatever the image."""

import csv
import io
import zipfile

import numpy as np
import pytest
import torch
from conftest import zip_folder
from test_data import BAD_FILES

from gricol_zoo import MODELS, GricolZooError, create_model
from gricol_zoo.data.arrays import as_batch, load_canvases
from gricol_zoo.data.readers import open_images
from gricol_zoo.evaluate import best_batch_size, evaluate, predict_logits
from gricol_zoo.predict import COLUMNS, open_paths, predict_rows, write_predictions


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
    model.info["training"] = {"groups": ["c00", "c01"]}
    report, logits = evaluate(model, images, name="x", part="all")
    assert report["seen_in_training"] == 6
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
    with pytest.raises(GricolZooError, match="has the label 'Z'"):
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
