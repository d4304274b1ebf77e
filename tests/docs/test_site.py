"""The site: its pages and where its links lead. `mkdocs build --strict` in .ci/run checks the rest."""

import importlib.util
import pkgutil
import re

import pytest
from helpers import ROOT
from PIL import Image

import gricol_zoo

DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
DESCRIBED = {
    page.name: re.findall(r"^::: (gricol_zoo\.\S+)$", page.read_text(), re.MULTILINE)
    for page in (DOCS / "reference" / "api").glob("*.md")
}
LIMITS = "## What it cannot say\n"
TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


def hook(name="links"):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_once():
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    notebooks = [f"examples/{file.stem}.md" for file in (ROOT / "examples").glob("*.ipynb")]
    assert sorted(re.findall(r"\S+\.md\b", navigation)) == sorted([*PAGES, *notebooks])


@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_long(page):
    assert len((DOCS / page).read_text().splitlines()) <= 300


def test_every_public_name_is_described_once():
    names = [name.removeprefix("gricol_zoo.") for names in DESCRIBED.values() for name in names]
    assert len(names) == len(set(names))
    assert set(gricol_zoo.__all__) - {"__version__"} == {name for name in names if name in gricol_zoo.__all__}


@pytest.mark.parametrize("page", sorted(DESCRIBED))
def test_what_a_page_describes_exists(page):
    for name in DESCRIBED[page]:
        assert pkgutil.resolve_name(name) is not None


def test_the_site_is_built_in_ci_and_published():
    assert "mkdocs build --strict" in (ROOT / ".ci" / "run").read_text()
    assert "mkdocs build --strict" in (ROOT / ".github" / "workflows" / "docs.yml").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    assert "mkdocs" in re.search(r"^docs = .*$", project, re.MULTILINE)[0]
    assert "docs" not in re.search(r"^test = .*$", project, re.MULTILINE)[0]


def test_the_site_loads_nothing_from_elsewhere():
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings  # the theme's default is a Google font
    assert "repo_url" not in settings  # with it the theme asks GitHub for the number of stars
    assert "inventories: []" in settings
    assert not re.search(r"https?://|@import", (DOCS / "style.css").read_text())
    for page in PAGES:  # Mermaid, for which the theme loads a script
        assert "```mermaid" not in (DOCS / page).read_text()
    assert not re.search(r"(href|src)=|url\((?!#)", (DOCS / "images" / "architecture.svg").read_text())


@pytest.mark.parametrize(
    ("repository", "text"),
    [
        ("https://host/me/it/blob/main/", "[the card](https://host/me/it/blob/main/MODEL_CARD.md#data)"),
        ("", "the card, `MODEL_CARD.md`"),
    ],
)
def test_a_link_out_of_docs_leads_to_the_repository(repository, text):
    assert hook().rewrite("See [the card](../../MODEL_CARD.md#data).", "results/a.md", repository, set()) == f"See {text}."


@pytest.mark.parametrize(
    "text", ["[a](b.md#c)", "[a](../index.md)", "[a](#c)", "[a](https://x.y/../z)", "![a](../images/demo.png)"]
)
def test_other_links_stay(text):
    assert hook().rewrite(text, "results/a.md", "https://host", set()) == text


def test_a_link_to_a_notebook_leads_to_its_page():
    text = hook().rewrite("See [it](../../examples/quickstart.ipynb).", "how-to/train.md", "https://host", set())
    assert text == "See [it](../examples/quickstart.md)."


def test_a_notebook_becomes_a_page():
    text = "[a](../docs/how-to/train.md#x) [b](other.ipynb) [c](own_training_loop.py) [d](https://x.y) [e](#f)"
    outputs = [{"text": ["one\n"]}, {"data": {"image/png": "AAAA"}}, {"data": {"text/plain": ["2"]}}]
    cells = [{"cell_type": "markdown", "source": [text]}, {"cell_type": "code", "source": ["x = 1\n", "x"], "outputs": outputs}]
    page, pictures = hook("notebooks").page_of({"cells": cells}, "name")
    links = "[a](../how-to/train.md#x) [b](other.md) [c](../../examples/own_training_loop.py) [d](https://x.y) [e](#f)"
    shown = "```text\none\n```\n\n![what the code shows](name-1.png)\n\n```text\n2\n```\n"
    assert page == f"{links}\n\n```python\nx = 1\nx\n```\n\n{shown}"
    assert pictures == {"name-1.png": b"\0\0\0"}


