"""A karyotype.json that is dropped on the page with its images: the correction continues where it was left."""

import io
import json
import zipfile

import numpy as np
import pytest
from helpers.pictures import encode
from helpers.review import files_of, move, turn
from helpers.uploads import write_files, write_zip
from PIL import Image

from gricol_zoo import DEFAULT_MODEL, GricolZooError, create_model
from gricol_zoo.cli import main
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.karyotype.review import Confirm, Turn
from gricol_zoo.serve import markup, resume, saving, session
from gricol_zoo.serve.details import look_at
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.page import show
from gricol_zoo.serve.session import Session

OTHER_MODEL = "r18half_128.pki3"
ODD = "{{x}} ${1+1} <i>ß.png"


def png(grey):
    return encode(Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)))


@pytest.fixture(scope="module")
def models():
    return ModelPool({name: create_model(name, pretrained=True, deployed=True) for name in (DEFAULT_MODEL, OTHER_MODEL)})


@pytest.fixture(scope="module")
def crops():
    """The PNG files of a rendered cell by name, the last one damaged."""
    images = [png(image) for _, _, image in render_cell(3, sex="M")]
    names = [ODD, *(f"{number:02d}.png" for number in range(1, 46))]
    return {**dict(zip(names, images, strict=True)), "99.png": b"no image"}


def in_folder(members, folder="cell 1"):
    return {f"{folder}/{name}": data for name, data in members.items()}


@pytest.fixture(scope="module")
def left(tmp_path_factory, models, crops):
    """The JSON of a cell that was classified, corrected in two places, and downloaded."""
    folder = tmp_path_factory.mktemp("left")
    tab = Session(folder, models)
    tab.take([write_zip(folder / "case 7.zip", in_folder(crops))])
    tab.run(DEFAULT_MODEL)
    tab.select(3)
    move(tab, "21", by="AB")
    turn(tab)
    document = files_of(tab.cells["cell 1"])[1]
    assert document.name == "cell 1.json"
    return document.data


@pytest.fixture
def tab(tmp_path, models, monkeypatch):
    """A tab whose models must not be asked to classify."""

    def refuse(*_, **__):
        raise AssertionError("classified again")

    (tmp_path / "sessions").mkdir()
    monkeypatch.setattr(session, "karyotype", refuse)
    return Session(tmp_path / "sessions", models)


def changed(document, change):
    data = json.loads(document)
    change(data)
    return json.dumps(data).encode()


def as_files(folder, left, crops):
    return write_files(folder, {**crops, "cell 1.json": left})


def as_zip(folder, left, crops):
    return [write_zip(folder / "a.zip", {**in_folder(crops), "cell 1/karyotype.json": left})]


def as_zip_of_downloads(folder, left, crops):
    return [write_zip(folder / "a.zip", {**crops, "cell 1.json": left, "notes.json": b"[1, 2"})]


def beside_zip(folder, left, crops):
    return [write_zip(folder / "a.zip", in_folder(crops, "elsewhere")), *write_files(folder / "b", {"k.json": left})]


def as_renamed_files(folder, left, crops):
    names = [f"new {number}.png" for number in reversed(range(len(crops)))]
    return write_files(folder, {**dict(zip(names, crops.values(), strict=True)), "k.JSON": left})


@pytest.mark.parametrize("drop", [as_files, as_zip, as_zip_of_downloads, beside_zip, as_renamed_files])
def test_a_correction_goes_on(drop, tab, left, crops, tmp_path):
    line = tab.take(drop(tmp_path / "in" if "files" in drop.__name__ else tmp_path, left, crops))
    assert "47 images of 1 cell. Opened as it was left, with 2 corrections." in line
    before = json.loads(left)
    assert (tab.karyotype.to_json(), tab.model) == (left.decode(), DEFAULT_MODEL)
    tab.select(5)
    assert move(tab, "22", by="CD").startswith("No. 5 moved")
    after = json.loads(files_of(tab.cells["cell 1"])[1].data)
    assert after["edits"][:2] == before["edits"]
    assert [(edit["id"], edit["after"], edit["by"]) for edit in after["edits"][2:]] == [(5, "22", "CD")]
    for key in ("cell", "source", "time", "model", "options", "versions", "labels"):
        assert after[key] == before[key]
    for old, new in zip(before["chromosomes"], after["chromosomes"], strict=True):
        assert {**new, "assigned": ""} == {**old, "assigned": ""}


