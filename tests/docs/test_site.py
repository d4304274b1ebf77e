"""The site: what goes into it, and where its links lead. `mkdocs build --strict` in .ci/run checks the rest."""

import importlib.util
import pkgutil
import re

import pytest
from helpers import ROOT

import gricol_zoo

DOCS = ROOT / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
DESCRIBED = {
    page.name: re.findall(r"^::: (gricol_zoo\.\S+)$", page.read_text(), re.MULTILINE)
    for page in (DOCS / "reference" / "api").glob("*.md")
}
TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


def hook():
    spec = importlib.util.spec_from_file_location("links", DOCS / "links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_once():
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    assert sorted(re.findall(r"\S+\.md\b", navigation)) == PAGES


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
    assert "font: false" in settings  # the theme's default is a font of Google's
    assert "repo_url" not in settings  # by which the theme asks GitHub for stars
    assert "inventories: []" in settings
    assert not re.search(r"https?://|@import", (DOCS / "style.css").read_text())
    for page in PAGES:  # for which the theme loads a script
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


def test_every_item_of_the_checklists_is_answered():
    lines = (DOCS / "explanation" / "checklists.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split(" | ")] for line in lines if line.startswith("| ")][1:]
    assert all(len(row) == 4 and len(row[3]) > 5 for row in rows)
    assert set(re.findall(r"\d+", " ".join(row[1] for row in rows))) == set(map(str, range(1, 43)))
    assert set(re.findall(r"\d+[a-g]?", " ".join(row[2] for row in rows))) == set(TRIPOD.split())
