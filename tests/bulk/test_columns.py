"""Columns in, columns out: the same answers as `predict`, whoever hands out the batches."""

import io
import pickle

import numpy as np
import pytest
from helpers.synthetic import tiny_set
from PIL import Image

from gricol_zoo import DEFAULT_MODEL, create_model
from gricol_zoo.bulk.columns import ColumnClassifier, ColumnMeasurer, images_of
from gricol_zoo.bulk.ray_data import Scaled, Twice
from gricol_zoo.bulk.tables import as_text, open_table
from gricol_zoo.data.arrays import measure_lengths
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.scale import find_scales
from gricol_zoo.inference.predict import COLUMNS, predict_rows

WORDS = ["prediction", "probability", "second", "second_probability", "review", "error", "turned", "warnings"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return open_images(tiny_set(tmp_path_factory.mktemp("tiny"), cells=4))


@pytest.fixture(scope="module")
def model():
    return create_model(DEFAULT_MODEL, pretrained=True, deployed=True)


@pytest.fixture(scope="module")
def batch(images):
    records = images.records
    known = {name: [getattr(record, name) for record in records] for name in ("path", "case", "cell", "label")}
    return {**known, "image": [images.read(record) for record in records]}


def expected(model, images, factors=None):
    return [row for rows in predict_rows(model, images, dtype="fp32", factors=factors) for row in rows]


def same(got, rows):
    written = [as_text({name: got[name][at] for name in WORDS}) for at in range(len(rows))]
    assert [{name: str(row[name]) for name in WORDS} for row in rows] == [
        {name: str(value) for name, value in row.items()} for row in written
    ]


def test_the_answers_are_those_of_predict(model, images, batch):
    got = ColumnClassifier(model, dtype="fp32")(batch)
    same(got, expected(model, images))
    assert "image" not in got
    assert got["path"] == batch["path"]
    assert all(len(values) == len(images) for values in got.values())


def pictures(batch):
    return [Image.open(io.BytesIO(data)) for data in batch["image"]]


FORMS = {
    "numpy": lambda batch, images: {name: np.array(values, object) for name, values in batch.items()},
    "mappings": lambda batch, images: {"image": [{"bytes": data, "path": None} for data in batch["image"]]},
    "paths": lambda batch, images: {"image": [str(images.store.root / path) for path in batch["path"]]},
    "pictures": lambda batch, images: {"image": pictures(batch)},
    "arrays": lambda batch, images: {"image": [np.asarray(picture) for picture in pictures(batch)]},
    "named": lambda batch, images: {"root": [str(images.store.root)] * len(batch["path"]), "file": batch["path"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_images_come_in_any_form(form, model, images, batch):
    same(ColumnClassifier(model, dtype="fp32")(FORMS[form](batch, images)), expected(model, images))


def test_a_bad_image_is_a_row_with_an_error(model, images, batch):
    bad = [b"nonsense", None, "/no/such/file.png", batch["image"][0]]
    got = ColumnClassifier(model)({"picture": bad, "n": [1, 2, 3, 4]} | {"image": bad})
    assert [bool(error) for error in got["error"]] == [True, True, True, False]
    assert got["probability"][:3] == [None] * 3
    assert got["prediction"][:3] == [""] * 3
    assert got["n"] == [1, 2, 3, 4]
    lost = ColumnClassifier(model)({"root": ["/no/such", str(images.store.root)], "file": ["a.png", "nothing.png"]})
    assert all(lost["error"])


def test_a_column_by_another_name(model, batch, images):
    same(ColumnClassifier(model, dtype="fp32", image="crop")({"crop": batch["image"]}), expected(model, images))
    with pytest.raises(KeyError):
        images_of({"picture": batch["image"]})


def test_it_travels_and_loads_the_model_there(model, batch, images):
    classify = ColumnClassifier(DEFAULT_MODEL, dtype="fp32", threads=1)
    same(classify(batch), expected(model, images))
    there = pickle.loads(pickle.dumps(classify))
    assert "classifier" in vars(classify)
    assert "classifier" not in vars(there)
    same(there(batch), expected(model, images))


@pytest.mark.slow
def test_it_computes_on_another_runtime(batch, model, images):
    classify = ColumnClassifier(DEFAULT_MODEL, runtime="onnxruntime", dtype="fp32")
    assert classify(batch)["prediction"] == [row["prediction"] for row in expected(model, images)]
    assert classify.classifier.runtime.startswith("onnxruntime")


def test_the_scale_is_a_column(model, batch, images):
    factors = np.linspace(0.7, 1.3, len(images))
    got = ColumnClassifier(model, dtype="fp32")(batch | {"factor": factors})
    same(got, expected(model, images, factors))
    assert got["probability"] != ColumnClassifier(model, dtype="fp32")(batch)["probability"]


def test_lengths_are_a_column_and_factors_follow(model, batch, images):
    how = model.spec.preprocess
    got = ColumnMeasurer(how)(batch)
    np.testing.assert_array_equal(got["length"], measure_lengths(images, how))
    assert "image" not in got
    factors = find_scales(images.records, np.array(got["length"]), how.length).factors
    by_cell = {(record.case, record.cell): factor for record, factor in zip(images.records, factors, strict=True)}
    assert Scaled(dict, by_cell, 1.0)(batch)["factor"] == factors.tolist()
    assert Scaled(dict, {}, 2.0)({"path": ["a", "b"]})["factor"] == [2.0, 2.0]


class Frame(dict):
    """The part of a pandas data frame that is needed here."""

    @property
    def columns(self):
        return list(self)

    def __getitem__(self, name):
        return np.array(dict.__getitem__(self, name), object)


def test_frames_of_spark(model, batch, images):
    halves = [Frame({name: values[at] for name, values in batch.items()}) for at in (slice(0, 5), slice(5, None))]
    got = list(ColumnClassifier(model, dtype="fp32").frames(iter(halves)))
    assert [len(dict.__getitem__(frame, "path")) for frame in got] == [5, len(images) - 5]
    together = {name: [value for frame in got for value in dict.__getitem__(frame, name)] for name in WORDS}
    same(together, expected(model, images))


def test_a_table_is_that_of_predict(model, batch, images, tmp_path):
    got = ColumnClassifier(model, dtype="fp32")(batch)
    twice = Twice()
    rows = [twice.look({name: values[at] for name, values in got.items()}) for at in range(len(images))]
    with open_table(tmp_path / "new" / "out.csv") as write:
        write(rows[:4])
        write(rows[4:])
    lines = (tmp_path / "new" / "out.csv").read_text().splitlines()
    assert lines[0].split(",") == COLUMNS
    assert [line.split(",")[4] for line in lines[1:]] == [row["prediction"] for row in expected(model, images)]


def test_the_same_picture_is_found_in_another_batch():
    twice = Twice()
    row = {"pixels": "ab", "warnings": "small", "cell": "1", "label": None}
    assert twice.look(row)["warnings"] == "small"
    assert twice.look(row)["warnings"].startswith("small; ")
    assert "image 1" in twice.look(row)["warnings"]
    assert twice.look({**row, "cell": "2"})["warnings"] == "small"
    assert twice.look({**row, "root": "/other"})["warnings"] == "small"
    assert twice.look({**row, "pixels": ""}) | {"path": ""} == {**row, "pixels": "", "path": "", "case": "", "label": ""}
