"""The page, tested without a browser."""

import csv
import io
import os
import random
import re
import socket
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers.review import files_of, move, turn
from helpers.uploads import bomb, encrypted, write_files, write_zip
from PIL import Image

from gricol_zoo import DEFAULT_MODEL, GricolZooError, create_model
from gricol_zoo.cli import main
from gricol_zoo.data.store import MAX_FILE, Store
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.errors import ImageError
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows
from gricol_zoo.serve import board, markup, uploads
from gricol_zoo.serve import sessions as sessions_module
from gricol_zoo.serve.details import look_at, overlay
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.page import act
from gricol_zoo.serve.server import without_proxies
from gricol_zoo.serve.session import Session
from gricol_zoo.serve.sessions import Sessions
from gricol_zoo.serve.uploads import MAX_CELLS, MAX_IMAGES, MAX_MEMBERS, check_cell, check_zip, open_upload

ODD = "患者 7 {{x}} ${1+1} <i>ß.png"


def encode(grey):
    stream = io.BytesIO()
    Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def crops():
    """The PNG files of a rendered cell, 46 of them."""
    return [encode(image) for _, _, image in render_cell(3, sex="M")]


@pytest.fixture(scope="module")
def models():
    names = (DEFAULT_MODEL, "r18half_128.pki3")
    return ModelPool({name: create_model(name, pretrained=True, deployed=True) for name in names})


def test_a_model_is_made_ready_once_for_all_tabs(models):
    offered = ModelPool({DEFAULT_MODEL: models[DEFAULT_MODEL]}, "onnxruntime")
    offered.prepare()
    classifier = offered.classifier(DEFAULT_MODEL)
    assert classifier is offered.classifier(DEFAULT_MODEL)
    assert (classifier.name, classifier.dtype) == (DEFAULT_MODEL, "fp32")
    assert classifier.runtime.startswith("onnxruntime ")
    assert not any(weight.is_meta for weight in offered[DEFAULT_MODEL].parameters())  # this model computes the Grad-CAM


@pytest.fixture
def tab(tmp_path, models):
    (tmp_path / "sessions").mkdir()
    return Session(tmp_path / "sessions", models)


@pytest.fixture
def done(tab, crops, tmp_path):
    """A tab with a classified cell; the zip's member 0 has an odd name."""
    names = [f"cell 1/{number:02d}.png" for number in range(1, 46)]
    tab.take([write_zip(tmp_path / "case 7.zip", dict(zip([f"cell 1/{ODD}", *names], crops, strict=True)))])
    tab.run(DEFAULT_MODEL)
    return tab


def test_a_zip_becomes_a_karyotype(done):
    karyotype = done.karyotype
    assert (karyotype.source, karyotype.cell, len(karyotype.chromosomes)) == ("case 7.zip", "cell 1", 46)
    assert karyotype.model["name"] == DEFAULT_MODEL
    assert karyotype.draft == "46,XY"
    page = board.karyogram(done.cells["cell 1"], selected=5)
    assert page.count('class="hit') == page.count("<image") == 46
    assert re.findall(r'class="hit chosen" data-id="(\d+)"', page) == ["5"]


def test_a_move_changes_draft_list_and_files_at_once(done):
    first = done.karyotype.find(1)
    with pytest.raises(GricolZooError, match="No chromosome is selected"):
        act(done, "move", {"id": None, "label": "21"}, "")
    done.select(1)
    assert move(done, "21", by="  A\n B ") == f"No. 1 moved: {first.assigned} to 21."
    assert done.karyotype.draft == f"46,XY,-{first.assigned},+21"
    (edit,) = done.karyotype.edits
    assert (edit.id, edit.before, edit.after, edit.by) == (1, first.assigned, "21", "A B")
    assert "by hand" in board.karyogram(done.cells["cell 1"], 1)
    assert "already" in move(done, "21")
    move(done, "")
    assert done.karyotype.draft == f"45,XY,-{first.assigned} and 1 unassigned"
    assert 'data-id="1"' not in markup.doubts(done.karyotype, None)  # a person has looked at it already
    with pytest.raises(GricolZooError, match="Expected a class"):
        move(done, "25")
    with pytest.raises(GricolZooError, match="Expected a chromosome"):
        done.select(99)


