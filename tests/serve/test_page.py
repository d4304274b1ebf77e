"""The page in a real browser: upload, look, correct, download; and what it refuses."""

import csv
import io
import json
import os
import re

import pytest
from helpers.browser import drop, fetch, say, wait_until
from helpers.uploads import as_png, bomb, encrypted, write_files, write_zip
from PIL import Image

from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.karyotype.reading import read_karyotype
from gricol_zoo.serve import uploads


@pytest.fixture(scope="module")
def crops():
    return [as_png(image) for _, _, image in render_cell(3, sex="M")]


def test_a_lab_uses_the_page(page, server, crops, tmp_path):
    tab, asked = page
    _, temporary = server
    names = ["患者 7/cell 1/a {{b}} ß.png", *(f"患者 7/cell 1/{number}.png" for number in range(10, 55))]
    drop(tab, [write_zip(tmp_path / "患者 7.zip", dict(zip(names, crops, strict=True)))], "患者 7.zip: 46 images of 1 cell")
    tab.click("#run")
    tab.wait_for_selector("#draft")
    assert tab.inner_text("#draft") == "46,XY"
    assert "chosen by fit" in tab.inner_text("#heading")
    tab.click(".hit[data-id='1']")
    tab.wait_for_selector("#probabilities")
    top = tab.inner_text("#probabilities .bar:first-child").split()
    assert top[0] == tab.inner_text(".now-class")
    assert float(top[1]) > 50
    assert "a {{b}} ß.png" in tab.inner_text("#details")
    assert tab.locator("#details figure").count() == 4  # ideogram, this one, its homologue, Grad-CAM
    tab.fill("#by input, #by textarea", "AB")
    tab.click("#details [data-move='21']")
    say(tab, f"No. 1 moved: {top[0]} to 21.")
    assert tab.inner_text("#draft") == f"46,XY,-{top[0]},+21"

    (name, table), (_, document), (_, picture) = (fetch(tab, kind) for kind in ("CSV", "JSON", "PNG"))
    assert name == "cell 1.csv"  # a zip of one folder reads as the folder does
    (tmp_path / "k.json").write_bytes(document)
    karyotype = read_karyotype(tmp_path / "k.json")
    assert [(edit.id, edit.after, edit.by) for edit in karyotype.edits] == [(1, "21", "AB")]
    assert karyotype.source == "患者 7.zip"
    rows = list(csv.DictReader(io.StringIO(table.decode())))
    assert [row["assigned"] for row in rows] == [item.assigned for item in karyotype.chromosomes]
    assert [row["edited"] for row in rows].count("1") == 1
    assert {row["path"] for row in rows} == {name.removeprefix("患者 7/") for name in names}
    assert Image.open(io.BytesIO(picture)).format == "PNG"

    drop(tab, [tmp_path / "患者 7.zip", tmp_path / "k.json"], "Opened as it was left, with 1 correction.")
    assert tab.inner_text("#draft") == f"46,XY,-{top[0]},+21"
    tab.click(".hit[data-id='1']")
    tab.wait_for_selector("#probabilities")
    tab.click("[data-do=turn]")
    say(tab, "No. 1 turned upside down.")
    _refuses_and_goes_on(tab, crops, tmp_path)
    hosts = {re.split(r"[/:]+", url)[1] for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert list(temporary.rglob("good.png"))
    tab.close()
    # os.walk tolerates a folder that disappears while it is read
    wait_until(lambda: not [name for _, _, names in os.walk(temporary) for name in names if name.endswith(".png")], 90)


def _refuses_and_goes_on(tab, crops, folder):
    drop(tab, write_files(folder / "text", {"notes.txt": b"x"}), "Expected the image files of a cell")
    assert tab.inner_text("#draft").startswith("46")  # what was there stays
    drop(tab, [bomb(folder / "bomb.zip", 2**31)], "unpacks to 2048 MiB")
    drop(tab, [encrypted(folder / "locked.zip")], "locked.zip is encrypted")
    drop(tab, [write_zip(folder / "climbs.zip", {"../a.png": b"x"})], "a path outside the archive")
    drop(tab, write_files(folder / "bad", {"bad.png": b"x", "good.png": crops[0]}), "2 files: 2 images of 1 cell.")
    tab.click("#run")
    say(tab, "1 image classified. 1 could not be read.")
    tab.click(".doubt[data-id='1']")
    tab.wait_for_selector("#details .bad")
    assert "could not be read" in tab.inner_text("#details").lower()


def test_only_this_machine_is_answered(server):
    import urllib.error
    import urllib.request

    address, _ = server
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    foreign = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(foreign)
    config = json.load(urllib.request.urlopen(f"{address}config"))
    assert config["analytics_enabled"] is False
    assert config["run_history"] is False
    assert config["max_file_size"] == uploads.MAX_UPLOAD
    assert config.get("share_url") is None
