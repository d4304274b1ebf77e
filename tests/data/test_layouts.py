"""Layouts as people have them: how each is read, when the user is asked, and that labels are never made up."""

import zipfile

import pytest
from helpers.synthetic import zip_folder
from PIL import Image

from gricol_zoo import GricolZooError
from gricol_zoo.data.readers import LAYOUTS, open_images

WHOLE = [f"crop{number:02d}.png" for number in range(46)]


def write(folder, names, size=(5, 7)):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(folder / name)
    return folder


def labels_of(images):
    return {record.path: record.label for record in images.records}


CLASSES = {
    "1 to 24": ([f"{number}/a.png" for number in range(1, 25)], {"1/a.png": "1", "23/a.png": "X", "24/a.png": "Y"}),
    "0 to 23": ([f"{number}/a.png" for number in range(24)], {"0/a.png": "1", "22/a.png": "X", "23/a.png": "Y"}),
    "chr": (["chr1/a.png", "chr22/a.png", "chrX/a.png"], {"chr1/a.png": "1", "chrX/a.png": "X"}),
    "chr without X": (["chr1/a.png", "Chr22/a.png"], {"chr1/a.png": "1", "Chr22/a.png": "22"}),
    "Chromosome and blanks": (["Chromosome 7/a.png", "Chromosome y/a.png"], {"Chromosome y/a.png": "Y"}),
    "clase": (["clase1/a.png", "claseX/a.png"], {"clase1/a.png": "1", "claseX/a.png": "X"}),
    "class_": (["class_23/a.png", "class_01/a.png"], {"class_23/a.png": "X", "class_01/a.png": "1"}),
    "leading zeros": (["01/a.png", "22/a.png", "0X/a.png"], {"01/a.png": "1", "0X/a.png": "X"}),
    "below a part": (["train/7/a.png", "val/X/b.png"], {"train/7/a.png": "7", "val/X/b.png": "X"}),
    "a copy, and one without": (["c1/7_a.png", "c1/7_b.png", "c1/X.png"], {"c1/7_a.png": "7", "c1/X.png": "X"}),
    "BioImLab's numbered cells": (["1/7_a.png", "2/22_b.png", "2/1.png"], {"1/7_a.png": "7", "2/1.png": "1"}),
    "classes in file and folder": (["7/7_a.png", "1/1_b.png", "X/X_a.png"], {"7/7_a.png": "7", "X/X_a.png": "X"}),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_read_under_every_name(name, tmp_path):
    names, expected = CLASSES[name]
    images = open_images(write(tmp_path, names))
    assert labels_of(images).items() >= expected.items()
    assert any(note.startswith("taken as layout") for note in images.notes)


CELLS = {
    "numbered cells of 46": [f"{cell}/{crop}" for cell in (1, 2, 3) for crop in WHOLE],
    "running numbers to 46": [f"cell.{number:02d}.tif" for number in range(1, 47)],
    "running numbers to 20": [f"cell.{number:02d}.tif" for number in range(1, 21)],
    "a file called x": ["stuff/x.png"],
    "numbers for names": [f"c1/{number}.png" for number in range(1, 21)],
    "named cells": [f"cell{cell}/{crop}" for cell in (1, 2) for crop in WHOLE],
}


@pytest.mark.parametrize("name", CELLS)
def test_no_label_is_made_up(name, tmp_path):
    images = open_images(write(tmp_path, CELLS[name]))
    assert set(labels_of(images).values()) == {""}
    with pytest.raises(GricolZooError, match="have no label"):
        open_images(tmp_path, labels=True)


DOUBTS = {
    "a folder called x": (["p/x/a.png", "p/x/b.png"], "--layout folders"),
    "a few numbered folders": (["1/a.png", "2/b.png"], "--layout folders"),
    "22 numbered folders": ([f"{number}/a.png" for number in range(1, 23)], "--layout folders"),
    "24 numbered folders of 46": ([f"{n}/{crop}" for n in range(1, 25) for crop in WHOLE], "--layout folders"),
    "24 numbered folders of 40 to 46": ([f"{n}/{crop}" for n in range(1, 25) for crop in WHOLE[n % 7 :]], "--layout folders"),
    "3 numbered folders of 30 to 46": ([f"{n}/{crop}" for n in (1, 2, 3) for crop in WHOLE[n * 5 :]], "--layout folders"),
    "numbers without zeros": ([f"cell.{number}.tif" for number in range(1, 21)], "--layout cir"),
    "one image outside the folders": ([*(f"{name}/a.png" for name in "123456789X"), "map.png"], "map.png|top folder"),
    "one name that is not a class": ([*(f"c/{number}_a.png" for number in range(1, 20)), "c/overview.png"], "c/overview.png"),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_ambiguous_is_asked_or_left_without_labels(name, tmp_path):
    names, says = DOUBTS[name]
    images = open_images(write(tmp_path, names))
    assert set(labels_of(images).values()) == {""}
    assert any("without labels: " in note and says.split("|")[-1] in note for note in images.notes)
    with pytest.raises(GricolZooError, match=says) as caught:
        open_images(tmp_path, labels=True)
    assert "--layout" in str(caught.value)


def test_what_is_asked_for_is_done(tmp_path):
    write(tmp_path, ["1/a.png", "02/b.png"])
    assert labels_of(open_images(tmp_path, "folders", labels=True)) == {"1/a.png": "1", "02/b.png": "2"}
    assert {record.cell for record in open_images(tmp_path, "unlabelled").records} == {"1", "02"}


def test_numbers_that_come_again_are_classes(tmp_path):
    images = open_images(write(tmp_path, ["a.7.tif", "b.7.tif", "c.24.tif"]))
    assert labels_of(images) == {"a.7.tif": "7", "b.7.tif": "7", "c.24.tif": "Y"}


@pytest.mark.parametrize("names", [["7/a.png", "X/b.png"], ["c1/7_a.png", "c2/X.png"], ["c1/a.png", "c2/b.png"]])
def test_a_zip_of_the_folder_reads_as_the_folder(names, tmp_path):
    folder = write(tmp_path / "set", names)
    with zipfile.ZipFile(tmp_path / "top.zip", "w") as archive:
        for name in names:
            archive.write(folder / name, f"set/{name}")
        archive.writestr("__MACOSX/set/._a.png", b"")
    whole, zipped = open_images(folder), open_images(tmp_path / "top.zip")
    assert zipped.records == whole.records
    assert zipped.sha256() == whole.sha256()


def test_a_zip_of_one_cell_keeps_its_name(tmp_path):
    write(tmp_path / "set", ["cell7/a.png"])
    (record,) = open_images(zip_folder(tmp_path / "set", tmp_path / "set.zip")).records
    assert (record.path, record.cell) == ("cell7/a.png", "cell7")


def test_manifests_that_are_not_of_all_images_are_said(tmp_path):
    write(tmp_path, ["a/1.png", "b/2.png"])
    for folder in "ab":
        (tmp_path / folder / "manifest.csv").write_text("path,label\n1.png,1\n")
    assert any("a/manifest.csv" in note for note in open_images(tmp_path).notes)
    with pytest.raises(GricolZooError, match="give each as a path of its own"):
        open_images(tmp_path, labels=True)
    (tmp_path / "b" / "manifest.csv").unlink()
    assert set(labels_of(open_images(tmp_path)).values()) == {""}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_says_what_it_looks_like(layout):
    assert LAYOUTS[layout].looks
    assert LAYOUTS[layout].taken
