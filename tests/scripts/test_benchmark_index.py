"""benchmarks/README.md lists every script, and the files and commands that it and the committed results name exist."""

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks.common.record import RESULTS, ROOT, module_of
from gricol_zoo.data.rows import read_csv

FOLDER = ROOT / "benchmarks"
INDEX = FOLDER / "README.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in INDEX.read_text().splitlines()
    if line.startswith("|") and "`python -m" in line
]
SCRIPTS = {module_of(file) for file in FOLDER.rglob("*.py") if '\nif __name__ == "__main__":' in file.read_text()}

PAGES = [INDEX, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def modules(text):
    return re.findall(r"python -m (benchmarks\.[a-z_]+\.[a-z]\w*)", text)


def test_every_script_has_one_row():
    assert sorted(modules("\n".join(row[1] for row in ROWS))) == sorted(SCRIPTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: modules(row[1])[0])
def test_a_row_is_whole(row):
    question, command, time, result, page = row
    (module,) = modules(command)
    assert question.endswith("?")
    assert importlib.util.find_spec(module)
    assert module in (ROOT / f"{module.replace('.', '/')}.py").read_text()  # its first lines give the command
    assert re.search("seconds|minutes|hours", time)
    assert "](" in result or result == "none is committed"
    assert page == "none" or re.fullmatch(r"\[.*\]\(\.\./docs/.*\.md\)", page)


def test_what_it_names_exists():
    for link in re.findall(r"\]\(([^)]+)\)", INDEX.read_text()):
        assert (FOLDER / link).exists(), link


def test_a_result_lies_in_the_room_of_the_script_that_wrote_it():
    for file in RESULTS.rglob("*.csv"):
        room = file.relative_to(RESULTS).parts[0]
        commands = {row["command"] for row in read_csv(file) if row.get("command")}
        assert {module.split(".")[1] for command in commands for module in modules(command)} <= {room}, file.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_benchmarks_exist(page):
    text = " ".join(page.read_text().split())
    assert set(modules(text)) <= SCRIPTS
    for name in re.findall(r"\bbenchmarks/[\w./-]+\.(?:py|csv|md|png)\b", text):
        assert (ROOT / name).exists(), name


def test_a_script_is_named_as_it_is_run():
    assert module_of(FOLDER / "speed" / "scaling.py") == "benchmarks.speed.scaling"
    assert module_of(Path("/somewhere/else/pytest.py")) == "pytest"


MODULES = sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("script", MODULES, ids=lambda script: f"{script.parent.name}.{script.stem}")
def test_a_script_can_be_imported(script):
    """Everything that it imports still exists; no other test runs all scripts."""
    importlib.import_module(".".join(script.relative_to(ROOT).with_suffix("").parts))
