"""README and the pages in docs: their code runs as it stands, their figures are those of the results, their links work."""

import importlib.util
import json
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import timm
import torch
from helpers import ROOT
from helpers.hub import TOKEN
from helpers.models import SMALL

import gricol_zoo
import gricol_zoo.timm_bridge
from gricol_zoo import cli
from gricol_zoo.data.rows import read_csv

RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "MODEL_CARD.md", "CHANGELOG.md")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name_of(page):
    return str(page.relative_to(ROOT))


def fences(page, language):
    return [text for kind, text in FENCE.findall(page.read_text()) if kind == language]


def words(path):
    """Return a page's words separated by single spaces, so that no test depends on its line breaks."""
    return " ".join((ROOT / path).read_text().split())


def percents(row, *keys):
    return [f"{100 * float(row[key]):.1f}" for key in keys]


def blocks_script():
    spec = importlib.util.spec_from_file_location("blocks", ROOT / "docs" / "blocks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PYTHON = [
    pytest.param(text, id=f"{name_of(page)}-{i}", marks=[pytest.mark.slow] if "export_model(" in text else [])
    for page in PAGES
    for i, text in enumerate(fences(page, "python"))
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_blocks_run(text, hub, tmp_path, monkeypatch):
    saved = gricol_zoo.create_model("gricol_r18half_n3_128", **SMALL)
    saved.save_pretrained(tmp_path / "runs" / "first")
    hub.commit("you/yours", {file.name: file.read_bytes() for file in (tmp_path / "runs" / "first").iterdir()})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(gricol_zoo.BACKBONES, "_items", dict(gricol_zoo.BACKBONES._items))  # undoes what a block registers
    names = {
        "gricol_zoo": gricol_zoo,
        "timm": timm,
        "default": gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True),
        "model": gricol_zoo.create_model("hf-hub:you/yours", pretrained=True),
        "images": torch.randn(2, 1, *SMALL["image_size"]),
        "labels": torch.tensor([0, 1]),
        "epoch": 0,
    }
    exec(compile(text, "a block of the docs", "exec"), names)


def test_readme_is_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert max(len(line) for line in lines) <= 128


def test_ci_runs_the_same_test_command():
    command = re.search(r"Test it:\n\n```sh\n(.*?)\n```", (ROOT / "README.md").read_text())[1]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_versions_agree():
    project = (ROOT / "pyproject.toml").read_text()
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert f"rev: v{re.search(r'ruff==([0-9.]+)', project)[1]}\n" in hooks
    assert re.search(r"mypy==[0-9.]+", project)[0] in hooks
    assert f"\nversion: {gricol_zoo.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "test.yml").read_text()


# Commands


