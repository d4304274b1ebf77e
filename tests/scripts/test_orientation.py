"""What turning a crop costs: each orientation is scored on the canvases turned that way, and folds on what they never saw."""

import json

import numpy as np
import pytest
import torch
from helpers.synthetic import tiny_set

from benchmarks.common.folds import finished_folds, title_of_folds
from benchmarks.released import orientation
from gricol_zoo import create_model
from gricol_zoo.data.arrays import arms_up, label_indices, load_canvases
from gricol_zoo.data.folds import assign_folds
from gricol_zoo.data.readers import open_images
from gricol_zoo.evaluation.out_of_fold import LOGITS, QUESTION
from gricol_zoo.evaluation.report import polarity_accuracy
from gricol_zoo.inference.logits import predict_both


@pytest.fixture
def images(tmp_path):
    tiny_set(tmp_path / "set")
    return open_images(tmp_path / "set")


def test_each_orientation_is_of_the_canvases_turned_that_way(images):
    torch.manual_seed(0)
    model = create_model("r18half_192", image_size=(48, 24)).eval()
    found = orientation.hits(model, images)
    canvases, labels = load_canvases(images, model.spec), label_indices(images.records, model.spec.labels, "")
    for view, turned in (("mirrored", canvases[:, :, ::-1]), ("turned by 180 degrees", np.rot90(canvases, 2, (1, 2)))):
        logits, _ = predict_both(model, np.ascontiguousarray(turned))
        np.testing.assert_array_equal(found[view], logits.argmax(1) == labels)
    _, up = predict_both(model, canvases)
    told = found["short arm's end told, as they are and turned"]
    assert len(told) == 2 * len(images)
    assert told.mean() == pytest.approx(polarity_accuracy(model, canvases, arms_up(images.records), up))
    rows = orientation.rows_of({"name": "a"}, found)
    assert {row["images"] for row in rows} == {len(images)}
    assert [row["accuracy"] for row in rows] == [pytest.approx(right.mean()) for right in found.values()]


def test_finished_folds_come_with_the_images_that_they_never_saw(images, tmp_path):
    asked = {"folds": 3, "fold_seed": 1, "model": "r18half_192", "recipe": {"epochs": 4}}
    (tmp_path / QUESTION).write_text(json.dumps(asked))
    for fold in (1, 3):
        (tmp_path / f"fold{fold}").mkdir()
    (tmp_path / "fold1" / LOGITS).touch()
    (tmp_path / "fold3" / LOGITS).touch()
    found = dict(finished_folds(tmp_path, images))
    assert [folder.name for folder in found] == ["fold1", "fold3"]  # fold 2 is not done
    fold_of = assign_folds(images, 3, 1)
    paths = {
        tmp_path / f"fold{fold + 1}": {images.records[index].path for index in np.flatnonzero(fold_of == fold)}
        for fold in (0, 2)
    }
    assert {folder: {record.path for record in tested.records} for folder, tested in found.items()} == paths
    assert title_of_folds(tmp_path, 2) == "2 of 3 folds of r18half_192, 4 epochs"
