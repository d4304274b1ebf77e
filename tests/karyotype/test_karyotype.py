"""From a cell's images to its files, edits, drawing again, and the verification of records."""

import dataclasses
import json
import os
import shutil
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from helpers.models import OLD_MODEL
from helpers.synthetic import write_cell, zip_folder
from PIL import Image

import gricol_zoo
from gricol_zoo import DEFAULT_MODEL, GricolZooError
from gricol_zoo.cli import main
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv
from gricol_zoo.karyotype.audit import differences
from gricol_zoo.karyotype.cell_images import HALF, halves
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draft import draft
from gricol_zoo.karyotype.draw import to_image, to_svg
from gricol_zoo.karyotype.layout import EDITED, Picture, Text, lay_out
from gricol_zoo.karyotype.output import folder_names
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows
from gricol_zoo.karyotype.run import cells_of, karyotype

NORMAL = {**{str(number): 2 for number in range(1, 23)}, "X": 1, "Y": 1}


@pytest.fixture(scope="module")
def model():
    return gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True, deployed=True)


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells") / "клетка 1"
    return folder, write_cell(folder)


@pytest.fixture(scope="module")
def done(cell, model):
    return karyotype(model, open_images(cell[0]), name=DEFAULT_MODEL, source=str(cell[0]))


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("changes", "images", "text"),
    [
        ({}, 46, "46,XY"),
        ({"Y": 0, "X": 2}, 46, "46,XX"),
        ({"21": 3}, 47, "47,XY,+21"),
        ({"X": 2}, 47, "47,XXY"),
        ({"Y": 0}, 45, "45,X"),
        ({"7": 1, "20": 1}, 44, "44,XY,-7,-20"),
        ({"5": 1}, 46, "45,XY,-5 and 1 unassigned"),
        ({label: 2 * count for label, count in NORMAL.items()}, 92, "92,XXYY"),
        ({**{str(n): 3 for n in range(1, 23)}, "X": 2}, 69, "69,XXY"),
        ({**{str(n): 0 for n in range(2, 23)}, "1": 1, "X": 0, "Y": 0}, 1, "1 of 46 chromosomes, incomplete"),
        (dict.fromkeys(NORMAL, 0), 0, "0 of 46 chromosomes, incomplete"),
    ],
)
def test_draft(changes, images, text):
    assert draft({**NORMAL, **changes}, images) == text


def test_a_synthetic_cell_is_put_right(done, cell):
    assert done.draft == "46,XY"
    assert done.sex == "XY"
    assert sum(item.assigned == truth for item, truth in zip(done.chromosomes, cell[1], strict=True)) >= 44
    assert all(sum(item.probabilities.values()) == pytest.approx(1, abs=1e-4) for item in done.chromosomes)
    assert done.model["weights_sha256"]
    costs = {"extra": 4.0, "missing": 3.0, "unassigned": 5.0}
    options = {"dtype": "fp32", "costs": costs, "layout": "auto", "preparation": 2, "ground": "auto", "within_cell": 0.5}
    assert done.options == options
    assert (done.scale, done.warnings) == (1, [])


def test_what_the_cell_tells_is_noted_and_can_be_left_out(done, cell, model):
    """The network's own answers do not change; an older record, which notes no weight, still verifies."""
    images = open_images(cell[0])
    before = karyotype(model, images, source=str(cell[0]), within=0.0)
    assert "within_cell" not in before.options
    for one, other in zip(done.chromosomes, before.chromosomes, strict=True):
        assert one.probabilities == other.probabilities
    assert [one.confidence for one in done.chromosomes] != [one.confidence for one in before.chromosomes]
    assert differences(before, model, images) == []
    assert differences(done, model, images) == []
    for claimed in ({**done.options, "within_cell": 0.0}, before.options):
        assert differences(dataclasses.replace(done, options=claimed), model, images)
    with pytest.raises(GricolZooError, match="weight of what the cell tells"):
        karyotype(model, images, within=2)


def test_predicted_is_what_predict_says(done, cell, tmp_path):
    assert run("predict", cell[0], "--out", tmp_path / "p.csv", "--dtype", "fp32") == 0
    rows = read_csv(tmp_path / "p.csv")
    assert [row["prediction"] for row in rows] == [item.predicted for item in done.chromosomes]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [item.probabilities[item.predicted] for item in done.chromosomes], abs=1e-3
    )


def test_json_is_the_document(done, tmp_path):
    done.write(tmp_path / "k.json")
    again = read_karyotype(tmp_path / "k.json")
    assert again.to_json() == done.to_json()
    assert again.chromosomes == done.chromosomes


def test_an_edit_is_noted_and_may_be_undone(done):
    moved = done.move(5, "", by="AB")
    assert moved.find(5).edited
    assert "1 unassigned" in moved.draft
    assert (moved.edits[0].by, moved.edits[0].before, moved.edits[0].after) == ("AB", done.find(5).assigned, "")
    back = moved.move(5, done.find(5).assigned)
    assert back.draft == done.draft
    assert len(back.edits) == 2
    assert done.move(5, done.find(5).assigned) is done
    assert done.edits == ()
    assert done.turn(5).find(5).turned
    (edit,) = done.turn(5, by="CD").edits
    assert (edit.id, edit.by, edit.what, edit.before, edit.after) == (5, "CD", "turned", "as it lies", "upside down")


@pytest.mark.parametrize(("id", "label", "message"), [(0, "1", "from 1 to 46"), (1, "23", "Expected a class of 1, 2")])
def test_wrong_edits_are_named(done, id, label, message):
    with pytest.raises(GricolZooError, match=message):
        done.move(id, label)