def command_lines(page):
    """Yield the arguments of each `gricol-zoo` or `-m gricol_zoo` in the page's shell blocks."""
    for text in fences(page, "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                parts = shlex.split(command, comments=True)
                for start in ("gricol-zoo", "gricol_zoo"):
                    if start in parts:
                        yield parts[parts.index(start) + 1 :]


LINES = [pytest.param(line, id=f"{name_of(page)}: {' '.join(line)[:40]}") for page in PAGES for line in command_lines(page)]


@pytest.mark.parametrize("arguments", LINES)
def test_command_lines_are_understood(arguments):
    cli._parser().parse_args(arguments)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_commands_in_sentences_exist(page):
    for command in re.findall(r"`gricol-zoo ([a-z]\w*)", words(page)):
        assert command in cli.COMMANDS


def test_every_command_is_described():
    described = re.findall(r"^## ([a-z]+)$", (ROOT / "docs" / "reference" / "cli.md").read_text(), re.MULTILINE)
    assert tuple(described) == cli.COMMANDS
    assert {line[0] for line in command_lines(ROOT / "README.md")} == set(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_options_in_a_description_exist(command, capsys):
    section = (ROOT / "docs" / "reference" / "cli.md").read_text().split(f"\n## {command}\n")[1].split("\n## ")[0]
    with pytest.raises(SystemExit):
        cli._parser().parse_args([command, "--help"])
    known = capsys.readouterr().out
    for option in re.findall(r"--[a-z][a-z-]*", section):
        assert re.search(rf"{option}\b", known), option


# Links


def anchors(page):
    text = FENCE.sub("", page.read_text())
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if link.startswith(("http:", "https:")):
            continue
        path, _, anchor = unquote(link).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(there), link


def test_every_page_is_in_the_index():
    docs = ROOT / "docs"
    listed = set()
    for index in (docs / "index.md", docs / "explanation" / "decisions" / "index.md"):
        listed |= {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+\.md)", index.read_text())}
    assert set(docs.rglob("*.md")) - {docs / "index.md"} <= listed


DECISIONS = ROOT / "docs" / "explanation" / "decisions"


@pytest.mark.parametrize("page", sorted(set(DECISIONS.glob("*.md")) - {DECISIONS / "index.md"}), ids=lambda page: page.stem)
def test_every_decision_is_in_the_index(page):
    listed = re.findall(rf"^- \[(.*)\]\({page.name}#", (DECISIONS / "index.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"^### (.*)$", page.read_text(), re.MULTILINE)) <= set(listed)


@pytest.mark.parametrize("page", PAGES[1:], ids=name_of)
def test_a_page_begins_with_its_heading_and_what_it_is_for(page):
    heading, paragraph, *_ = page.read_text().split("\n\n")
    assert heading.startswith("# ")
    assert re.match(r"[A-Z`]\w*", paragraph)
    assert not paragraph.startswith(("```", "<!--"))


# Figures

BLOCKS = blocks_script()
SHOWN = [
    pytest.param(page, path, shown, id=f"{name_of(page)}: {path}") for page in PAGES for path, shown in BLOCKS.blocks(page)
]
MEASURED = ("speed", "speed_ratios", "speed_profile", "speed_batch", "predict_speed", "predict_memory", "predict_overlap")
MEASURED += ("predict_parity", "training_step", "training_step_profile", "scaling", "startup")
MEASURED += ("export_speed", "export_ratios", "export_profile", "export_accuracy", "shards", "processes")
MEASURED += ("weights", "karyotype", "classical", "classical_crossval", "crossval", "crossval_gap", "embed", "straighten")
MEASURED += tuple(
    f"{name}.light.qband"
    for name in ("table1_overlap", "table1_tests", "table2_grid_size", "table3_comparison", "cheaper_grids")
)


@pytest.mark.parametrize(("page", "path", "shown"), SHOWN)
def test_a_block_is_the_committed_file(page, path, shown):
    assert shown == BLOCKS.content(path), "run python docs/blocks.py"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_whole(page):
    text = page.read_text()
    begun, ended = text.count("<!-- results: "), text.count("<!-- end of results -->")
    assert begun == ended == len(list(BLOCKS.blocks(page)))


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_shown(name):
    assert f"/{name}.md" in " ".join("/" + Path(param.values[1]).name for param in SHOWN)


def test_the_script_says_which_blocks_differ(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "result.md").write_text("| 1 |\n")
    page = tmp_path / "docs" / "page.md"
    (tmp_path / "README.md").write_text("nothing")
    page.write_text("before\n\n<!-- results: result.md -->\n<!-- end of results -->\n\nafter\n")
    monkeypatch.setattr(BLOCKS, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["blocks.py", "--check"])
    assert BLOCKS.main() == 1
    assert "| 1 |" not in page.read_text()
    monkeypatch.setattr("sys.argv", ["blocks.py"])
    assert BLOCKS.main() == 0
    assert page.read_text() == "before\n\n<!-- results: result.md -->\n\n| 1 |\n\n<!-- end of results -->\n\nafter\n"
    monkeypatch.setattr("sys.argv", ["blocks.py", "--check"])
    assert BLOCKS.main() == 0
    assert capsys.readouterr().out.split() == ["docs/page.md"] * 2


@pytest.mark.parametrize("table", ["table2_grid_size", "table3_comparison"])
def test_the_papers_tables_are_of_the_light_budget(table):
    _, _, conditions = (RESULTS / "paper" / f"{table}.light.qband.md").read_text().partition("\n\n")
    assert "8 epochs" in conditions
    assert "874 unseen images" in conditions


def test_what_is_said_of_bends_is_committed():
    page = (RESULTS / "paper" / "bend.md").read_text()
    found = re.findall(r"(synthetic|warped|real) ([+-]\d\.\d \([+-]\d\.\d to [+-]\d\.\d\))", words("docs/results/bend.md"))
    assert len(found) == 6
    for part, interval in found:
        assert f"{part} {interval}" in page


def test_what_is_said_of_overlap_is_committed():
    rows = {row["test"]: row for row in read_csv(RESULTS / "paper" / "table1_tests.light.qband.csv")}
    gap = rows["bootstrap by case or cell"]
    said = "worth {:.1f} points over no overlap ({:.1f} to {:.1f} by bootstrap over cells"
    assert said.format(*(float(gap[key]) for key in ("difference", "low", "high"))) in words("docs/results/paper-tables.md")


def test_the_accuracy_in_readme_is_the_committed_report():
    report = json.loads((RESULTS / "released" / f"{gricol_zoo.DEFAULT_MODEL}.test.json").read_text())
    low, high = report["accuracy_ci95"]
    line = next(
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{gricol_zoo.DEFAULT_MODEL}`")
    )
    assert f"{100 * report['accuracy']:.1f} % ({100 * low:.1f} % to {100 * high:.1f} %)" in line
    name, tag = gricol_zoo.DEFAULT_MODEL.split(".")
    assert report["weights_sha256"] == gricol_zoo.WEIGHTS[name][tag].sha256
    assert report["seen_in_training"] == 0


def test_what_readme_says_of_the_grid_is_committed():
    def accuracy(name):
        return percents(json.loads((RESULTS / "released" / f"{name}.test.json").read_text()), "accuracy")[0]

    small = ("gricol_r18half_n3_128", "r18half_128")
    seeds = {row["model"]: row for row in read_csv(RESULTS / "paper" / "grid_seeds.csv")}
    middle = ["{:.1f}".format(float(seeds[name]["accuracy"])) for name in ("gricol_r18half_n3_192", "r18half_192")]
    for page, large in (("README.md", "448x456"), ("docs/results/grid.md", "the paper's size")):
        for size, names in {large: ("gricol_r50half_n3", "r50half"), "128x96": small}.items():
            assert "{} and {} % at {}".format(*(accuracy(f"{name}.qband") for name in names), size) in words(page)
        assert "{} and {} % at 192x96 (means of three seeds)".format(*middle) in words(page)
    assert {seeds[name]["seeds"] for name in ("gricol_r18half_n3_192", "r18half_192")} == {"0, 1, 2"}
    pki3 = [accuracy(f"{name}.pki3") for name in small]
    assert "on that of Pki-3 {} and {} % at 128x96".format(*pki3) in words("README.md")
    assert pki3 == ["98.1", "98.1"]
    assert "On Pki-3 both have 98.1 %." in words("docs/results/grid.md")


def test_the_answers_on_released_weights_are_the_committed_ones():
    tested = [
        row for row in read_csv(RESULTS / "released" / "weights.csv") if (row["part"], row["inference"]) == ("test", "lower")
    ]
    found = {tag: sorted(percents(row, "accuracy")[0] for row in tested if row["tag"] == tag) for tag in ("pki3", "qband")}
    ends = [found[tag][end] for tag in found for end in (0, -1)]
    text = words("docs/results/weights.md")
    assert "On G-bands (Pki-3) {} to {} % of single images, on Q-bands {} to {} %".format(*ends) in text
    all_labels = read_csv(RESULTS / "released" / "suspected_labels_scores.csv")[0]
    assert (all_labels["labels"], all_labels["cells"]) == ("as they are", "95")
    assert f"the recipe of the packaged control gives {percents(all_labels, 'accuracy')[0]} %" in text


def test_the_answer_on_assigning_cells_is_the_committed_one():
    (row,) = (row for row in read_csv(RESULTS / "released" / "karyotype.csv") if "out of fold" in row["what"])
    before, after = (int(row[key]) for key in ("single_cells_with_error", "cells_with_error"))
    rise = "rises from {} to {} %".format(*percents(row, "single_accuracy", "accuracy"))
    assert f"{rise}, and {before - after} of the {before} cells with an error" in words("docs/results/karyotype.md")


def test_the_answer_on_other_cameras_is_the_committed_one():
    rows = {row["name"]: row for row in read_csv(RESULTS / "released" / "robustness_summary.csv")}
    text = words("docs/results/robustness.md")
    assert {f"Most of the {row['conditions']} simulated conditions" in text for row in rows.values()} == {True}
    warned = [rows[f"r18half_192.{tag}"][key] for tag in ("pki3", "qband") for key in ("lost_warned", "lost")]
    assert "({} of {} on Pki-3, {} of {} on Q-band)".format(*warned) in text


def test_what_readme_says_of_whole_cells_is_committed():
    rows = read_csv(RESULTS / "classical" / "classical_crossval.csv")
    one, two = (next(row for row in rows if row["name"] == name) for name in ("poletti2012", "wang2009"))
    single, together = ([percents(row, key)[0] for row in (one, two)] for key in ("accuracy", "reassigned"))
    text = words("README.md")
    assert "rise from {} and {} % to {} and {} %".format(*single, *together) in text
    (row,) = (row for row in (RESULTS / "released" / "karyotype.md").read_text().splitlines() if "out of fold" in row)
    cells = [cell.strip() for cell in row.split("|")]
    assert f"the light control network from {100 * float(cells[4]):.1f} to {100 * float(cells[5]):.1f} %" in text


def test_what_readme_says_of_other_cameras_is_committed():
    row = next(row for row in read_csv(RESULTS / "released" / "robustness_summary.csv") if row["name"] == "r18half_192.pki3")
    untouched, mean, minimum = percents(row, "untouched", "assigned", "least")
    text = words("README.md")
    assert f"from {untouched} % to {mean} % on average over {row['conditions']} simulated conditions" in text
    assert f"and to {minimum} % under the worst" in text
    assert row["worst"].startswith("all of one height")


def test_the_cross_validations_are_the_committed_ones():
    text = words("docs/results/weights.md")
    rows = {row["protocol"]: row for row in read_csv(RESULTS / "paper" / "crossval.csv")}
    by_cell, by_image = (percents(rows[protocol], "accuracy")[0] for protocol in ("by case or cell", "image-level"))
    assert f"{by_cell} % by cell and {by_image} % image-level" in text
    gap = percents(read_csv(RESULTS / "paper" / "crossval_gap.csv")[0], "difference", "low", "high")
    assert "a gap of {} points ({} to {} by bootstrap over cells)".format(*gap) in text


def test_the_classical_systems_are_the_committed_ones():
    rows = [row for row in read_csv(RESULTS / "classical" / "classical.csv") if row["orientation"] == "as-is"]
    first = [next(row for row in rows if row["name"] == name) for name in ("poletti2012", "wang2009")]
    shown = [figure for row in first for figure in percents(row, "accuracy", "low", "high")]
    single = "{} % ({} to {} by cell) and {} % ({} to {})".format(*shown)
    together = "{} % and {} %".format(*(percents(row, "reassigned")[0] for row in first))
    assert f"{single} by single images, {together} with the cell assigned together" in words("docs/results/classical.md")


def test_the_out_of_fold_figures_are_the_committed_ones():
    text = words("docs/results/classical.md")
    rows = read_csv(RESULTS / "classical" / "classical_crossval.csv")
    one, two = (next(row for row in rows if row["name"] == name) for name in ("poletti2012", "wang2009"))
    assert [int(one[key]) for key in ("images", "cells")] == [4370, 95]
    keys = ("accuracy", "low", "high", "reassigned", "reassigned_low", "reassigned_high")
    first, second = (percents(row, *keys) for row in (one, two))
    assert "`poletti2012` {} % ({} to {} by cell), {} % ({} to {}) assigned together".format(*first) in text
    assert "`wang2009` {} % ({} to {}) and {} % ({} to {})".format(*second) in text


def test_what_is_said_of_cheaper_grids_is_committed():
    text = words("docs/results/cheaper-grid.md")
    row = next(row for row in read_csv(RESULTS / "paper" / "cheaper_grids.light.qband.csv") if row["system"] == "gricol_cut3")
    said = "{:.1f} points better ({:.1f} to {:.1f} by bootstrap over cells)"
    assert said.format(*(float(row[key]) for key in ("difference", "gap_low", "gap_high"))) in text
    assert f"cost {100 * float(row['part']):.0f} % of the Gflops" in text


@pytest.mark.parametrize("name", [name for name in MEASURED if not name.endswith("qband")])
def test_a_measured_table_has_its_csv(name):
    (file,) = RESULTS.glob(f"*/{name}.csv")
    assert file.read_text().count("\n") >= 2
