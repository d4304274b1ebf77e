"""``gricol-zoo report``: from a folder of karyotyped cells to the files of their case."""

import csv
import io
import shutil
import zipfile

import pytest
from helpers.cases import counts, made_up, png
from helpers.commands import run
from helpers.synthetic import write_cell

from gricol_zoo.data.rows import read_csv
from gricol_zoo.karyotype.case.summary import Failed
from gricol_zoo.karyotype.case.table import CELLS, LATER, write_cells
from gricol_zoo.karyotype.reading import read_karyotype

CONTRACT = "case,cell,draft,images,unassigned,unreadable,doubtful,scale,warnings,checked"


@pytest.fixture
def folder(tmp_path):
    """Three cells of one case and one of another, and one that failed."""
    cells = [made_up("a", counts(c21=3)), made_up("b", counts(c21=3)), made_up("c"), made_up("=d", case="p2")]
    for place, cell in enumerate(cells):
        (tmp_path / "out" / f"{place}").mkdir(parents=True)
        cell.write(tmp_path / "out" / f"{place}" / "karyotype.json")
        (tmp_path / "out" / f"{place}" / "karyogram.png").write_bytes(png(seed=place))
    write_cells(cells, tmp_path / "out" / "cells.csv", [Failed("e", "no image in it", "p1")])
    return tmp_path / "out"


def test_a_report_of_each_case(folder, capsys):
    assert run("report", folder) == 0
    said = capsys.readouterr().out
    assert "case p1: proposed mos 47,XX,+21[2]/46,XX[1]; 3 of 4 cells analysed" in said
    for name in ("cells.csv", "overview.html", "report_p1.html", "report_p1.pdf", "report_p2.html", "report_p2.pdf"):
        assert (folder / name).is_file()
        assert str(folder / name) in said
    assert "e: no image in it" in (folder / "report_p1.html").read_text()
    assert "failed" not in (folder / "report_p2.html").read_text()


def test_cells_csv_keeps_the_contract_and_adds_columns_last(folder):
    assert run("report", folder, "--out", folder.parent / "there") == 0
    header = (folder.parent / "there" / "cells.csv").read_text().splitlines()[0]
    assert header.startswith(f"{CONTRACT},{','.join(LATER)},count_1,count_2,")
    assert header.endswith(",count_22,count_X,count_Y")
    rows = {row["cell"]: row for row in read_csv(folder.parent / "there" / "cells.csv")}
    assert (rows["a"]["count_21"], rows["a"]["clone"], rows["c"]["clone"]) == ("3", "47,XX,+21", "46,XX")
    assert (rows["e"]["case"], rows["e"]["warnings"], rows["e"]["draft"]) == ("p1", "failed: no image in it", "")
    assert list(rows) == ["a", "b", "c", "e", "=d"]
    raw = list(csv.reader((folder.parent / "there" / "cells.csv").open()))
    assert "'=d" in [row[1] for row in raw]
    assert ",".join(CELLS) == CONTRACT


def test_one_case_alone_and_one_that_is_not_there(folder, tmp_path, capsys):
    assert run("report", folder, "--case", "p2", "--out", tmp_path / "p2") == 0
    assert {file.name for file in (tmp_path / "p2").iterdir()} == {"cells.csv", "overview.html", "report.html", "report.pdf"}
    assert [row["cell"] for row in read_csv(tmp_path / "p2" / "cells.csv")] == ["=d"]
    assert run("report", folder, "--case", "p3") == 2
    assert "No case 'p3' among 2. Cases: p1, p2." in capsys.readouterr().err


def test_one_download(folder, tmp_path):
    assert run("report", folder, "--zip", tmp_path / "case.zip") == 0
    with zipfile.ZipFile(io.BytesIO((tmp_path / "case.zip").read_bytes())) as archive:
        names = set(archive.namelist())
        assert archive.read("a/karyotype.json") == (folder / "0" / "karyotype.json").read_bytes()
    assert {"cells.csv", "overview.html", "report_p1.pdf", "a/karyogram.png", "_d/karyotype.json"} <= names
    assert not (folder / "overview.html").exists()