def test_the_doubtful_come_least_sure_first(done):
    items = [Chromosome(n, f"{n}.png", "", assigned="1", automatic="1", confidence=c) for n, c in enumerate((0.8, 1, 0.5), 1)]
    items += [Chromosome(4, "4.png", "", confidence=0.99), Chromosome(5, "5.png", "", error="damaged")]
    items += [Chromosome(6, "6.png", "", assigned="2", automatic="1", confidence=0.5)]  # a person has reviewed it
    assert [item.id for item in Karyotype("c", items, ["1", "2"]).doubtful()] == [3, 1, 4]


DAMAGES = {
    "not valid JSON": lambda data: "{",
    "is not a karyotype.json of format": lambda data: json.dumps({**data, "format": 2}),
    "cell is 5, expected str": lambda data: json.dumps({**data, "cell": 5}),
    "unexpected keyword argument 'colour'": lambda data: json.dumps({**data, "colour": "red"}),
    "'chromosomes'": lambda data: json.dumps({key: value for key, value in data.items() if key != "chromosomes"}),
    "is assigned '23'": lambda data: json.dumps({**data, "chromosomes": [{**data["chromosomes"][0], "assigned": "23"}]}),
    "the same id": lambda data: json.dumps({**data, "chromosomes": [data["chromosomes"][0]] * 2}),
    "confidence is '1', expected float": lambda data: json.dumps(
        {**data, "chromosomes": [{**data["chromosomes"][0], "confidence": "1"}]}
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_document_is_named(done, tmp_path, message, capsys):
    (tmp_path / "k.json").write_text(DAMAGES[message](json.loads(done.to_json())))
    with pytest.raises(GricolZooError, match=message.replace("[", r"\[")):
        read_karyotype(tmp_path / "k.json")
    assert run("karyotype", tmp_path / "k.json", "--out", tmp_path) == 2
    assert run("verify", tmp_path / "k.json") == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_everything_is_drawn_once(done, cell):
    sheet = lay_out(done, draw_chromosomes(done, open_greys(done, open_images(cell[0]))))
    drawn = [shape.id for shape in sheet.shapes if isinstance(shape, Picture)]
    assert sorted(drawn) == sorted(sheet.boxes) == list(range(1, 47))
    for id, (left, top, width, height) in sheet.boxes.items():
        assert sheet.at(left + width / 2, top + height / 2) == id
        assert 0 <= left < left + width <= sheet.width
        assert 0 <= top < top + height <= sheet.height
    assert sheet.at(1, 1) is None
    image = to_image(sheet)
    assert image.size == (round(2 * sheet.width), round(2 * sheet.height))
    svg = ET.fromstring(to_svg(sheet))
    assert len([node for node in svg.iter() if node.tag.endswith("image")]) == 46
    words = [node.text for node in svg.iter() if node.tag.endswith("text")]
    assert words[0] == "46,XY   (draft)"
    assert words[1].startswith("Cell клетка 1 ")
    assert [word for word in words if word in gricol_zoo.CHROMOSOMES] == list(gricol_zoo.CHROMOSOMES)  # ISCN order


def test_homologues_stand_side_by_side(done, cell):
    sheet = lay_out(done, draw_chromosomes(done, open_greys(done, open_images(cell[0]))))
    first, second = (sheet.boxes[item.id] for item in done.chromosomes if item.assigned == "3")
    assert abs(first[0] - second[0]) == pytest.approx(first[2])
    assert first[1] + first[3] == pytest.approx(second[1] + second[3])  # on one line


def test_a_turned_chromosome_is_drawn_upside_down(done, cell):
    greys = open_greys(done, open_images(cell[0]))
    plain, turned = draw_chromosomes(done, greys), draw_chromosomes(done.turn(2), greys)
    assert np.array_equal(plain[2][::-1, ::-1], turned[2])
    assert np.array_equal(plain[3], turned[3])
    assert min(picture.min() for picture in plain.values()) < 8  # black, the darkest of the cell
    assert np.median(plain[2][[0, -1]]) > 250  # on white


def test_sizes_compare(done, cell):
    pictures = draw_chromosomes(done, open_greys(done, open_images(cell[0])))
    heights = {item.assigned: len(pictures[item.id]) for item in done.chromosomes}
    assert heights["1"] > heights["8"] > heights["16"] > heights["21"]


@pytest.mark.parametrize("name", ["<&>\x07.png", "a\nb", "細胞", "x" * 300])
def test_strange_names_are_drawn(done, cell, name):
    import dataclasses

    strange = dataclasses.replace(done, cell=name)
    sheet = lay_out(strange, draw_chromosomes(strange, open_greys(done, open_images(cell[0]))))
    ET.fromstring(to_svg(sheet))
    to_image(sheet)


def test_an_edited_chromosome_has_its_colour(done, cell):
    moved = done.move(1, "").move(2, "X")
    sheet = lay_out(moved, draw_chromosomes(moved, open_greys(done, open_images(cell[0]))))
    assert sum(getattr(shape, "fill", "") == EDITED for shape in sheet.shapes) == 3  # and the legend's
    assert any(isinstance(shape, Text) and shape.words.startswith("unassigned") for shape in sheet.shapes)


def test_nothing_unreadable_is_dropped(cell, model, tmp_path):
    folder = tmp_path / "cell"
    shutil.copytree(cell[0], folder)
    (folder / "crop 00.png").write_bytes(b"no image")
    Image.new("L", (30, 60)).save(folder / "crop 01.png")
    result = karyotype(model, open_images(folder), cell="c")
    assert [item.id for item in result.chromosomes] == list(range(1, 47))
    assert [bool(item.error) for item in result.chromosomes[:3]] == [True, True, False]
    assert "2 unassigned" in result.draft
    sheet = lay_out(result, draw_chromosomes(result, open_greys(result, open_images(folder))))
    assert len(sheet.boxes) == 46
    with pytest.raises(GricolZooError, match="could not be read"):
        result.move(1, "7")
    rows = chromosome_rows(result)
    assert list(rows[0]) == COLUMNS
    assert "not a readable image" in rows[0]["error"]


def test_only_unreadable_images(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    result = karyotype(model, open_images(tmp_path))
    assert result.draft == "not reliable: 0 of 46 chromosomes, incomplete and 1 unassigned"
    assert result.warnings == ["none of its images could be read: use the original files"]


@pytest.mark.parametrize("arm", ["up", "down", ""])
def test_the_short_arm_is_up_where_it_is_known(cell, model, tmp_path, arm):
    shutil.copy(cell[0] / "crop 00.png", tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(f"path,label,short_arm\na.png,,{arm}\n")
    result = karyotype(model, open_images(tmp_path))
    assert result.find(1).short_arm == arm
    assert result.find(1).turned == (arm == "down")


def test_an_unknown_short_arm_is_named(cell, model, tmp_path):
    shutil.copy(cell[0] / "crop 00.png", tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("path,label,short_arm\na.png,,left\n")
    with pytest.raises(GricolZooError, match="up, down or empty, but got 'left'"):
        karyotype(model, open_images(tmp_path))


def test_cells_are_found_and_named(tmp_path):
    for name in ("one/a", "one/b", "two/a"):
        write_cell_of_one(tmp_path / name)
    assert list(cells_of(open_images(tmp_path))) == ["one/a", "one/b", "two/a"]
    lines = [f"{case}/a/0.png,,{case},a" for case in ("one", "two")]
    (tmp_path / "manifest.csv").write_text("path,label,case,cell\n" + "\n".join(lines))
    assert list(cells_of(open_images(tmp_path))) == ["one/a", "two/a"]  # two cases that number their cells alike


def write_cell_of_one(folder):
    folder.mkdir(parents=True)
    Image.effect_noise((20, 40), 50).save(folder / "0.png")


def test_too_many_images_for_a_cell(tmp_path, model, capsys):
    for n in range(201):
        (tmp_path / f"{n}.png").write_bytes(b"")
    assert run("karyotype", tmp_path, "--out", tmp_path / "out") == 2
    assert " has 201. Put each cell" in capsys.readouterr().err
    with pytest.raises(GricolZooError, match="has 201"):
        karyotype(model, open_images(tmp_path))


def test_folder_names_are_safe_and_unlike():
    assert folder_names(["a/b", "a_b", "..", "клетка 1", "A_B"]) == ["a_b", "a_b_2", "cell", "клетка 1", "A_B_3"]
    assert len(set(folder_names("!" * (1 + n) + "a" + "?" * n for n in range(3000)))) == 3000
    long = folder_names([f"{'细' * 300}{number}" for number in range(2)])
    assert len(set(long)) == 2
    assert all(len(name.encode()) < 255 for name in long)


def test_the_command_and_its_record(cell, tmp_path, capsys):
    out = tmp_path / "out"
    zipped = zip_folder(cell[0], tmp_path / "my cell.zip")
    assert run("karyotype", zipped, "--out", out) == 0
    assert "46,XY (draft); 46 images" in capsys.readouterr().out
    assert sorted(file.name for file in out.iterdir()) == [
        "cells.csv",
        "chromosomes.csv",
        "karyogram.png",
        "karyogram.svg",
        "karyotype.json",
    ]
    assert len(read_csv(out / "chromosomes.csv")) == 46
    assert run("verify", out / "karyotype.json") == 0
    assert "was reproduced: 46,XY" in capsys.readouterr().out
    zipped.rename(tmp_path / "moved.zip")
    assert run("verify", out / "karyotype.json") == 2
    assert "with --images" in capsys.readouterr().err
    assert run("verify", out / "karyotype.json", "--images", tmp_path / "moved.zip") == 0


def test_edits_by_hand_are_noted_drawn_and_never_lost(cell, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("karyotype", cell[0], "--out", out) == 0
    first = (out / "karyogram.png").read_bytes()
    data = json.loads((out / "karyotype.json").read_text())
    data["chromosomes"][3]["assigned"] = ""
    data["chromosomes"][4]["turned"] = True
    (out / "karyotype.json").write_text(json.dumps(data))
    assert run("verify", out / "karyotype.json") == 1
    assert "without a recorded edit" in capsys.readouterr().out
    assert run("karyotype", cell[0], "--out", out) == 2
    assert "manual edits, which would be lost" in capsys.readouterr().err
    assert run("karyotype", out / "karyotype.json", "--out", out, "--by", "AB") == 0
    assert "1 unassigned (draft)" in capsys.readouterr().out
    edited = read_karyotype(out / "karyotype.json")
    found = [(edit.id, edit.by, edit.what, edit.after) for edit in edited.edits]
    assert found == [(4, "AB", "assigned", ""), (5, "AB", "turned", "upside down")]
    assert (out / "karyogram.png").read_bytes() != first
    assert run("verify", out / "karyotype.json") == 0
    assert run("karyotype", out / "karyotype.json", "--out", tmp_path / "again", "--by", "CD") == 0
    assert len(read_karyotype(tmp_path / "again" / "karyotype.json").edits) == 2  # noted once
    data = json.loads((out / "karyotype.json").read_text())
    data["chromosomes"][4]["turned"] = False
    (out / "karyotype.json").write_text(json.dumps(data))
    assert run("verify", out / "karyotype.json") == 1
    assert "chromosome 5 is as it lies without a recorded edit" in capsys.readouterr().out


def test_a_file_of_another_name_does_not_overwrite_edits(done, tmp_path, capsys):
    done.move(1, "").write(tmp_path / "karyotype.json")
    done.write(tmp_path / "other.json")
    before = (tmp_path / "karyotype.json").read_bytes()
    assert run("karyotype", tmp_path / "other.json", "--out", tmp_path) == 2
    assert "would be lost" in capsys.readouterr().err
    assert (tmp_path / "karyotype.json").read_bytes() == before


@pytest.mark.parametrize("option", ["--model=x", "--cell=x", "--extra=1", "--extra=0"])
def test_drawing_again_takes_no_other_classes(done, tmp_path, option, capsys):
    done.write(tmp_path / "k.json")
    assert run("karyotype", tmp_path / "k.json", "--out", tmp_path, option) == 2
    assert "only redrawn" in capsys.readouterr().err


@pytest.mark.slow
def test_several_cells_and_one_of_them(tmp_path, capsys):
    for name in ("a", "b"):
        write_cell(tmp_path / "in" / name, seed=ord(name), sex="F")
    assert run("karyotype", tmp_path / "in", "--out", tmp_path / "out") == 0
    assert [row["cell"] for row in read_csv(tmp_path / "out" / "cells.csv")] == ["a", "b"]
    assert (tmp_path / "out" / "b" / "karyotype.json").is_file()
    assert run("verify", tmp_path / "out" / "b" / "karyotype.json") == 0
    assert run("karyotype", tmp_path / "in", "--out", tmp_path / "one", "--cell", "b") == 0
    assert read_karyotype(tmp_path / "one" / "karyotype.json").cell == "b"
    capsys.readouterr()
    assert run("karyotype", tmp_path / "in", "--out", tmp_path / "one", "--cell", "c") == 2
    assert "No cell 'c' among 2" in capsys.readouterr().err


def flip(file, place=-1):
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))


def test_verify_sees_one_byte_of_an_input(cell, tmp_path, capsys):
    folder = tmp_path / "cell"
    shutil.copytree(cell[0], folder)
    assert run("karyotype", folder, "--out", tmp_path / "out") == 0
    flip(folder / "crop 07.png")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 1
    assert "crop 07.png has changed" in capsys.readouterr().out
    flip(folder / "crop 07.png")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    (folder / "crop 07.png").write_bytes((folder / "crop 08.png").read_bytes())
    assert run("karyotype", tmp_path / "out" / "karyotype.json", "--out", tmp_path / "again") == 2
    assert "is not the file this karyotype was made from" in capsys.readouterr().err
    (folder / "crop 07.png").unlink()
    assert run("verify", tmp_path / "out" / "karyotype.json") == 1
    assert "0 new, 1 missing; crop 07.png" in capsys.readouterr().out


def test_verify_sees_one_byte_of_the_weights(cell, tmp_path, capsys):
    gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True).save_pretrained(tmp_path / "weights")
    assert run("karyotype", cell[0], "--model", tmp_path / "weights", "--out", tmp_path / "out") == 0
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    flip(tmp_path / "weights" / "model.safetensors")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 1
    assert "is not the file that its config describes" in capsys.readouterr().out
    # Other weights, although intact, are not those of the record either.
    assert run("verify", tmp_path / "out" / "karyotype.json", "--model", "r18half_128.pki3") == 1
    assert "the weights were" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("automatic", "Y", "automatic was"),
        ("predicted", "Y", "predicted was"),
        ("confidence", 0.25, "confidence was"),
        ("error", "damaged", "error was"),
        ("probabilities", {"1": 0.5}, "of different classes"),
    ],
)
def test_verify_sees_what_was_altered_in_the_record(done, tmp_path, key, value, message, capsys):
    data = json.loads(done.to_json())
    data["chromosomes"][0][key] = value
    if key == "automatic":  # as a forger would, to make it look like the automatic result
        data["chromosomes"][0]["assigned"] = value
    (tmp_path / "k.json").write_text(json.dumps(data))
    assert run("verify", tmp_path / "k.json") == 1
    assert message in capsys.readouterr().out


def test_verify_sees_an_altered_probability(done, tmp_path, capsys):
    data = json.loads(done.to_json())
    probabilities = data["chromosomes"][0]["probabilities"]
    probabilities["Y"] += 0.001
    (tmp_path / "k.json").write_text(json.dumps(data))
    assert run("verify", tmp_path / "k.json") == 1
    assert "its probabilities differ" in capsys.readouterr().out


def test_verify_says_what_versions_were_others(done, tmp_path, capsys):
    data = json.loads(done.to_json())
    data["versions"]["torch"] = "1.0"
    (tmp_path / "k.json").write_text(json.dumps(data))
    assert run("verify", tmp_path / "k.json") == 0
    assert "torch was 1.0" in capsys.readouterr().err


def test_edits_that_do_not_follow(done, tmp_path, capsys):
    data = json.loads(done.move(1, "").to_json())
    data["edits"][0]["before"] = "X" if data["edits"][0]["before"] != "X" else "Y"
    (tmp_path / "k.json").write_text(json.dumps(data))
    assert run("verify", tmp_path / "k.json") == 1
    assert "are inconsistent" in capsys.readouterr().out


# --- scale, polarity, warnings ---

CELLS = ["case", "cell", "draft", "images", "unassigned", "unreadable", "doubtful", "scale", "warnings", "checked"]


def load(folder):
    return gricol_zoo.create_model(f"local-dir:{folder}", pretrained=True, deployed=True)


@pytest.fixture(scope="module")
def knowing(measured):
    """A model whose length and reference were measured on synthetic cells."""
    return load(measured)


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    """The cell from a camera of twice the resolution."""
    folder = tmp_path_factory.mktemp("fine") / "cell"
    write_cell(folder, zoom=2.0)
    return folder


def warnings_in(karyotype):
    """The warnings of single images, except for the size of chromosome 1 on a canvas of 128 pixels."""
    return [one for item in karyotype.chromosomes for one in item.warnings if "too large for the canvas" not in one]


def test_an_ordinary_cell_has_no_warning(cell, knowing):
    result = karyotype(knowing, open_images(cell[0]))
    assert (result.draft, result.scale, result.warnings, warnings_in(result)) == ("46,XY", 1, [], [])
    assert result.options["preparation"] == 2


def test_a_cell_of_another_camera_is_brought_to_size(cell, fine, measured, knowing, tmp_path, capsys):
    usual = karyotype(knowing, open_images(cell[0]))
    arguments = ["karyotype", fine, "--model", measured, "--out"]
    assert run(*arguments, tmp_path / "auto") == 0
    assert "warning:" not in capsys.readouterr().err
    found = read_karyotype(tmp_path / "auto" / "karyotype.json")
    assert 0.4 < found.scale < 0.65
    assert found.draft == "46,XY"
    assert [item.assigned for item in found.chromosomes] == [item.assigned for item in usual.chromosomes]
    (row,) = read_csv(tmp_path / "auto" / "cells.csv")
    assert float(row["scale"]) == found.scale
    assert run("verify", tmp_path / "auto" / "karyotype.json") == 0

    assert run(*arguments, tmp_path / "none", "--scale", "none") == 0
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line and not line.startswith("taken as layout ")]
    assert all(line.startswith("warning: cell: ") for line in lines)
    assert any("times as long as in the training images: try `--scale auto`" in line for line in lines)
    assert ": not reliable: " in said.out
    (row,) = read_csv(tmp_path / "none" / "cells.csv")
    assert row["scale"] == "1"
    assert row["draft"].startswith("not reliable: ")
    assert row["warnings"] == "; ".join(line.removeprefix("warning: cell: ") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--scale", "2"], ["--scale", "2", "--preparation", "2"], ["--scale", "0.8765432109"]])
def test_verify_goes_by_the_scale_and_preparation_of_the_record(cell, tmp_path, options, capsys):
    assert run("karyotype", cell[0], "--model", OLD_MODEL, "--out", tmp_path, *options) == 0
    record = tmp_path / "karyotype.json"
    data = json.loads(record.read_text())
    assert data["scale"] == float(options[1])
    assert data["options"]["preparation"] == (2 if "--preparation" in options else 1)
    assert run("verify", record) == 0
    for change in ({"scale": 1.0}, {"options": {**data["options"], "preparation": 3 - data["options"]["preparation"]}}):
        record.write_text(json.dumps({**data, **change}))
        assert run("verify", record) == 1
        assert "its probabilities differ" in capsys.readouterr().out


def test_verify_leaves_a_model_as_it_was(cell, tmp_path, model):
    from gricol_zoo.inference.preparation import prepare_as

    other = prepare_as(gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True, deployed=True), 1, "dark")
    record = karyotype(other, open_images(cell[0]))
    before = model.spec
    assert differences(record, model, open_images(cell[0])) == []
    assert model.spec == before != other.spec


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scale": 0}, "got 0"),
        ({"scale": -2.0}, "got -2.0"),
        ({"scale": float("nan")}, "got nan"),
        ({"scale": float("inf")}, "got inf"),
        ({"scale": 10**400}, "auto, none, or a number in"),
        ({"scale": True}, "scale is True, expected float"),
        ({"scale": "auto"}, "scale is 'auto', expected float"),
        ({"scale": None}, "scale is None, expected float"),
        ({"warnings": "all"}, "warnings is 'all', expected"),
        ({"warnings": [1]}, "expected each warning to be a string, but got 1"),
        ({"options": {"preparation": 7}}, "to be 1 or 2, but got 7"),
        ({"options": {"preparation": "two"}}, "to be 1 or 2, but got 'two'"),
        ({"options": {"ground": "purple"}}, "got 'purple'"),
    ],
)
def test_a_hostile_record_is_one_line(done, cell, tmp_path, change, said, capsys):
    data = json.loads(done.to_json())
    commands = [("verify", tmp_path / "k.json")]
    if "options" in change:
        change = {"options": {**data["options"], **change["options"]}}
    else:  # neither drawn again
        commands.append(("karyotype", tmp_path / "k.json", "--out", tmp_path / "out"))
    (tmp_path / "k.json").write_text(json.dumps({**data, **change}))
    for command in commands:
        assert run(*command) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("key", "value"), [("warnings", [None]), ("warnings", "x"), ("polarity", "up"), ("polarity", [0.5]), ("turned", 1)]
)
def test_a_hostile_chromosome_is_one_line(done, tmp_path, key, value, capsys):
    data = json.loads(done.to_json())
    data["chromosomes"][3][key] = value
    (tmp_path / "k.json").write_text(json.dumps(data))
    for command in (("verify", tmp_path / "k.json"), ("karyotype", tmp_path / "k.json", "--out", tmp_path / "o")):
        assert run(*command) == 2
        error = capsys.readouterr().err
        assert "is damaged" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("key", ["polarity", "confidence", "probabilities"])