def test_turning_turns_the_picture(done):
    done.select(2)
    before = done.cells["cell 1"].pictures[2].copy()
    turn(done)
    np.testing.assert_array_equal(done.cells["cell 1"].pictures[2], before[::-1, ::-1])
    assert done.karyotype.find(2).turned


def test_the_files_agree_with_each_other(done, tmp_path):
    done.select(1)
    move(done, "21", by="AB")
    table, document, picture, drawing = files_of(done.cells["cell 1"])
    assert [file.name for file in (table, document, picture, drawing)] == [
        f"cell 1.{kind}" for kind in ("csv", "json", "png", "svg")
    ]
    (tmp_path / "k.json").write_bytes(document.data)
    karyotype = read_karyotype(tmp_path / "k.json")
    rows = list(csv.DictReader(io.StringIO(table.data.decode())))
    assert list(rows[0]) == COLUMNS
    for row, item in zip(rows, karyotype.chromosomes, strict=True):
        assert (row["id"], row["path"], row["assigned"]) == (str(item.id), item.path, item.assigned)
        assert float(row["probability"]) == pytest.approx(max(item.probabilities.values()), abs=1e-4)
    assert [row["id"] for row in rows if row["edited"] == "1"] == ["1"]
    assert rows[0]["path"].endswith(ODD)
    assert Image.open(io.BytesIO(picture.data)).width > 1400
    assert drawing.data.decode().count("<image") == 46


def test_what_the_page_gives_can_be_verified(done, crops, tmp_path, capsys):
    done.select(1)
    move(done, "21", by="AB")
    names = [f"cell 1/{ODD}", *(f"cell 1/{number:02d}.png" for number in range(1, 46))]
    kept = write_zip(tmp_path / "kept.zip", dict(zip(names, crops, strict=True)))  # the upload itself was moved
    (tmp_path / "k.json").write_bytes(files_of(done.cells["cell 1"])[1].data)
    assert main(["verify", str(tmp_path / "k.json")]) == 2
    assert "with --images" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "k.json"), "--images", str(kept)]) == 0
    assert "the same classes; 1 edit" in capsys.readouterr().out


def test_details(done, models):
    item = done.karyotype.find(1)
    found = look_at(models[DEFAULT_MODEL], done.images, done.karyotype, 1)
    assert [other.assigned for other in found.homologues] == [item.assigned]
    assert set(found.pictures) == {1, found.homologues[0].id}
    assert found.probabilities[0] == (item.predicted, max(item.probabilities.values()))
    assert Image.open(io.BytesIO(found.cam)).size == (96, 192)
    assert found.speaks
    page = markup.details(found, ready=True)
    assert page.count("<img") == 3
    assert f"{100 * found.probabilities[0][1]:.1f} %" in page


def test_an_overlay_leaves_alone_what_does_not_count():
    canvas = np.array([[10, 200]], np.uint8)
    np.testing.assert_array_equal(overlay(canvas, np.zeros((1, 2))), canvas[..., None].repeat(3, 2))
    assert np.ptp(overlay(canvas, np.ones((1, 2)))[0, 0]) > 50


def test_a_name_is_text_on_the_page(done):
    page = markup.details(look_at(done.models[DEFAULT_MODEL], done.images, done.karyotype, 1), ready=True)
    assert "<i>ß" not in page
    for sign in ("{{", "${", "`"):
        assert sign not in page
    assert "患者 7" in page


