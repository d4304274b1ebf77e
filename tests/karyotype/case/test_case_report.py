"""The report and the overview of a case: both forms say the same, no name can do harm, and the files stay small."""

import dataclasses
import io
import re
import zipfile
import zlib

import pytest
from helpers.cases import FEMALE, counts, made_up, png

from gricol_zoo import GricolZooError
from gricol_zoo.karyotype.case.batch import case_files, cell_files, report_names, to_zip
from gricol_zoo.karyotype.case.content import NOTE, Grid, Karyogram, Paragraph, chosen, report_of
from gricol_zoo.karyotype.case.overview import overview_html
from gricol_zoo.karyotype.case.report_html import report_html
from gricol_zoo.karyotype.case.report_pdf import MAX_BYTES, report_pdf
from gricol_zoo.karyotype.case.sheet import BODY, drawable, width_of, wrap
from gricol_zoo.karyotype.case.summary import Case, Failed

TIME = "2026-01-02T03:04:05Z"
HOSTILE = "<script>alert(1)</script>\x1b[2J\u202eevil\n=1+1 $\\frac{$ & \ud800 \u65e5\u672c"
T21 = counts(c21=3)


def mosaic(extra=()):
    cells = [made_up(f"c{place:02d}", T21 if place <= 12 else FEMALE) for place in range(1, 21)]
    return Case("p1", [*cells, *extra], [Failed("broken", "no image in it", "p1")])


def words_of(report):
    found = [report.title, report.footer]
    for block in report.blocks:
        if isinstance(block, Grid):
            found += [*block.columns, *(value for row in block.rows for value in row)]
        else:
            found.append(block.caption if isinstance(block, Karyogram) else block.words)
    return found


def test_a_report_says_what_a_person_must_know():
    edited = made_up("c99", FEMALE, warnings=["blurred"]).move(1, "2", "AB", TIME).move(1, "1", "AB", TIME).turn(3, "", TIME)
    said = "\n".join(words_of(report_of(mosaic([edited]), TIME)))
    for part in (
        "mos 47,XX,+21[12]/46,XX[8]",
        "A proposal by ISCN's rule for clones",
        "Research, not a finding",
        NOTE,
        "ab" * 32,
        "r18half_192.qband",
        "Not read: broken: no image in it.",
        "Left out of the proposal: c99.",
        "it has a warning: blurred",
        "no. 1: 2 to 1",
        "no. 3: as it lies to upside down",
        "not named",
        "No cell was checked by a person.",
    ):
        assert part in said
    (totals,) = [block for block in report_of(mosaic(), TIME).blocks if isinstance(block, Grid) and block.rows[0][0] == "cells"]
    assert [row[1] for row in totals.rows] == ["21", "20", "20", "0"]


def test_two_karyograms_one_of_each_clone():
    assert [cell.cell for cell in chosen(mosaic())] == ["c01", "c13"]
    assert len(chosen(Case("p", [made_up("a"), made_up("b"), made_up("c")]))) == 2
    assert [cell.cell for cell in chosen(Case("p", [made_up("a", doubtful=("4", "5")), made_up("b", doubtful=("4",))]))] == [
        "b",
        "a",
    ]
    assert chosen(Case("p", [])) == []


def test_the_page_runs_nothing_and_loads_nothing():
    case = Case(HOSTILE, [dataclasses.replace(made_up(HOSTILE, warnings=[HOSTILE]), case=HOSTILE)], [Failed(HOSTILE, HOSTILE)])
    edited = Case(HOSTILE, [case.cells[0].move(1, "2", HOSTILE)], case.failed)
    for page in (report_html(report_of(edited, TIME), {HOSTILE: png()}), overview_html([edited], lambda cell: png(), HOSTILE)):
        assert page.encode()
        assert "<script" not in page
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", page)
        assert "&lt;script&gt;" in page
        assert set(re.findall(r'(?:src|href)="([^:]*:)', page)) == {"data:"}
        assert "default-src 'none'" in page