def test_nan_in_a_record_is_no_agreement(done, tmp_path, key, capsys):
    data = json.loads(done.to_json())
    item = data["chromosomes"][0]
    item[key] = {label: float("nan") for label in item["probabilities"]} if key == "probabilities" else float("nan")
    (tmp_path / "k.json").write_text(json.dumps(data))
    # If it were drawn, it would read "over 99%".
    for command in (("verify", tmp_path / "k.json"), ("karyotype", tmp_path / "k.json", "--out", tmp_path / "out")):
        assert run(*command) == 2
        assert "a probability is not in 0..1" in capsys.readouterr().err


def as_before(data):
    """A record as it was written before there were scales, warnings and polarity."""
    for key in ("case", "scale", "warnings"):
        del data[key]
    for key in ("preparation", "ground"):
        del data["options"][key]
    for item in data["chromosomes"]:
        del item["polarity"], item["warnings"]
    return data


@pytest.fixture(scope="module")
def plain(cell):
    """The cell by weights of preparation 1, without polarity."""
    old = gricol_zoo.create_model(OLD_MODEL, pretrained=True, deployed=True)
    return karyotype(old, open_images(cell[0]), name=OLD_MODEL, source=str(cell[0]))


def test_records_from_before_still_hold(plain, tmp_path, capsys):
    record = tmp_path / "karyotype.json"
    record.write_text(json.dumps(as_before(json.loads(plain.to_json()))))
    old = read_karyotype(record)
    assert (old.case, old.scale, old.warnings, old.find(1).polarity, old.find(1).warnings) == ("", 1.0, (), None, ())
    assert old.draft == plain.draft
    assert run("verify", record) == 0
    assert "was reproduced: 46,XY" in capsys.readouterr().out
    assert run("karyotype", record, "--out", tmp_path) == 0
    assert [row["turned"] + row["warnings"] for row in read_csv(tmp_path / "chromosomes.csv")] == [""] * 46
    assert [list(row)[: len(CELLS)] for row in read_csv(tmp_path / "cells.csv")] == [CELLS]


