"""Manifests as programs save them, and lists of paths as tools print them."""

import re
import unicodedata

import pytest
from PIL import Image

from gricol_zoo import GricolZooError
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split


@pytest.fixture
def folder(tmp_path):
    for name in ("0.png", "1.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


FORMS = {
    "plain": "path,label\n0.png,1\n1.png,2\n",
    "semicolons": "path;label\n0.png;1\n1.png;2\n",
    "tabs": "path\tlabel\n0.png\t1\n1.png\t2\n",
    "bars": "path|label\n0.png|1\n1.png|2\n",
    "semicolons with a comma in a name": "path;label;remark, long\n0.png;1;a, b, c\n1.png;2;\n",
    "UTF-16 and tabs": "path\tlabel\n0.png\t1\n1.png\t2\n".encode("utf-16"),
    "UTF-16, big end first, without a mark": "path,label\n0.png,1\n1.png,2\n".encode("utf-16-be"),
    "capitals": "Path,LABEL\n0.png,1\n1.png,2\n",
    "blanks": "path , label\n 0.png, 1\n1.png ,2 \n",
    "blanks before quotes": 'path, label\n"0.png", "1"\n"1.png", "2"\n',
    "empty rows": "\n,\npath,label\n0.png,1\n,\n1.png,2\n,\n\n",
    "a line for Excel": "sep=;\npath;label\n0.png;1\n1.png;2\n",
    "a line for Excel in quotes, with a mark": '\ufeff"sep=,"\r\npath,label\r\n0.png,1\r\n1.png,2\r\n',
    "CR alone": "path,label\r0.png,1\r1.png,2\r",
    "CR LF": "path,label\r\n0.png,1\r\n1.png,2\r\n",
    "a mark": "\ufeffpath,label\n0.png,1\n1.png,2\n",
    "empty columns at the end": "path,label,,\n0.png,1,,\n1.png,2,,\n",
    "no end of the last line": "path,label\n0.png,1\n1.png,2",
    "./ in front": "path,label\n./0.png,1\n.//1.png,2\n",
    "other slashes": "path,label\n.\\0.png,1\n1.png,2\n",
    "other spellings of labels": "path,label\n0.png,chr1\n1.png,chr2\n",
    "decimal labels": "path,label\n0.png,1.0\n1.png,2.0\n",
    "decimal labels with a comma": "path;label\n0.png;1,0\n1.png;2,0\n",
    "labels in wide digits": "path,label\n0.png,\uff11\n1.png,\uff12\n",
    "labels with what cannot be seen": "path,label\n0.png,\u200b1\n1.png,2\n",
    "labels in two ways": "path,label\n0.png,1\n1.png,chr2\n",
    "zeros before labels": "path,label\n0.png,01\n1.png,02\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_a_manifest_reads_however_it_was_saved(name, folder):
    text = FORMS[name]
    (folder / "manifest.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    for place in (folder, folder / "manifest.csv"):
        records = open_images(place, labels=True).records
        assert [(record.path, record.label) for record in records] == [("0.png", "1"), ("1.png", "2")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"file,label\n0.png,1\n", "has no column 'path'. Columns found: file, label. Expected path,label"),
        (b"0.png\n1.png\n", "has no column 'path'. Columns found: 0.png"),
        (b"", "has no column 'path'. Columns found: none"),
        (b"path,label,Path\n0.png,1,2\n", "the column 'path' twice"),
        (b"path,label\n0,1.png,1\n", "line 2: 3 values for 2 columns"),
        ("path,label\nü.png,1\n".encode("cp1252"), "is not UTF-8 or UTF-16 text.*Save it as UTF-8"),
        (b"my crops,,\npath,label,case\n0.png,1,a\n", "has no column 'path'. Columns found: my crops"),
        (b"path,,,label\n0.png,a,b,1\n", "two columns without a name. Rename or remove one of them"),
        (b"path,label,\n0.png,1,a\n", "line 2: 3 values for 2 columns. Name every column"),
        (b"path;label\n0.png,1\n", "'0.png,1' is all in the column path. Use one delimiter in the header and in all lines"),
        (b"path,label\nC:/crops/0.png,1\n", "'C:/crops/0.png' is not a relative path.*Write it as seen from the table"),
        (b"PK\3\4\0\0", "is a workbook or an archive, whatever it is called. Save the sheet as CSV UTF-8"),
        (b"path,label\n./0.png,1\n0.png,1\n", "line 3: '0.png' is listed twice"),
        (b"path,label\n\n2.png,1\n", "line 3: no such file: '2.png'"),
        (b"path,label\n0.png,\n", "1 of the 1 images of .* have no label, such as 0.png"),
        (b"path,case\n0.png,a\n", "has no column 'label'. Columns found: path, case"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_found(text, message, folder):
    (folder / "manifest.csv").write_bytes(text)
    with pytest.raises(GricolZooError, match=message):
        open_images(folder, labels=True)


def test_a_list_without_labels_is_enough(folder):
    (folder / "list.csv").write_text("path\n0.png\n")
    images = open_images(folder / "list.csv")
    assert [(record.path, record.label) for record in images.records] == [("0.png", "")]
    assert any("no column 'label'" in note for note in images.notes)
    assert any("does not list 1 of the images, which are left out: 1.png" in note for note in images.notes)


def test_absolute_paths_inside_the_set(folder, tmp_path_factory):
    (folder / "list.tsv").write_text(f"path\n{folder / '0.png'}\n")
    assert open_images(folder / "list.tsv").records[0].path == "0.png"
    elsewhere = tmp_path_factory.mktemp("links") / "link"
    elsewhere.symlink_to(folder)
    (folder / "list.tsv").write_text(f"path\n{elsewhere / '0.png'}\n")
    assert open_images(folder / "list.tsv").records[0].path == "0.png"
    (folder / "list.tsv").write_text("path\n/elsewhere/0.png\n")
    with pytest.raises(GricolZooError, match="not a relative path inside the data set"):
        open_images(folder / "list.tsv")


def test_a_workbook_is_named(folder):
    (folder / "list.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(GricolZooError, match=r"is a workbook, which is not read\. Save its sheet as CSV UTF-8"):
        open_images(folder / "list.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_split_reads_alike_and_its_names_in_every_form(encoding, delimiter, folder):
    cell = "M\u00fcller"
    (folder / "manifest.csv").write_text(f"path,label,cell\n0.png,1,{unicodedata.normalize('NFD', cell)}\n", encoding="utf-8")
    rows = [("Case", "Cell ", "PART"), ("", unicodedata.normalize("NFC", cell), "Train")]
    (folder / "split.csv").write_text("\r".join(delimiter.join(row) for row in rows), encoding=encoding)
    parts = apply_split(open_images(folder), read_split(folder / "split.csv"))
    assert [record.path for record in parts["train"].records] == ["0.png"]


@pytest.mark.parametrize("name", ["manifest.csv.csv", "Manifest (1).csv", "manifest.xlsx", "manifest.txt"])
def test_a_manifest_under_nearly_its_name_is_said(name, folder):
    (folder / name).write_text("path,label\n0.png,1\n1.png,2\n")
    assert any(note.startswith(f"{name} was not read: save it as manifest.csv") for note in open_images(folder).notes)
    with pytest.raises(GricolZooError, match=re.escape(f"Not read because of its name: {name}.")):
        open_images(folder, labels=True)