def test_without_matplotlib_there_is_no_pdf(folder, monkeypatch, capsys):
    monkeypatch.setattr("gricol_zoo.karyotype.case.batch.can_pdf", lambda: False)
    assert run("report", folder) == 0
    assert "pip install 'gricol_zoo[viz]'" in capsys.readouterr().err
    assert (folder / "report_p1.html").is_file()
    assert not list(folder.glob("*.pdf"))


def test_mistakes_are_one_line(folder, tmp_path, capsys):
    def said(*arguments):
        assert run("report", *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    (tmp_path / "empty").mkdir()
    assert "has no karyotype.json" in said(tmp_path / "empty")
    assert "has no karyotype.json" in said(tmp_path / "nothing")
    assert "--out or --zip, but got both" in said(folder, "--out", tmp_path, "--zip", tmp_path / "a.zip")
    shutil.copytree(folder / "0", folder / "9")
    assert "is of the same cell as another" in said(folder)
    shutil.rmtree(folder / "9")
    record = folder / "0" / "karyotype.json"
    record.write_text(record.read_text().replace('"assigned": "1"', '"assigned": "2"', 1))
    assert "has edits that are not drawn" in said(folder)
    record.write_text("{")
    assert "is not valid JSON" in said(folder)


def test_a_damaged_karyogram_is_named(folder, capsys):
    (folder / "0" / "karyogram.png").write_bytes(png()[:200])
    assert run("report", folder) == 2
    assert "a is not a valid PNG" in capsys.readouterr().err


@pytest.mark.slow
def test_cells_of_a_run_are_reported_as_they_are_after_an_edit(tmp_path, capsys):
    for name in ("a", "b"):
        write_cell(tmp_path / "in" / name, seed=ord(name), sex="F")
    out = tmp_path / "out"
    assert run("karyotype", tmp_path / "in", "--out", out) == 0
    assert (out / "overview.html").read_text().count("<img") == 2
    assert "case (not named): " in capsys.readouterr().out
    record = read_karyotype(out / "a" / "karyotype.json")
    record.move(1, "" if record.find(1).assigned else "1", "AB").write(out / "a" / "karyotype.json")
    assert run("karyotype", out / "a" / "karyotype.json", "--out", out / "a") == 0
    assert run("report", out) == 0
    row = next(row for row in read_csv(out / "cells.csv") if row["cell"] == "a")
    assert row["edits"] == "1"
    assert "AB" in (out / "report.html").read_text()
    _sign_report_verify(out, tmp_path / "my.key", capsys)


def _sign_report_verify(out, key, capsys):
    """A signed cell is reported and verified; one changed byte in its record or in an image is found."""
    pytest.importorskip("cryptography")
    file = out / "a" / "karyotype.json"
    assert run("sign", file, "--new", "--key", key) == 0
    assert run("report", out) == 0
    verify = ("verify", file, "--signed-by", f"{key}.pub")
    assert run(*verify) == 0
    record = file.read_bytes()
    file.write_bytes(record.replace(b'"by": "AB"', b'"by": "AC"', 1))
    assert run(*verify) == 1
    file.write_bytes(record)
    image = sorted((out.parent / "in" / "a").glob("*.png"))[4]
    pixels = bytearray(image.read_bytes())
    pixels[len(pixels) // 2] ^= 1
    image.write_bytes(pixels)
    capsys.readouterr()
    assert run(*verify) == 1
    assert f"{image.name} has changed" in capsys.readouterr().out


@pytest.mark.slow
def test_two_thousand_files(tmp_path):
    write_cell(tmp_path / "in" / "c00", seed=3, sex="F")
    for number in range(1, 44):
        shutil.copytree(tmp_path / "in" / "c00", tmp_path / "in" / f"c{number:02d}")
    out = tmp_path / "out"
    assert run("karyotype", tmp_path / "in", "--out", out) == 0
    assert run("report", out) == 0
    assert len(read_csv(out / "cells.csv")) == 44
    assert (out / "overview.html").read_text().count("<li>") == 44
    for file in (*out.glob("*.html"), *out.glob("*.pdf"), out / "cells.csv"):
        assert file.stat().st_size <= 5 * 2**20