@pytest.mark.slow
def test_a_pdf_takes_any_name_as_text(tmp_path):
    case = Case(HOSTILE, [made_up(f"{HOSTILE}{'long' * 300}", warnings=[HOSTILE * 20])])
    data = report_pdf(report_of(case, TIME), {})
    assert data.startswith(b"%PDF-")
    assert b"/JavaScript" not in data
    assert b"/A4" not in data
    assert {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[ 0 0 ([\d.]+ [\d.]+) \]", data)} == {
        (595.3, 841.9)
    }


def test_a_report_of_a_person_whose_settings_ask_for_latex_runs_none():
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True}):
        assert report_pdf(report_of(mosaic(), TIME), {}).startswith(b"%PDF-")
        assert matplotlib.rcParams["text.usetex"]


@pytest.mark.slow
def test_a_report_stays_small():
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (1800, 2500, 3), np.uint8)  # no karyogram compresses as badly
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    pictures = dict.fromkeys(("c01", "c13"), stream.getvalue())
    report = report_of(mosaic(), TIME)
    assert len(report_pdf(report, pictures)) <= MAX_BYTES
    assert len(report_html(report, pictures)) <= MAX_BYTES


def test_lines_fit_and_nothing_is_lost():
    words = "a word and another " * 20 + "w" * 400
    lines = wrap(words, 200, BODY, False)
    assert all(width_of(line, BODY, False) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")
    assert wrap("", 200, BODY, False) == [""]
    assert drawable("\u65e5 \x1b \u017e") == "\\u65e5 \\x1b \u017e"


def test_a_picture_that_is_none_is_named():
    report = report_of(mosaic(), TIME)
    with pytest.raises(GricolZooError, match="c01 is not a valid PNG"):
        report_html(report, {"c01": b"GIF89a"})
    assert "c01: 47,XX,+21 (draft): there is no picture of it." in report_html(report, {})
    assert any(isinstance(block, Paragraph) and block.strong for block in report.blocks)


def test_an_overview_shows_all_cells_and_stays_small(monkeypatch):
    page = overview_html([mosaic()], lambda cell: png())
    assert page.count("<img") == 20
    assert "failed: no image in it" in page
    assert "proposed mos 47,XX,+21[12]/46,XX[8]; 20 of 21 cells analysed" in page
    monkeypatch.setattr("gricol_zoo.karyotype.case.overview.MAX_THUMBNAILS", 5000)
    small = overview_html([mosaic()], lambda cell: png())
    assert 0 < small.count("<img") < 20
    assert small.count("<li>") == 21
    assert "Only the first cells have a picture" in small


def test_a_zip_holds_everything_and_is_the_same_twice():
    cells = [made_up("a/../b", case="p1"), made_up("=c", case="p2"), made_up("c", case="p2")]

    def files_of(cell):
        return {"karyotype.json": cell.to_json().encode(), "karyogram.png": png()}

    def packed():
        return to_zip([*case_files(cells, [], files_of, TIME, pdf=False), *cell_files(cells, files_of)])

    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        names = archive.namelist()
        assert names[:4] == ["cells.csv", "overview.html", "report_p1.html", "report_p2.html"]
        assert "a_.._b/karyotype.json" in names
        assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]
        assert "p2,'=c,46,XX" not in archive.read("cells.csv").decode()
        assert 'p2,\'=c,"46,XX"' in archive.read("cells.csv").decode()
    assert packed() == packed()
    assert report_names([Case("", [])]) == ["report"]
    assert report_names([Case("", []), Case("x", [])]) == ["report_no case", "report_x"]


def test_pages_are_numbered_and_carry_the_footer():
    many = Case("p", [made_up(f"cell {place}") for place in range(120)])
    data = report_pdf(report_of(many, TIME), {})
    pages = len(re.findall(rb"/Type /Page\b(?!s)", data))
    assert pages > 3
    texts = b"".join(_streams(data))
    assert texts.count(b"BT") > 100


def _streams(data):
    for part in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            yield zlib.decompress(part)
        except zlib.error:
            continue