def test_a_name_that_is_its_path_stands_once():
    assert hook().rewrite("[README.md](../README.md)", "a.md", "", set()) == "README.md"


def test_a_picture_of_the_repository_is_copied():
    path, pictures = "benchmarks/results/paper/tsne.qband.png", set()
    text = hook().rewrite(f"![t](../../{path})", "how-to/a.md", "", pictures)
    assert text == f"![t](../repository/{path})"
    assert pictures == {path}


def test_code_is_left_alone():
    text = "```md\n[a](../../LICENSE)\n```\n"
    assert hook().rewrite(text, "results/a.md", "", set()) == text


@pytest.mark.parametrize("target", ["../../nothing.md", "../../../elsewhere.md"])
def test_a_link_to_nothing_stops_the_build(target):
    with pytest.raises(FileNotFoundError, match=f"docs/results/a.md links to {target}"):
        hook().rewrite(f"[a]({target})", "results/a.md", "", set())


RESULT_PAGES = sorted((DOCS / "results").glob("*.md"))


@pytest.mark.parametrize("page", RESULT_PAGES, ids=lambda page: page.stem)
def test_a_results_page_has_question_picture_table_command_and_limits_in_this_order(page):
    text = page.read_text()
    picture = f"](../images/results/{page.stem}.png)\n\n*"  # and its caption below
    parts = ("**Question.**", "**Answer.**", picture, "<!-- results: ", "**Command.** `python -m benchmarks.", LIMITS)
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.split(LIMITS)[1].lstrip().startswith("- ")


@pytest.mark.parametrize("page", RESULT_PAGES, ids=lambda page: page.stem)
def test_the_picture_of_a_results_page_is_of_its_files_as_they_are(page):
    from benchmarks.make.result_pictures import FIGURES, source

    with Image.open(DOCS / "images" / "results" / f"{page.stem}.png") as picture:
        assert picture.text["Source"] == source(FIGURES[page.stem][1]), "run python -m benchmarks.make.result_pictures"
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 16)}
    assert all(max(colour) - min(colour) < 8 for colour in colours)  # only black, grey and white


def test_the_short_tables_are_of_their_files_as_they_are():
    from benchmarks.make.result_tables import bend_rows, grid_rows, rows_of, worst_rows

    for name, rows in (("make/grid", grid_rows()), ("make/bend", bend_rows()), ("make/robustness", worst_rows())):
        kept = [{key: row[key] for key in row if key not in ("command", "commit")} for row in rows_of(name)]
        assert [list(map(str, row.values())) for row in kept] == [list(map(str, row.values())) for row in rows], name


def test_every_item_of_the_checklists_is_answered():
    lines = (DOCS / "explanation" / "checklists.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split(" | ")] for line in lines if line.startswith("| ")][1:]
    assert all(len(row) == 4 and len(row[3]) > 5 for row in rows)
    assert set(re.findall(r"\d+", " ".join(row[1] for row in rows))) == set(map(str, range(1, 43)))
    assert set(re.findall(r"\d+[a-g]?", " ".join(row[2] for row in rows))) == set(TRIPOD.split())


def test_the_grids_note_says_where_a_set_was_trained_unequally(monkeypatch):
    from benchmarks.make import result_tables

    note = result_tables.grid_note()
    assert "448x456, released: control 22, GRiL 12, GRiCoL 14." in note
    assert "192x96" not in note  # one recipe
    monkeypatch.setattr(result_tables, "epochs_on", lambda name, images: 40)
    assert result_tables.grid_note().endswith("The systems of a set have one recipe.")