def test_what_was_gone_on_with_is_drawn_again_and_verified(tab, left, crops, tmp_path):
    tab.take(as_files(tmp_path / "in", left, crops))
    tab.select(5)
    move(tab, "22")
    (tmp_path / "k.json").write_bytes(files_of(tab.cells["cell 1"])[1].data)
    images = write_zip(tmp_path / "kept.zip", in_folder(crops))
    assert main(["karyotype", str(tmp_path / "k.json"), "--images", str(images), "--out", str(tmp_path / "out")]) == 0
    assert len(read_karyotype(tmp_path / "out" / "karyotype.json").edits) == 3
    assert main(["verify", str(tmp_path / "k.json"), "--images", str(images)]) == 0


def test_the_page_shows_it_at_once(tab, left, crops, tmp_path):
    tab.take(as_files(tmp_path / "in", left, crops))
    tab.select(1)
    shown = show(tab, "", False)
    assert "2 corrections by hand" in shown["heading"]
    assert shown["karyogram"].count('class="hit') == 47
    assert "Grad-CAM for" in shown["details"]
    assert 'aria-label="ideogram of' in shown["details"]
    page = "".join(part for part in shown.values() if isinstance(part, str))
    assert not [sign for sign in ("<i>ß", "{{", "${", "`") if sign in page]


def test_pictures_are_turned_as_they_were(tab, left, crops, tmp_path):
    straight = changed(left, lambda data: data["chromosomes"][2].update(turned=not data["chromosomes"][2]["turned"]))
    tab.take(as_files(tmp_path / "in", left, crops))
    before = tab.cells["cell 1"].pictures[3]
    tab.take(as_files(tmp_path / "in", straight, crops))
    np.testing.assert_array_equal(tab.cells["cell 1"].pictures[3], before[::-1, ::-1])
    assert [edit.what for edit in tab.karyotype.edits] == ["assigned", "turned", "turned"]  # by hand, so it is noted


def test_another_model_is_not_asked_where_it_looked(tmp_path, models, left, crops):
    tab = Session(tmp_path, ModelPool({OTHER_MODEL: models[OTHER_MODEL]}))
    tab.take(as_files(tmp_path / "in", left, crops))
    assert tab.network is None
    found = look_at(tab.network, tab.images, tab.karyotype, 1)
    assert (found.cam, found.missing) == (None, "The model that classified it is not offered here.")
    assert "not offered here" in markup.details(found, ready=True)


@pytest.mark.parametrize("more", [["x"] * 30, []], ids=["more", "in another order"])
def test_a_record_of_other_classes_is_not_explained_by_the_model(tab, left, crops, tmp_path, more):
    """The index of its class in the record's list means another class in the model's list, which may also be shorter."""

    def relabel(data):
        data["labels"] = [*dict.fromkeys(f"{word}{place}" for place, word in enumerate(more)), *reversed(data["labels"])]

    tab.take(as_files(tmp_path / "in", changed(left, relabel), crops))
    tab.select(1)
    assert tab.network is None
    assert "not offered here" in show(tab, "", False)["details"]


def test_other_cells_of_the_zip_stay(tmp_path, models, left, crops):
    tab = Session(tmp_path, models)
    other = {f"{number}.png": png(image) for number, (_, _, image) in enumerate(render_cell(4, sex="F"))}
    extra = {"cell 1/extra.png": png(render_cell(5, sex="F")[0][2])}
    members = {**in_folder(other, "cell 0"), **in_folder(crops), **extra, "cell 1/karyotype.json": left}
    line = tab.take([write_zip(tmp_path / "a.zip", members)])
    assert line.startswith("a.zip: 93 images of 2 cells.")
    assert "Left out, in no karyotype.json: 'cell 1/extra.png'." in line
    assert (tab.cell, list(tab.cells), list(tab.upload.cells)) == ("cell 1", ["cell 1"], ["cell 1", "cell 0"])
    assert tab.choose_cell("cell 0") == "46 images classified."
    tab.choose_cell("cell 1")
    assert len(tab.karyotype.edits) == 2
    assert tab.run(DEFAULT_MODEL).endswith("Corrections of the previous run were discarded: 2.")
    assert tab.karyotype.chromosomes[0].path == f"cell 1/{ODD}"