def doubled(source, folder, names=("crop 03.png",), copies=1):
    """A cell's files, with copies of some of them."""
    shutil.copytree(source, folder)
    for name in names:
        for number in range(copies):
            shutil.copy(folder / name, folder / f"zz {number} {name}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("prepared", ["1", "2"])
def test_the_same_picture_twice(cell, tmp_path, prepared, capsys):
    folder = doubled(cell[0], tmp_path / "cell")
    image = Image.open(folder / "crop 05.png")
    image.save(folder / "zz other format.bmp")  # other bytes, the same pixels
    assert run("karyotype", folder, "--out", tmp_path / "out", "--preparation", prepared) == 0
    said = capsys.readouterr()
    first, second = "no. 47: the same picture as crop 03.png", "no. 48: the same picture as crop 05.png"
    for text in (first, second):
        assert f"warning: cell: {text}: take one out" in said.err
    result = read_karyotype(tmp_path / "out" / "karyotype.json")
    assert [item.id for item in result.chromosomes if any("same picture" in one for one in item.warnings)] == [47, 48]
    assert result.draft.startswith("not reliable: 48,")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    capsys.readouterr()
    # A record without its warnings does not verify: its draft would read like a finding.
    data = json.loads(result.to_json())
    (tmp_path / "k.json").write_text(json.dumps({**data, "warnings": []}))
    assert read_karyotype(tmp_path / "k.json").draft.startswith("48,")
    assert run("verify", tmp_path / "k.json") == 1
    assert "a warning of the cell is missing" in capsys.readouterr().out


def test_a_classical_system_sees_the_same_picture_too(cell, tmp_path):
    from gricol_zoo.inference.classifier import Classifier

    labels = gricol_zoo.CHROMOSOMES
    even = Classifier("x", "", "", "fp64", labels, lambda grey, _: grey.shape, lambda n, _: (np.zeros((len(n), 24)), None))
    result = karyotype(even, open_images(doubled(cell[0], tmp_path / "cell")))
    assert "no. 47: the same picture as crop 03.png: take one out" in result.warnings
    assert (result.scale, result.options.get("preparation")) == (1, None)


def test_grave_images_are_named_up_to_four(cell, model, tmp_path):
    folder = doubled(cell[0], tmp_path / "cell", [f"crop {n:02d}.png" for n in range(7)])
    warnings = karyotype(model, open_images(folder)).warnings
    assert [one.split(":")[0] for one in warnings if "same picture" in one] == [f"no. {n}" for n in range(47, 51)]
    assert "and 3 more such images" in warnings


def test_two_cells_in_one_heap(cell, model, tmp_path):
    folder = tmp_path / "heap"
    write_cell(folder, seed=9, sex="F")
    for n, file in enumerate(sorted(cell[0].iterdir())[:15]):
        shutil.copy(file, folder / f"b{n}.png")
    result = karyotype(model, open_images(folder))
    assert result.warnings[0] == "61 images: two cells in one heap, or a cell of more than two sets?"
    (folder / "b0.png").write_bytes(b"broken")
    assert not any("heap" in one for one in karyotype(model, open_images(folder)).warnings)


def test_half_a_chromosome(cell, knowing, tmp_path):
    usual = karyotype(knowing, open_images(cell[0]))
    first, second = (item for item in usual.chromosomes if item.assigned == "3")
    shutil.copytree(cell[0], tmp_path / "cell")
    pixels = np.asarray(Image.open(cell[0] / first.path))
    Image.fromarray(pixels[: len(pixels) // 2 - 2]).save(tmp_path / "cell" / first.path)
    result = karyotype(knowing, open_images(tmp_path / "cell"))
    item = result.find(first.id)
    if item.assigned == "3":
        assert f"of the size of its homologue (no. {second.id}): half a chromosome, or another class?" in item.warnings[0]
    assert result.draft != "46,XY"


@pytest.mark.parametrize(
    ("areas", "warned"), [((1.0, HALF - 0.01), 2), ((1.0, HALF + 0.01), None), ((0.3, 1.0), 1), ((1.0, 0.5, 0.4), None)]
)
def test_a_half_is_told_by_its_homologue(areas, warned):
    from gricol_zoo.data.quality import Measures

    items = [Chromosome(n, "", "", assigned="7") for n in range(1, len(areas) + 1)]
    found = halves([*items, Chromosome(9, "", "")], [*(Measures(0, 0, 0, area) for area in areas), Measures(0, 0, 0, 0.01)])
    assert list(found) == [warned] * (warned is not None)
    if warned:
        share = f"{min(areas):.0%}"
        assert found[warned] == (
            f"has {share} of the size of its homologue (no. {3 - warned}): half a chromosome, or another class?"
        )


def test_several_chromosomes_in_one_crop(cell, knowing, tmp_path):
    folder = tmp_path / "cell"
    shutil.copytree(cell[0], folder)
    crops = [np.asarray(Image.open(folder / f"crop {n:02d}.png")) for n in range(8)]
    height = max(map(len, crops))
    row = np.concatenate([np.pad(crop, ((0, height - len(crop)), (5, 5))) for crop in crops], 1)
    Image.fromarray(row).save(folder / "crop 00.png")
    Image.fromarray(row[:, : sum(crop.shape[1] + 10 for crop in crops[:2])]).save(folder / "crop 01.png")
    result = karyotype(knowing, open_images(folder))
    assert "no. 1: a whole metaphase in one crop: cut the chromosomes apart" in result.warnings
    assert "no. 2: several chromosomes in one crop: cut them apart" in result.warnings
    assert result.draft.startswith("not reliable: ")


def test_a_cell_that_is_blurred_says_so(cell, knowing, tmp_path):
    from gricol_zoo.data.synthetic import blur

    folder = tmp_path / "cell"
    folder.mkdir()
    for file in cell[0].iterdir():
        grey = blur(np.pad(np.asarray(Image.open(file)), 8).astype(float), 4.0)
        Image.fromarray(grey.astype(np.uint8)).save(folder / file.name)
    result = karyotype(knowing, open_images(folder))
    assert any(one.startswith("not like the training images (") and "blurred" in one for one in result.warnings)


def test_another_model_that_fits_better_is_named(cell, model, monkeypatch, tmp_path, capsys):
    from gricol_zoo.inference.classifier import of_network
    from gricol_zoo.models.calibration import Calibration

    folder = doubled(cell[0], tmp_path / "cell")
    asked = []

    def rivals(sure):
        asked.append(sure)
        logits = np.zeros((47, 24))
        logits[:, 0] = np.log(23 * sure / max(1 - sure, 1e-12))
        other = {"name": "other.band", "answer": lambda some, _: (logits[: len(some)], None)}
        yield of_network(model)._replace(calibration=Calibration(), **other)

    def warned(images, sure):
        return [one for one in karyotype(model, images, rivals=lambda: rivals(sure)).warnings if "fits" in one]

    (said,) = warned(open_images(folder), 1.0 - 1e-9) if confidence_of(model, folder) < 0.89 else ("other.band fits",)
    assert said.startswith("other.band fits")
    assert warned(open_images(folder), 0.5) == []
    asked.clear()
    assert warned(open_images(cell[0]), 1.0) == []  # the cell is trusted, so no other model is asked
    assert asked == []


def confidence_of(model, folder):
    result = karyotype(model, open_images(folder))
    return np.mean([max(item.probabilities.values()) for item in result.chromosomes])


def test_a_cell_of_one_image(cell, measured, tmp_path, capsys):
    (tmp_path / "cell").mkdir()
    shutil.copy(cell[0] / "crop 00.png", tmp_path / "cell" / "a.png")
    assert run("karyotype", tmp_path / "cell", "--model", measured, "--out", tmp_path / "out") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert warnings[0].startswith(
        "warning: cell: scale taken as 1: too few crops to estimate it (1, needs at least 20 of one cell or case)"
    )
    (row,) = read_csv(tmp_path / "out" / "cells.csv")
    assert list(row)[: len(CELLS)] == CELLS  # later versions add theirs behind
    assert (row["cell"], row["images"], row["scale"], row["checked"]) == ("cell", "1", "1", "")
    assert row["draft"] == "not reliable: 1 of 46 chromosomes, incomplete"
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    # Without scaling, there is nothing to report about one crop.
    assert run("karyotype", tmp_path / "cell", "--model", measured, "--out", tmp_path / "o", "--scale", "none") == 0
    assert not [line for line in capsys.readouterr().err.splitlines() if "scale" in line]


def test_a_cell_of_broken_files_alone(measured, tmp_path, capsys):
    (tmp_path / "cell").mkdir()
    for n, data in enumerate((b"", b"no image", b"\x89PNG\r\n\x1a\n")):
        (tmp_path / "cell" / f"{n}.png").write_bytes(data)
    for options in ([], ["--model", measured]):
        out = tmp_path / f"out{len(options)}"
        assert run("karyotype", tmp_path / "cell", "--out", out, *options) == 0
        assert "warning: cell: none of its images could be read" in capsys.readouterr().err
        (row,) = read_csv(out / "cells.csv")
        assert (row["images"], row["unreadable"], row["unassigned"], row["doubtful"]) == ("3", "3", "0", "0")
        assert row["draft"] == "not reliable: 0 of 46 chromosomes, incomplete and 3 unassigned"
        assert all(one["error"] for one in read_csv(out / "chromosomes.csv"))
        assert run("verify", out / "karyotype.json") == 0
        capsys.readouterr()


def test_a_small_cell_goes_by_its_case(fine, measured, tmp_path, capsys):
    lines = ["path,label,case,cell"]
    for n, file in enumerate(sorted(fine.iterdir())):
        cells = ["small"] * 12 + ["broken"] * 25
        name = cells[n] if n < len(cells) else "rest"
        data = b"broken" if name == "broken" and n % 5 == 0 else file.read_bytes()
        (tmp_path / file.name).write_bytes(data)
        lines.append(f"{file.name},,p,{name}")
    alone = tmp_path / "alone.png"
    alone.write_bytes(file.read_bytes())
    (tmp_path / "manifest.csv").write_text("\n".join([*lines, "alone.png,,q,alone"]))
    assert run("karyotype", tmp_path, "--model", measured, "--out", tmp_path / "out") == 0
    warnings = capsys.readouterr().err
    rows = {row["cell"]: row for row in read_csv(tmp_path / "out" / "cells.csv")}
    assert [row["case"] for row in rows.values()] == ["p", "p", "p", "q"]
    assert rows["small"]["scale"] == rows["rest"]["scale"]
    assert all(0.4 < float(rows[name]["scale"]) < 0.7 for name in ("small", "rest", "broken"))  # 20 of 25 can be read
    assert rows["broken"]["scale"] != rows["small"]["scale"]
    assert rows["alone"]["scale"] == "1"
    assert warnings.count("scale taken as 1") == 1


@pytest.mark.parametrize("option", [["--scale", "2"], ["--scale", "none"], ["--preparation", "2"], ["--ground", "dark"]])
def test_drawing_again_takes_no_other_preparation(done, tmp_path, option, capsys):
    done.write(tmp_path / "k.json")
    assert run("karyotype", tmp_path / "k.json", "--out", tmp_path, *option) == 2
    assert f"{option[0]} changes the classes" in capsys.readouterr().err


def test_drawing_again_writes_the_cell_anew(done, tmp_path):
    done.move(5, "").write(tmp_path / "karyotype.json")
    assert run("karyotype", tmp_path / "karyotype.json", "--out", tmp_path) == 0
    (row,) = read_csv(tmp_path / "cells.csv")
    assert list(row)[: len(CELLS)] == CELLS  # later versions add theirs behind
    assert row["draft"].endswith(" and 1 unassigned")


def test_warnings_are_in_every_file(cell, tmp_path):
    folder = doubled(cell[0], tmp_path / "cell")
    Image.open(folder / "crop 00.png").save(folder / "crop 00.tif", save_all=True, append_images=[Image.new("L", (9, 9))])
    (folder / "crop 00.png").unlink()
    assert run("karyotype", folder, "--out", tmp_path / "out") == 0
    twice, pages = "the same picture as crop 03.png: take one out", "only the first of 2 pages was used"
    rows = {row["id"]: row["warnings"] for row in read_csv(tmp_path / "out" / "chromosomes.csv")}
    assert (rows["1"], rows["47"]) == (pages, twice)
    (row,) = read_csv(tmp_path / "out" / "cells.csv")
    assert twice in row["warnings"].split("; ")[0]
    data = json.loads((tmp_path / "out" / "karyotype.json").read_text())
    assert data["draft"].startswith("not reliable: ")
    assert data["chromosomes"][46]["warnings"] == [twice]
    drawn = " ".join(ET.fromstring((tmp_path / "out" / "karyogram.svg").read_text()).itertext())
    assert f"Warning: no. 47: {twice}" in drawn
    assert drawn.count(twice) == 1
    assert f"no. 1: {pages}" in drawn
    assert "not reliable: 47," in drawn


def test_a_name_with_ends_of_lines_stays_one_warning(cell, tmp_path, capsys):
    folder = tmp_path / "a\nb"
    folder.mkdir()
    for name in ("a\nb.png", "c.png"):
        shutil.copy(cell[0] / "crop 00.png", folder / name)
    assert run("karyotype", folder, "--out", tmp_path / "out") == 0
    warnings = capsys.readouterr().err.splitlines()
    assert all(line.startswith(("warning: ", "taken as layout ")) for line in warnings)
    assert any("the same picture as a b.png" in line for line in warnings)


@pytest.mark.parametrize("arm", ["", "up", "down"])
def test_polarity_turns_a_chromosome_unless_the_file_says_it(cell, tmp_path, arm):
    import torch

    model = gricol_zoo.create_model("r18half_192", deployed=True, image_size=(96, 96), cell_size=(48, 48)).eval()
    for up in (True, False):
        with torch.no_grad():
            model.classifier.bias.copy_(torch.tensor([4.0, -4.0] if up else [-4.0, 4.0]).repeat(24))
        folder = tmp_path / str(up)
        folder.mkdir()
        for name in ("crop 00.png", "crop 01.png"):
            shutil.copy(cell[0] / name, folder / name)
        (folder / "manifest.csv").write_text(f"path,label,short_arm\ncrop 00.png,,{arm}\ncrop 01.png,,\n")
        result = karyotype(model, open_images(folder))
        said, free = result.chromosomes
        assert [item.polarity > 0.5 for item in result.chromosomes] == [up, up]
        assert free.turned != up
        assert said.turned == ((arm == "down") if arm else not up)
        assert [row["turned"] for row in chromosome_rows(result)] == [int(said.turned), int(free.turned)]
        greys = open_greys(result, open_images(folder))
        drawn, plain = draw_chromosomes(result, greys), draw_chromosomes(result.turn(2) if free.turned else result, greys)
        assert np.array_equal(drawn[2], plain[2][::-1, ::-1] if free.turned else plain[2])
        (tmp_path / "k.json").write_text(result.to_json())
        assert read_karyotype(tmp_path / "k.json").find(2).polarity == free.polarity


def test_without_polarity_nothing_is_said_of_it(plain, done):
    assert {row["turned"] for row in chromosome_rows(plain)} == {""}
    assert chromosome_rows(plain.turn(3))[2]["turned"] == 1  # by hand
    assert {row["turned"] for row in chromosome_rows(done)} <= {0, 1}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8_go_through_every_file(cell, tmp_path):
    place = tmp_path / "set" / "caf"
    shutil.copytree(cell[0], place)
    first = min(place.iterdir())
    os.rename(first, os.fsencode(place) + b"/caf\xe9.png")
    os.rename(place, os.fsencode(tmp_path / "set") + b"/caf\xe9")
    assert run("karyotype", tmp_path / "set", "--out", tmp_path / "out") == 0
    assert run("karyotype", tmp_path / "out" / "karyotype.json", "--out", tmp_path / "again") == 0
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    (row,) = read_csv(tmp_path / "out" / "cells.csv")
    assert row["cell"] == "caf\\udce9"
    assert "caf\\udce9/caf\\udce9.png" in {row["path"] for row in read_csv(tmp_path / "out" / "chromosomes.csv")}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_edited_record_reads_whatever_the_editor_saved(encoding, cell, tmp_path):
    assert run("karyotype", cell[0], "--out", tmp_path / "out") == 0
    file = tmp_path / "out" / "karyotype.json"
    file.write_text(file.read_text(encoding="utf-8"), encoding=encoding)
    assert run("karyotype", file, "--out", tmp_path / "out") == 0


def test_a_record_finds_images_whose_names_changed_their_unicode_form(cell, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(3):
        shutil.copy(cell[0] / f"crop {number:02d}.png", folder / f"\u00fc{number}.png")
    assert run("karyotype", folder, "--out", tmp_path / "out") == 0
    for number in range(3):
        (folder / f"\u00fc{number}.png").rename(folder / f"u\u0308{number}.png")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    assert run("karyotype", tmp_path / "out" / "karyotype.json", "--out", tmp_path / "again") == 0
