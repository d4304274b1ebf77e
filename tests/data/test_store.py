"""Folders and zips as people have them: links, names in other encodings, files that are not read."""

import os
import sys
import warnings
import zipfile

import pytest
from PIL import Image

from gricol_zoo import GricolZooError
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.store import Store

DECOMPOSED, COMPOSED = "u\u0308.png", "\u00fc.png"


def png(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(file)


def names(folder):
    return [record.path for record in open_images(folder).records]


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path):
    png(tmp_path / "real" / "a.png")
    png(tmp_path / "set" / "one" / "b.png")
    (tmp_path / "set" / "two").symlink_to("../real")
    (tmp_path / "set" / "round").symlink_to(tmp_path / "set")
    assert names(tmp_path / "set") == ["one/b.png", "two/a.png"]
    (tmp_path / "set" / "manifest.csv").write_text("path,label\ntwo/a.png,1\n")
    assert names(tmp_path / "set") == ["two/a.png"]


@pytest.mark.parametrize("where", ["nothing.png", "gone.png"])
def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(where, tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / where)
    images = open_images(tmp_path)
    with pytest.raises(OSError, match=r"gone\.png"):
        images.read(images.records[0])


def test_other_files_are_said_not_dropped(tmp_path):
    for name in ("a.png", "b.PNG", "c.jfif", "d.jpe", "e.dib"):
        Image.new("L", (4, 4)).save(tmp_path / name, "JPEG" if name[0] in "cd" else "BMP" if name[0] == "e" else "PNG")
    for name in ("f.webp", "g.gif", "h.jp2", "scan", "notes.txt", ".hidden", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    images = open_images(tmp_path)
    assert len(images) == 5
    (note,) = [note for note in images.notes if note.startswith("left out")]
    assert note.startswith(
        "left out 4 files of kinds that are not read (.gif, .jp2, .webp, no suffix): f.webp, g.gif, h.jp2, scan"
    )


def test_a_folder_of_other_files_alone_names_them(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"x")
    with pytest.raises(GricolZooError, match=r"contains no images.*left out 1 file .*\(\.webp\)"):
        open_images(tmp_path)


def test_names_that_a_zip_has_in_utf8_without_saying_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as archive:
        archive.writestr("\u7ec6\u80de/\u00fc.png", b"x")
    data = bytearray((tmp_path / "mac.zip").read_bytes())
    for magic, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.index(magic) + flag
        data[place : place + 2] = (int.from_bytes(data[place : place + 2], "little") & ~0x800).to_bytes(2, "little")
    (tmp_path / "mac.zip").write_bytes(data)
    store = Store(tmp_path / "mac.zip")
    assert store.names == ["\u7ec6\u80de/\u00fc.png"]
    assert store.read(store.names[0]) == b"x"


def test_backslashes_in_a_zip_are_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        for name in ("c1\\a.png", "c2\\b.png"):
            archive.writestr(zipfile.ZipInfo(name), b"x")
    assert [record.cell for record in open_images(tmp_path / "old.zip").records] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("there", "called"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED), (" a.png", "a.png"), ("A.PNG", "a.png")]
)
def test_a_name_matches_in_every_form(there, called, tmp_path):
    png(tmp_path / there)
    assert Store(tmp_path).find(called) == there
    assert Store(tmp_path).find("./" + called) == there
    assert Store(tmp_path).find(str(tmp_path / called)) == there
    assert Store(tmp_path).find("b.png") == ""


def test_capitals_that_tell_files_apart_do(tmp_path):
    store = Store(tmp_path, ["a.png", "A.png", "B.png", "b.PNG"])
    assert [store.find(name) for name in ("a.png", "A.png", "b.png")] == ["a.png", "A.png", ""]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_utf8_is_read_written_and_matched(tmp_path):
    from gricol_zoo.data.rows import read_csv, to_csv

    png(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    images = open_images(tmp_path)
    images.sha256()
    (tmp_path / "list.csv").write_text(to_csv([{"path": images.records[0].path}]), encoding="utf-8")
    assert read_csv(tmp_path / "list.csv")[0]["path"] == "caf\\udce9.png"
    (record,) = open_images(tmp_path / "list.csv").records
    assert record.path == images.records[0].path


def test_a_folder_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    png(tmp_path / "open" / "a.png")
    png(tmp_path / "closed" / "b.png")
    scan = os.scandir

    def guarded(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", guarded)
    images = open_images(tmp_path)
    assert [record.path for record in images.records] == ["open/a.png"]
    assert "left out folders that may not be read: closed." in images.notes
    with pytest.raises(PermissionError):
        open_images(tmp_path / "closed")


def zip_of(file, *members):
    png(file.parent / "a.png")
    data = (file.parent / "a.png").read_bytes()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # about names that occur twice
        for name in members:
            archive.writestr(name, data)
    return file


@pytest.mark.parametrize("twice", [("a.png", "a.png"), ("c/a.png", "c\\a.png"), ("c/a.png", "./c//a.png")])
def test_no_file_of_a_zip_is_lost_to_another_of_its_name(twice, tmp_path):
    with pytest.raises(GricolZooError, match=r"contains '(c/)?a\.png' twice\. Create the zip again with each file once"):
        Store(zip_of(tmp_path / "set.zip", *twice))


def test_dots_and_slashes_too_many_are_no_part_of_a_name(tmp_path):
    assert names(zip_of(tmp_path / "set.zip", "./b.png", "./c//d.png")) == ["b.png", "c/d.png"]


def test_a_colon_in_a_name_is_a_slash_on_macos(tmp_path):
    assert names(zip_of(tmp_path / "set.zip", "cell:1/b.png", "cell:2/b.png")) == ["cell:1/b.png", "cell:2/b.png"]
    with pytest.raises(GricolZooError, match="a path outside the archive"):
        Store(zip_of(tmp_path / "drive.zip", "c:/b.png"))


@pytest.mark.parametrize(
    ("name", "page"), [("\u7ec6\u80de.png", "gbk"), ("\u7d30\u80de.png", "shift_jis"), ("\u00d8.png", "cp1252")]
)
def test_a_table_finds_names_in_the_code_page_of_a_zip(name, page, tmp_path):
    raw = name.encode(page)
    file = zip_of(tmp_path / "set.zip", "N" * len(raw))
    file.write_bytes(file.read_bytes().replace(b"N" * len(raw), raw))
    store = Store(file)
    assert store.find(name) == store.names[0]


@pytest.mark.parametrize(
    ("start", "kind"), [(b"Rar!\x1a\7", "a RAR"), (b"7z\xbc\xaf\x27\x1c", "a 7z"), (b"\x1f\x8b", "a gzip")]
)
@pytest.mark.parametrize("name", ["set.zip", "set.rar", "set"])
def test_another_archive_is_named(name, start, kind, tmp_path):
    (tmp_path / name).write_bytes(start + bytes(99))
    with pytest.raises(GricolZooError, match=f"is {kind} archive, which is not read. Unpack it and give the folder"):
        open_images(tmp_path / name)


@pytest.mark.parametrize("where", ["", "c1/"])
def test_karyograms_that_were_written_beside_the_crops_are_no_crops(where, tmp_path):
    for name in ("a.png", "karyogram.png"):
        png(tmp_path / where / name)
    assert names(tmp_path) == [f"{where}a.png", f"{where}karyogram.png"]
    (tmp_path / where / "karyotype.json").write_text("{}")
    (tmp_path / where / "karyogram.svg").write_text("")
    assert names(tmp_path) == [f"{where}a.png"]
    assert not Store(tmp_path).left_out()