def test_two_cells_of_a_zip_go_on(tmp_path, models, monkeypatch, left, crops):
    tab = Session(tmp_path, models)
    other = {name: png(image) for name, (_, _, image) in zip(crops, render_cell(4, sex="F"), strict=False)}
    zips = [write_zip(tmp_path / f"{number}.zip", in_folder(other, "cell 2") | in_folder(crops)) for number in range(2)]
    tab.take(zips[:1])
    tab.choose_cell("cell 2")
    tab.run(DEFAULT_MODEL)
    second = files_of(tab.cells["cell 2"])[1].data
    monkeypatch.setattr(session, "karyotype", None)  # nothing is classified from here on
    assert "93 images of 2 cells" in tab.take([zips[1], *write_files(tmp_path / "in", {"1.json": left, "2.json": second})])
    assert tab.karyotype.to_json() == left.decode()
    assert tab.choose_cell("cell 2") == "46 images classified."
    assert tab.karyotype.to_json() == second.decode()


def nan(data):
    data["chromosomes"][0]["confidence"] = float("nan")


def one_path(data):
    data["chromosomes"][1]["path"] = data["chromosomes"][0]["path"]


def strange(data):
    data["chromosomes"][0]["predicted"] = "77"


def another_class(data):
    data["chromosomes"][0]["probabilities"]["77"] = 0.0


def deep(data):
    inner = data["options"]
    for _ in range(500):
        inner["a"] = inner = {}


def with_(**values):
    return lambda left: changed(left, lambda data: data.update(values))


DAMAGED = {
    "cut": (lambda left: left[:-20], "is not valid JSON"),
    "no text": (lambda left: b"\xff\xfe\xff", "is not"),
    "a list": (lambda left: b"[]", "is not a karyotype.json of format 1"),
    "another format": (with_(format=2), "is not a karyotype.json of format 1"),
    "a field": (with_(**{"x\ny": 1}), "is damaged"),
    "a long field": (with_(labels="x" * 5000), "is damaged"),
    "deep": (lambda left: changed(left, deep), "an option is neither a text nor a number"),
    "nan": (lambda left: changed(left, nan), "a probability is not in 0..1"),
    "one path": (lambda left: changed(left, one_path), "two chromosomes have the same path"),
    "a class": (lambda left: changed(left, strange), "chromosome 1 has no class of its own"),
    "a probability": (lambda left: changed(left, another_class), "chromosome 1 has a class that is none of the record's"),
    "none": (with_(chromosomes=[]), "up to 200 chromosomes and classes, but got 0"),
    "a name": (with_(cell="a\nb"), "control characters"),
    "a byte": (with_(cell="a\udc80"), "control characters"),
    "warnings": (with_(warnings=["x"] * 51), "more than 50 warnings"),
    "a ground": (with_(options={"ground": "blue"}), "Expected `ground`"),
    "a number": (lambda left: changed(left, lambda data: data["chromosomes"][0].update(id=10**30)), "is not in 1..200"),
    "no number": (lambda left: changed(left, lambda data: data["chromosomes"][0].update(id=0)), "is not in 1..200"),
    "true": (lambda left: changed(left, lambda data: data["chromosomes"][0].update(confidence=True)), "is damaged"),
    "large": (lambda left: left + b" " * resume.MAX_DOCUMENT, "1 MiB"),
}


@pytest.mark.parametrize("drop", [as_files, as_zip])
def test_a_damaged_record_is_refused_in_a_line_and_what_was_there_stays(drop, tab, left, crops, tmp_path):
    tab.take(as_files(tmp_path / "in", left, crops))
    tab.select(5)
    move(tab, "22")
    for name, (damage, message) in DAMAGED.items():
        with pytest.raises(GricolZooError) as caught:
            tab.take(drop(tmp_path / "in" if drop is as_files else tmp_path, damage(left), crops))
        said = str(caught.value)
        assert message in said, (name, said)
        assert len(said.splitlines()) == 1, name
        assert len(said) < 1100, name
        assert str(tmp_path) not in said, name
        assert len(tab.karyotype.edits) == 3, name
        assert len(list(tab.folder.iterdir())) == 1, name


def lacking(crops, *names):
    return {name: data for name, data in crops.items() if name not in names}


