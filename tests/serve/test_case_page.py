"""All cells of an upload on the page: the overview to choose from, and the report of the case."""

import io
import re
import zipfile

import pytest
from helpers.review import move
from helpers.uploads import as_png, write_zip

from gricol_zoo import DEFAULT_MODEL, GricolZooError, create_model
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.synthetic import render_cell
from gricol_zoo.karyotype.case import batch
from gricol_zoo.serve import board, case, page
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.session import Session


@pytest.fixture(scope="module")
def models():
    return ModelPool({DEFAULT_MODEL: create_model(DEFAULT_MODEL, pretrained=True, deployed=True)})


@pytest.fixture
def tab(tmp_path, models):
    """A tab with a case of two cells of six chromosomes; the first one is classified and has a correction."""
    crops = [as_png(image) for _, _, image in render_cell(3, sex="M")]
    members = {f"<b> {cell}/{number}.png": crops[10 * cell + number] for cell in (1, 2) for number in range(6)}
    (tmp_path / "sessions").mkdir()
    tab = Session(tmp_path / "sessions", models)
    tab.take([write_zip(tmp_path / "case 7.zip", members)])
    tab.run(DEFAULT_MODEL)
    tab.select(1)
    move(tab, "21")
    return tab


def test_the_overview_shows_all_cells_and_opens_one(tab):
    assert 'data-do="cells"' in board.tools(tab)
    assert tab.show_all() == "Cells shown: 2. Click one to work on it."
    shown = page.show(tab, "", False)
    assert re.findall(r'data-open="([^"]+)"', shown["karyogram"]) == ["&lt;b&gt; 1", "&lt;b&gt; 2"]
    assert shown["karyogram"].count("data:image/png") == 2
    assert tab.cells["<b> 1"].karyotype.draft in shown["karyogram"]
    assert "<b>2 cells</b>" in shown["heading"]
    assert 'data-do="report"' in shown["check"]
    assert 'data-unsaved="1"' in shown["tools"]  # the page still warns before it is left
    with pytest.raises(GricolZooError, match="All cells are in view"):
        tab.undo()
    tab.choose_cell("<b> 1")
    assert not tab.together
    assert tab.karyotype.find(1).assigned == "21"  # nothing was classified again


def test_the_report_is_of_all_cells_as_they_are_now(tab, tmp_path, monkeypatch):
    monkeypatch.setattr(case, "can_pdf", lambda: False)
    made = case.report_of_case(tab)
    with zipfile.ZipFile(io.BytesIO(made.data)) as archive:
        names = archive.namelist()
        (tmp_path / "cells.csv").write_bytes(archive.read("cells.csv"))
    assert names[:3] == ["cells.csv", batch.OVERVIEW_FILE, "report.html"]
    assert sum(name.endswith("karyotype.json") for name in names) == 2
    rows = read_csv(tmp_path / "cells.csv")
    assert [(row["cell"], row["edits"]) for row in rows] == [("<b> 1", "1"), ("<b> 2", "0")]
    assert rows[0]["count_21"] == str(tab.cells["<b> 1"].karyotype.counts()["21"])


def test_a_cell_that_fails_leaves_the_others(tab, monkeypatch):
    def fails(cell, images, model):
        raise GricolZooError("too large <i>")

    monkeypatch.setattr(tab, "_classify", fails)
    tab.show_all()
    shown = page.show(tab, "", False)["karyogram"]
    assert shown.count("data-open") == 1
    assert "&lt;b&gt; 2: too large &lt;i&gt;" in shown
    with zipfile.ZipFile(io.BytesIO(case.report_of_case(tab).data)) as archive:
        assert b"failed: too large" in archive.read("cells.csv")


def test_without_an_upload_there_is_no_case(tmp_path, models):
    with pytest.raises(GricolZooError, match="There are no images yet"):
        Session(tmp_path, models).show_all()