def test_an_unreadable_chromosome_keeps_its_place(tab, crops, tmp_path):
    tab.take(write_files(tmp_path / "in", {"a.png": crops[0], "b.png": b"no image", "c.png": b""}))
    assert tab.run(DEFAULT_MODEL) == "1 image classified. 2 could not be read."
    tab.select(2)
    page = markup.details(look_at(tab.models[DEFAULT_MODEL], tab.images, tab.karyotype, 2), ready=True)
    assert "Could not be read: not a readable image" in page
    with pytest.raises(GricolZooError, match="could not be read"):
        move(tab, "1")
    with pytest.raises(GricolZooError, match="cannot be turned"):
        turn(tab)
    row = chromosome_rows(tab.karyotype)[2]
    assert (row["error"], row["probability"], row["assigned"]) == ("the file is empty (0 bytes)", "", "")


@pytest.mark.parametrize("count", [1, 92])
def test_any_count_of_a_cell(count, tab, crops, tmp_path):
    tab.take(write_files(tmp_path / "in", {f"{number:02d}.png": crops[number % 46] for number in range(count)}))
    assert tab.run(DEFAULT_MODEL) == f"{count} image{'s' * (count != 1)} classified."
    assert board.karyogram(tab.cells["cell"], None).count('class="hit') == count
    # One crop does not determine a scale, and 92 images may be two cells, so neither reads like a finding.
    counted = "92,XXYY" if count == 92 else "1 of 46 chromosomes, incomplete"
    assert tab.karyotype.draft == f"not reliable: {counted}"
    assert tab.karyotype.source == f"{count} file{'s' * (count > 1)}"


def test_several_cells(tab, crops, tmp_path):
    members = {f"c{cell}/{number}.png": crops[number] for cell in (1, 2) for number in range(4 * cell)}
    assert "12 images of 2 cells" in tab.take([write_zip(tmp_path / "a.zip", members)])
    tab.run(DEFAULT_MODEL)
    tab.select(1)
    move(tab, "21")
    tab.choose_cell("c2")
    assert (tab.selected, len(tab.karyotype.chromosomes), len(tab.karyotype.edits)) == (None, 8, 0)
    tab.choose_cell("c1")
    assert len(tab.karyotype.edits) == 1
    assert tab.run("r18half_128.pki3").endswith("Corrections of the previous run were discarded: 1.")
    assert tab.karyotype.model["name"] == "r18half_128.pki3"
    with pytest.raises(GricolZooError, match="no cell 'c3'"):
        tab.choose_cell("c3")
    with pytest.raises(GricolZooError, match="Expected a model"):
        tab.run("nothing")


def test_equal_names_stay_apart(tab, crops, tmp_path):
    files = [write_files(tmp_path / str(number), {"a.png": crops[number]})[0] for number in range(3)]
    tab.take(files)
    assert [record.path for record in tab.images.records] == ["a (2).png", "a (3).png", "a.png"]
    assert not any(file.exists() for file in files)


# --- bad input ---


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("claimed", "message"),
    [(2**31, r"2048 MiB is larger than the limit for a crop \(128 MiB\)"), (1000, "cannot be unpacked")],
)
def test_a_bomb_in_a_zip_takes_no_memory(claimed, message, tmp_path):
    store = Store(bomb(tmp_path / "bomb.zip", claimed))

    def read():
        with pytest.raises(ImageError, match=message):
            store.read("a.png")

    assert peak_of(read) < 8 * 2**20


def test_packings_that_cannot_be_unpacked_in_bounds_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.png", bytes(2**20))
    with pytest.raises(ImageError, match="not compressed with deflate"):
        Store(tmp_path / "b.zip").read("a.png")


def test_a_file_too_large_is_not_read(tmp_path):
    with (tmp_path / "a.png").open("wb") as stream:
        stream.truncate(MAX_FILE + 1)  # sparse

    def read():
        with pytest.raises(ImageError, match="larger than the limit for a crop"):
            Store(tmp_path).read("a.png")

    assert peak_of(read) < 2**20