def test_what_is_missing_is_named(tab, left, crops, tmp_path):
    other = {f"{number:02d}.png": png(image) for number, (_, _, image) in enumerate(render_cell(4, sex="F"))}
    for members, message in (
        (lacking(crops, "05.png"), r"^k\.json: no image of 1 chromosome: 'cell 1/05\.png'\.$"),
        (lacking(crops, "05.png", "06.png", "07.png"), r"no image of 3 chromosomes: 'cell 1/05\.png', 'cell 1/06"),
        ({**crops, "05.png": other["01.png"]}, r"no image of 1 chromosome \(1 of that name, with other content\): 'cell 1/05"),
        (other, r"no image of 46 chromosomes \(45 of that name, with other content\)"),
    ):
        with pytest.raises(GricolZooError, match=message):
            tab.take(write_files(tmp_path / "in", {**members, "k.json": left}))
        assert tab.upload is None
    tab.take(write_files(tmp_path / "in", {**lacking(crops, "99.png"), "k.json": left}))  # it was unreadable before, too
    assert tab.karyotype.find(47).error


def test_a_record_alone_and_two_of_one_cell_are_refused(tab, left, crops, tmp_path):
    with pytest.raises(GricolZooError, match=r"Expected the images of the cell, or a zip of them, together with 'k\.json'"):
        tab.take(write_files(tmp_path / "in", {"k.json": left}))
    with pytest.raises(GricolZooError, match="of the same cell as another"):
        tab.take(write_files(tmp_path / "in", {**crops, "k.json": left, "l.json": left}))


def test_many_records_are_refused_before_they_are_read(tab, tmp_path):
    many = {f"{number}/karyotype.json": b"x" for number in range(resume.MAX_DOCUMENTS + 1)}
    with pytest.raises(GricolZooError, match=r"at most 20 cells at once, but got 21 times karyotype\.json"):
        tab.take([write_zip(tmp_path / "a.zip", {"a.png": b"x", **many})])


def test_a_zip_with_other_json_opens_as_before(tab, crops, tmp_path):
    notes = {"labels.json": b'{"chromosomes": [}', "empty.json": b""}
    assert tab.take([write_zip(tmp_path / "a.zip", {**crops, **notes})]).startswith("a.zip: 47 images of 1 cell.")
    assert tab.karyotype is None


def test_what_was_changed_after_it_was_checked_is_open_again(tab, left, crops, tmp_path):
    tab.take(as_files(tmp_path / "in", left, crops))
    for item in tab.karyotype.doubtful():
        tab.do(Confirm(item.id), "AB")
    assert tab.check("AB") == "Checked by AB."
    checked = files_of(tab.cells["cell 1"])[1].data
    tab.take(as_files(tmp_path / "in", checked, crops))
    assert checked_by(tab.karyotype).startswith("AB, ")
    altered = checked.replace(b'"by": "AB"', b'"by": "AC"', 1)
    assert "Changed after it was checked" in tab.take(as_files(tmp_path / "in", altered, crops))
    assert not checked_by(tab.karyotype)


def test_all_work_is_saved_in_one_zip_that_opens_again(tmp_path, models, monkeypatch, crops):
    tab = Session(tmp_path, models)
    other = {name: png(image) for name, (_, _, image) in zip(crops, render_cell(4, sex="F"), strict=False)}
    members = in_folder(other, "cell 2") | in_folder(crops)
    tab.take([write_zip(tmp_path / "a.zip", members)])
    tab.run(DEFAULT_MODEL)
    tab.choose_cell("cell 1" if tab.cell == "cell 2" else "cell 2")
    tab.do(Turn(3), "AB")
    assert [cell.unsaved for cell in tab.cells.values()] == [False, True]
    records = {name: cell.karyotype.to_json() for name, cell in tab.cells.items()}
    file = saving.save_all(tab)
    assert not any(cell.unsaved for cell in tab.cells.values())
    (tmp_path / file.name).write_bytes(file.data)
    monkeypatch.setattr(session, "karyotype", None)  # nothing is classified from here on
    tab.take([tmp_path / file.name])
    assert {name: cell.karyotype.to_json() for name, cell in tab.cells.items()} == records


def test_a_path_in_a_record_leads_nowhere_else(tab, left, crops, tmp_path):
    def climb(data):
        data["chromosomes"][1]["path"] = "../../01.png"

    tab.take(as_files(tmp_path / "in", changed(left, climb), crops))
    names = zipfile.ZipFile(io.BytesIO(saving.save_all(tab).data)).namelist()
    assert not [name for name in names if ".." in name]
    assert "01.png" in names
