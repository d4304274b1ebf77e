"""From a cell's images to its files, the edits and the drawing again, and whether a record holds."""

import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from conftest import write_cell, zip_folder
from PIL import Image

import gricol_zoo
from gricol_zoo import DEFAULT_MODEL, GricolZooError
from gricol_zoo.cli import main
from gricol_zoo.data.readers import open_images
from gricol_zoo.karyotype.document import Chromosome, Karyotype, read_karyotype
from gricol_zoo.karyotype.draft import draft
from gricol_zoo.karyotype.draw import to_image, to_svg
from gricol_zoo.karyotype.layout import EDITED, Picture, Text, lay_out
from gricol_zoo.karyotype.output import folder_names
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.run import cells_of, karyotype
from gricol_zoo.karyotype.table import COLUMNS, chromosome_rows
from gricol_zoo.rows import read_csv

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
    assert done.options == {"dtype": "fp32", "costs": costs, "layout": "auto", "preparation": 2, "ground": "auto"}
    assert (done.scale, done.warnings) == (1, [])


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


@pytest.mark.parametrize(("id", "label", "message"), [(0, "1", "from 1 to 46"), (1, "23", "Expected a class of 1, 2")])
def test_wrong_edits_are_named(done, id, label, message):
    with pytest.raises(GricolZooError, match=message):
        done.move(id, label)


def test_the_doubtful_come_least_sure_first(done):
    items = [Chromosome(n, f"{n}.png", "", assigned="1", automatic="1", confidence=c) for n, c in enumerate((0.8, 1, 0.5), 1)]
    items += [Chromosome(4, "4.png", "", confidence=0.99), Chromosome(5, "5.png", "", error="damaged")]
    items += [Chromosome(6, "6.png", "", assigned="2", automatic="1", confidence=0.5)]  # a person has seen to it
    assert [item.id for item in Karyotype("c", items, ["1", "2"]).doubtful()] == [3, 1, 4]


DAMAGES = {
    "no JSON": lambda data: "{",
    "no karyotype.json of format": lambda data: json.dumps({**data, "format": 2}),
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
    assert words[1].startswith("клетка 1 ")
    assert [word for word in words if word in gricol_zoo.CHROMOSOMES] == list(gricol_zoo.CHROMOSOMES)  # ISCN order


def test_homologues_stand_side_by_side(done, cell):
    sheet = lay_out(done, draw_chromosomes(done, open_greys(done, open_images(cell[0]))))
    first, second = (sheet.boxes[item.id] for item in done.chromosomes if item.assigned == "3")
    assert abs(first[0] - second[0]) == first[2]
    assert first[1] + first[3] == second[1] + second[3]  # on one line


def test_a_turned_chromosome_is_drawn_upside_down(done, cell):
    greys = open_greys(done, open_images(cell[0]))
    plain, turned = draw_chromosomes(done, greys), draw_chromosomes(done.turn(2), greys)
    assert np.array_equal(plain[2][::-1, ::-1], turned[2])
    assert np.array_equal(plain[3], turned[3])
    assert plain[2].min() < 64  # dark
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
    assert "not an image" in rows[0]["error"]


def test_only_unreadable_images(model, tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    result = karyotype(model, open_images(tmp_path))
    assert result.draft == "not reliable: 0 of 46 chromosomes, incomplete and 1 unassigned"
    assert result.warnings == ["none of its images could be read: take the original files"]


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
    assert "has 201 images, and a cell has about 46" in capsys.readouterr().err
    with pytest.raises(GricolZooError, match="201 images"):
        karyotype(model, open_images(tmp_path))


def test_folder_names_are_safe_and_unlike():
    assert folder_names(["a/b", "a_b", "..", "клетка 1", "A_B"]) == ["a_b", "a_b_2", "cell", "клетка 1", "A_B_3"]


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
    assert "holds: 46,XY" in capsys.readouterr().out
    zipped.rename(tmp_path / "moved.zip")
    assert run("verify", out / "karyotype.json") == 2
    assert "Say with --images" in capsys.readouterr().err
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
    assert "no edit of it is noted" in capsys.readouterr().out
    assert run("karyotype", cell[0], "--out", out) == 2
    assert "edits by a person, which would be lost" in capsys.readouterr().err
    assert run("karyotype", out / "karyotype.json", "--out", out, "--by", "AB") == 0
    assert "1 unassigned (draft)" in capsys.readouterr().out
    edited = read_karyotype(out / "karyotype.json")
    assert [(edit.id, edit.by, edit.after) for edit in edited.edits] == [(4, "AB", "")]
    assert (out / "karyogram.png").read_bytes() != first
    assert run("verify", out / "karyotype.json") == 0
    assert run("karyotype", out / "karyotype.json", "--out", tmp_path / "again", "--by", "CD") == 0
    assert len(read_karyotype(tmp_path / "again" / "karyotype.json").edits) == 1  # noted once


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
    assert "only drawn again" in capsys.readouterr().err


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
    assert "is not the file that this karyotype was made from" in capsys.readouterr().err
    (folder / "crop 07.png").unlink()
    assert run("verify", tmp_path / "out" / "karyotype.json") == 1
    assert "0 new, 1 gone; crop 07.png" in capsys.readouterr().out


def test_verify_sees_one_byte_of_the_weights(cell, tmp_path, capsys):
    gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True).save_pretrained(tmp_path / "weights")
    assert run("karyotype", cell[0], "--model", tmp_path / "weights", "--out", tmp_path / "out") == 0
    assert run("verify", tmp_path / "out" / "karyotype.json") == 0
    flip(tmp_path / "weights" / "model.safetensors")
    assert run("verify", tmp_path / "out" / "karyotype.json") == 1
    assert "is not the file that its config describes" in capsys.readouterr().out
    # Other weights, whole by themselves, are not the record's either.
    assert run("verify", tmp_path / "out" / "karyotype.json", "--model", "r18half_128.pki3") == 1
    assert "the weights are" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("automatic", "Y", "automatic is now"),
        ("predicted", "Y", "predicted is now"),
        ("confidence", 0.25, "confidence is now"),
        ("error", "damaged", "error is now"),
        ("probabilities", {"1": 0.5}, "of other classes"),
    ],
)
def test_verify_sees_what_was_altered_in_the_record(done, tmp_path, key, value, message, capsys):
    data = json.loads(done.to_json())
    data["chromosomes"][0][key] = value
    if key == "automatic":  # as somebody would who wants it to look like the machine's
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
    assert "do not follow" in capsys.readouterr().out