def test_a_zip_of_very_many_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(MAX_MEMBERS + 1):
            archive.writestr(f"{number}.txt", b"")
    with pytest.raises(GricolZooError, match=rf"at most {MAX_MEMBERS} files, but many.zip contains {MAX_MEMBERS + 1}"):
        open_upload([tmp_path / "many.zip"])


def test_a_long_list_of_members_is_not_even_read(tmp_path):
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", *(0,) * 18)[:46]
    count = 200_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, count * len(entry), 0, 0)
    with (tmp_path / "list.zip").open("wb") as stream:
        for _ in range(count // 10_000):
            stream.write(entry * 10_000)
        stream.write(end)

    def check():
        with pytest.raises(GricolZooError, match="lists far more"):
            check_zip(tmp_path / "list.zip")

    assert peak_of(check) < 8 * 2**20


def bad_uploads(folder, crops):
    """Return bad uploads, name -> (files, message)."""
    inner = write_zip(folder / "inner.zip", {"a.png": crops[0]}).read_bytes()
    many = {f"{number}.png": crops[0] for number in range(2000)}
    cells = {f"{number}/a.png": crops[0] for number in range(MAX_CELLS + 1)}
    crowd = {f"c/{number}.png": crops[0] for number in range(MAX_IMAGES + 1)}
    zips = {
        "climbs": ({"../a.png": b"x"}, "a path outside the archive"),
        "empty": ({}, "contains no images"),
        "nested": ({"inner.zip": inner}, "contains no images"),
        "directory": ({"a.png/": b""}, "contains no images"),
        "cells": (cells, f"at most {MAX_CELLS} cells at once, but cells.zip contains {MAX_CELLS + 1}"),
        "crowd": (crowd, f"at most {MAX_IMAGES}, but the cell 'c' has {MAX_IMAGES + 1} images"),
        "name": ({".": b"x"}, "contains no images"),
        "manifest": ({"manifest.csv": b"x" * (uploads.MAX_MANIFEST + 1)}, "larger than 4 MiB"),
    }
    cases = {name: ([write_zip(folder / f"{name}.zip", members)], message) for name, (members, message) in zips.items()}
    cases["text"] = (write_files(folder / "text", {"a.txt": b"x", "b.pdf": b"y"}), "Expected the image files of a cell")
    cases["none"] = ([], "but got nothing")
    cases["mixed"] = (
        [*write_files(folder / "mixed", {"a.png": crops[0], "b.zip": inner})],
        "or a single zip, but got 'b.zip'",
    )
    cases["2000"] = (write_files(folder / "2000", many), f"at most {MAX_IMAGES}, but what was dropped has 2000 images")
    cases["no zip"] = (write_files(folder / "no", {"no.zip": b"nothing"}), "is not a valid zip file")
    cases["encrypted"] = ([encrypted(folder / "locked.zip")], "is encrypted")
    cases["bomb"] = ([bomb(folder / "bomb.zip", 2**31)], "at most 1024 MiB of images, but bomb.zip unpacks to 2048 MiB")
    return cases


def test_bad_uploads_are_refused_in_a_line(tab, crops, tmp_path):
    tab.take(write_files(tmp_path / "good", {"a.png": crops[0]}))
    for name, (files, message) in bad_uploads(tmp_path, crops).items():
        with pytest.raises(GricolZooError) as caught:
            tab.take(files)
        assert message in str(caught.value), name
        assert str(tmp_path) not in str(caught.value), name
        assert "\n" not in str(caught.value), name
        assert tab.upload.source == "1 file", name  # what was there stays
        assert len(list(tab.folder.rglob("*.*"))) == 1, name


def test_a_lying_bomb_is_an_unreadable_image(tab, tmp_path):
    tab.take([bomb(tmp_path / "lies.zip", 1000, 2**28)])
    assert tab.run(DEFAULT_MODEL).startswith("The image could not be read: cannot be unpacked")


def test_photographs_are_refused_before_they_are_decoded(tab, tmp_path):
    stream = io.BytesIO()
    Image.new("L", (4000, 4000)).save(stream, "PNG")
    tab.take(write_files(tmp_path / "in", {f"{number}.png": stream.getvalue() for number in range(3)}))

    def check():
        with pytest.raises(GricolZooError, match=r"at most 34 megapixels per cell, but the images of .* have 48"):
            check_cell(tab.images)

    assert peak_of(check) < 4 * 2**20
    with pytest.raises(GricolZooError, match=r"megapixels per cell.* have 48"):
        tab.run(DEFAULT_MODEL)
    assert tab.karyotype is None


def test_damaged_zips_are_refused_or_read_but_never_crash(crops, tmp_path):
    whole = write_zip(tmp_path / "whole.zip", {"a/1.png": crops[0], "a/2.png": crops[1], "ü.png": crops[2]}).read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            # Headers and the list of members are at the start and at the end.
            place = rng.choice([rng.randrange(60), len(data) - 1 - rng.randrange(200), rng.randrange(len(data))])
            data[place] = rng.randrange(256)
        (tmp_path / "x.zip").write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            cells = open_upload([tmp_path / "x.zip"]).cells
        except GricolZooError:
            continue
        for cell in cells.values():
            check_cell(cell)
            for record in cell.records:
                try:
                    cell.read(record)
                except (ImageError, OSError):
                    continue


# --- sessions ---


def test_sessions_share_nothing_and_leave_nothing(tmp_path, models, crops):
    sessions = Sessions(tmp_path, models)
    first, second = sessions.get("a"), sessions.get("b")
    assert sessions.get("a") is first
    first.take(write_files(tmp_path / "in", {"a.png": crops[0]}))
    with pytest.raises(GricolZooError, match="There are no images yet"):
        second.run(DEFAULT_MODEL)
    first.run(DEFAULT_MODEL)
    assert second.karyotype is None
    sessions.end("a")
    sessions.end("never")
    assert not first.folder.exists()
    assert not list(tmp_path.rglob("a.png"))
    with pytest.raises(GricolZooError, match="There is no karyotype yet"):
        first.select(1)


def test_the_longest_unused_session_goes_first(tmp_path, models, monkeypatch):
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    sessions = Sessions(tmp_path, models)
    first, second = sessions.get("a"), sessions.get("b")
    sessions.get("a")
    sessions.get("c")
    assert len(sessions) == 2
    assert first.folder.exists()
    assert not second.folder.exists()


def test_a_new_upload_takes_the_place_of_the_old(done, crops, tmp_path):
    done.take(write_files(tmp_path / "in", {"a.png": crops[0]}))
    assert done.karyotype is None
    assert [file.name for file in done.folder.rglob("*") if file.is_file()] == ["a.png"]


# --- the command ---


def test_a_port_in_use_is_one_line(capsys):
    from gricol_zoo.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
        error = capsys.readouterr().err
        assert f"Port {port} cannot be used" in error
        assert error.count("\n") == 1
    assert main(["serve", "--port", "70000"]) == 2
    assert main(["serve", "--port", "0", "--model", "nothing"]) == 2


def test_a_missing_gradio_is_named(monkeypatch, capsys):
    from gricol_zoo.cli import main

    monkeypatch.setitem(sys.modules, "gradio", None)
    for name in ("GRADIO_TEMP_DIR", "MPLCONFIGDIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "x")  # so that what `serve` sets is taken back
    assert main(["serve", "--port", "0"]) == 2
    assert "pip install 'gricol_zoo[serve]'" in capsys.readouterr().err


def test_no_proxy_stands_between_the_page_and_itself(monkeypatch):
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    with without_proxies():
        assert not [name for name in os.environ if name.lower().endswith("_proxy") and name.lower() != "no_proxy"]
    assert os.environ["ALL_PROXY"] == "socks5://127.0.0.1:9"
