"""Labels that look like typing errors are questioned before they become classes."""

import pytest

from gricol_zoo import GricolZooError
from gricol_zoo.classical.crossval import run_folds
from gricol_zoo.classical.training import train as train_classical
from gricol_zoo.data.store import Store
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.spec import CHROMOSOMES
from gricol_zoo.training.checks import changed_spec


def labelled(tmp_path, *labels):
    return ImageSet("x", [Record(f"{n}.png", label) for n, label in enumerate(labels)], Store(tmp_path, []))


@pytest.mark.parametrize("stray", ["7x", "0", "marker", "7,"])
def test_a_stray_label_is_asked_about(stray, tmp_path):
    images = labelled(tmp_path, *CHROMOSOMES * 10, stray)
    with pytest.raises(GricolZooError, match=rf"label '{stray}' of 240\.png looks like a slip: 1 of 241 .*25 classes in all"):
        changed_spec("r18half_128", images)


def test_one_image_among_classes_of_many_is_asked_about(tmp_path):
    images = labelled(tmp_path, *["cat", "dog", "cow"] * 10, "cta")
    with pytest.raises(GricolZooError, match=r"label 'cta' of 30\.png looks like a slip"):
        changed_spec("r18half_128", images)


@pytest.mark.parametrize("labels", [["cat", "dog"], ["1", "2", "3", "marker"], [*CHROMOSOMES * 10, *["marker"] * 20]])
def test_classes_of_their_own_are_taken(labels, tmp_path):
    spec = changed_spec("r18half_128", labelled(tmp_path, *labels))
    assert spec.class_names == tuple(sorted(set(labels)))


def test_one_class_is_nothing_to_train_on(tmp_path):
    images, split = labelled(tmp_path, *["7"] * 30), {("", ""): "train"}
    for train in (
        lambda: changed_spec("r18half_128", images),
        lambda: train_classical(images, split, "wang2009", tmp_path / "out", 0, print),
        lambda: run_folds(images, "wang2009", tmp_path / "folds"),
    ):
        with pytest.raises(GricolZooError, match="at least two classes, but all 30 are of '7'"):
            train()


def test_a_stray_label_may_be_meant(tmp_path):
    names = [*CHROMOSOMES, "marker"]
    images = labelled(tmp_path, *CHROMOSOMES * 10, "marker")
    assert changed_spec("r18half_128", images, {"class_names": names, "num_classes": 25}).labels == tuple(names)
    with pytest.raises(GricolZooError, match=r"among the `class_names`, but .* has marker"):
        changed_spec("r18half_128", images, {"class_names": [*CHROMOSOMES, "ring"], "num_classes": 25})
