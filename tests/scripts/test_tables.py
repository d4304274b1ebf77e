"""The runs behind Tables 1 to 3: what is trained, that it is done once and can be resumed, and the tables made from it."""

import dataclasses
import math
import sys

import numpy as np
import pytest
from helpers.synthetic import tiny_set
from scipy.stats import ttest_ind, ttest_rel

from benchmarks.common import record
from benchmarks.paper import cheaper_grids, runs, systems, table1_overlap, tables
from gricol_zoo import MODELS, GridLoss, TrainingTask, create_model
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.data.folds import assign_folds, fold_split
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.rows import read_csv, to_csv
from gricol_zoo.training.checks import check_phases


@pytest.fixture(autouse=True)
def results(monkeypatch, tmp_path):
    """Let the scripts write their results into a temporary folder."""
    folder = tmp_path / "results"
    (folder / "paper").mkdir(parents=True)
    monkeypatch.setattr(record, "RESULTS", folder)
    monkeypatch.setattr(runs, "RESULTS", folder)
    return folder / "paper"


@pytest.mark.parametrize("budget", ["light", "full"])
def test_every_system_is_one_that_can_be_built(budget):
    tables = (systems.TABLE1, systems.TABLE2, systems.TABLE3, systems.CHEAPER, systems.FULL_ONLY)
    assert {name for table in tables for name in table} == set(systems.SYSTEMS)
    for name, system in systems.SYSTEMS.items():
        model, changes = systems.of_budget(system, budget)
        if system.classical:
            assert model in CLASSICAL
            continue
        if budget == "light":  # one trunk, one size: a light table compares forms
            built = create_model(model, **changes)
            assert built.spec.image_size == (128, 96), name
            check_phases(TrainingTask(built, GridLoss()), name, systems.BUDGETS[budget].recipe)
        else:
            assert model in MODELS
            MODELS.get(model).replace(**changes)
    cut = systems.of_budget(systems.SYSTEMS["gricol_cut2"], budget)[1]
    assert cut["splitter_options"] == {"stage": 2}  # a cheaper system is cheaper at both sizes


def test_the_recipe_bends_nothing_and_is_the_same_for_all():
    for budget in systems.BUDGETS.values():
        assert (budget.recipe.augment.bend, budget.recipe.augment.elastic, budget.recipe.augment.arc) == (0, 0, 0)


def test_light_trunks_are_as_many_parameters_as_their_forms_say():
    """By hand: mmhpn has 15 reductions of 256 x 32 with a norm and 480 features; multi-region 6 x 256 features."""
    trunk = sum(p.numel() for p in create_model("r18half_128").backbone.parameters())
    counted = {}
    for name in ("mmhpn", "multiregion"):
        model, changes = systems.of_budget(systems.SYSTEMS[name], "light")
        counted[name] = sum(p.numel() for p in create_model(model, **changes).parameters())
    assert counted["mmhpn"] == trunk + 15 * (256 * 32 + 2 * 32) + 480 * 24 + 24
    assert counted["multiregion"] == trunk + 6 * 256 * 24 + 24


def work_of(runs, folder, tmp_path, systems, deadline=math.inf):
    return runs.Work("light", "qband", open_images(folder), tmp_path / "runs", systems, (0, 1), deadline, "cpu")


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """The runs module with a very short training of one epoch, and a count of its calls."""
    folder = tiny_set(tmp_path / "set", cells=15)
    recipe = dataclasses.replace(runs.BUDGETS["light"].recipe, epochs=1, batch_size=8, precision="fp32")
    monkeypatch.setitem(runs.BUDGETS, "light", dataclasses.replace(runs.BUDGETS["light"], recipe=recipe, seeds=(0, 1)))
    calls, real = [], runs.train
    monkeypatch.setattr(runs, "train", lambda *a, **k: calls.append((a[2], a[3].seed)) or real(*a, **k))
    return runs, folder, calls


def test_runs_are_done_once_and_score_the_unseen_fold_alone(quick, tmp_path):
    runs, folder, calls = quick
    work = work_of(runs, folder, tmp_path, ("resnet50",))
    runs.do_runs(work)
    assert calls == [("r18half_128", 0), ("r18half_128", 1)]
    lines = read_csv(runs.runs_file("light", "qband"))
    assert [(line["system"], line["seed"], line["fold"]) for line in lines] == [("resnet50", "0", "0"), ("resnet50", "1", "0")]
    fold_of = assign_folds(work.images, 5, 0)
    tested = {record.path for record, fold in zip(work.images.records, fold_of, strict=True) if fold == 0}
    rows = read_csv(runs.predictions_file("light", "qband"))
    assert {row["path"] for row in rows} == tested
    split = fold_split(work.images, fold_of, 0, 0)
    assert all(split[row["case"], row["cell"]] == "test" for row in rows)
    right = np.mean([row["resnet50.0"] == row["label"] for row in rows])
    assert float(lines[0]["accuracy"]) == pytest.approx(right)
    runs.do_runs(work)
    assert len(calls) == 2
    assert len(read_csv(runs.runs_file("light", "qband"))) == 2


def test_a_number_format_that_is_asked_for_is_used_and_recorded(quick, tmp_path, monkeypatch):
    runs, folder, _ = quick
    asked, real = [], runs.train
    monkeypatch.setattr(runs, "train", lambda *a, **k: asked.append(a[3].precision) or real(*a, **k))
    plain = runs.BUDGETS["light"]
    recipe = dataclasses.replace(plain.recipe, precision="auto")
    monkeypatch.setitem(runs.BUDGETS, "light", dataclasses.replace(plain, recipe=recipe))
    runs.do_runs(work_of(runs, folder, tmp_path, ("resnet50",))._replace(precision="fp32", seeds=(0,)))
    assert asked == ["fp32"]
    assert [line["precision"] for line in read_csv(runs.runs_file("light", "qband"))] == ["fp32"]


@pytest.mark.slow
def test_a_stopped_run_goes_on(quick, tmp_path, monkeypatch):
    runs, folder, calls = quick
    seconds = iter(range(10**6))
    monkeypatch.setattr(runs.time, "monotonic", lambda: float(next(seconds)))
    runs.do_runs(work_of(runs, folder, tmp_path, ("resnet50",), deadline=6.0))
    assert calls
    assert not runs.read_rows(runs.runs_file("light", "qband"))
    assert (tmp_path / "runs" / "resnet50.0.0" / "checkpoint.pt").exists()
    runs.do_runs(work_of(runs, folder, tmp_path, ("resnet50",)))
    assert len(read_csv(runs.runs_file("light", "qband"))) == 2


def test_a_signal_stops_the_runs_after_it_too(quick, tmp_path, monkeypatch):
    runs, folder, _ = quick
    seeds = []
    monkeypatch.setattr(runs, "train", lambda *a, **k: bool(seeds.append(a[3].seed)))  # reports that it was stopped
    runs.do_runs(work_of(runs, folder, tmp_path, ("resnet50",)))
    assert seeds == [0]


def test_a_run_that_another_process_has_is_left_to_it(quick, tmp_path):
    runs, folder, calls = quick
    with runs._mine(tmp_path / "runs" / "resnet50.0.0") as mine:
        assert mine
        runs.do_runs(work_of(runs, folder, tmp_path, ("resnet50",)))
    assert calls == [("r18half_128", 1)]


def test_a_classical_system_runs_beside_them(quick, tmp_path):
    runs, folder, calls = quick
    runs.do_runs(work_of(runs, folder, tmp_path, ("poletti2012",))._replace(seeds=(0,)))
    (line,) = read_csv(runs.runs_file("light", "qband"))
    assert not calls
    assert 0 <= float(line["reassigned"]) <= 1


def write_runs(columns, accuracies, cells=("c1", "c1", "c2", "c2"), tag="qband"):
    rows = []
    for i, cell in enumerate(cells):
        known = {"path": f"{i}.png", "case": "", "cell": cell, "label": "1", "fold": "0"}
        rows.append({**known, **{run: predicted[i] for run, predicted in columns.items()}})
    runs.predictions_file("light", tag).write_text(to_csv(rows))
    sizes = {"fold": 0, "images": 4, "train_images": 16, "seconds": 1}
    lines = [{"system": run[:-2], "seed": run[-1], "accuracy": value, **sizes} for run, value in accuracies.items()]
    runs.runs_file("light", tag).write_text(to_csv(lines))


def test_a_line_by_hand():
    columns = {"gricol.0": "1112", "gricol.1": "1111"}
    write_runs(columns, {"gricol.0": 0.75, "gricol.1": 1.0})
    line = tables.line_of("light", "qband", "gricol")
    assert line["accuracy"] == pytest.approx(87.5)
    assert line["spread"] == pytest.approx(math.sqrt(2 * 12.5**2))
    assert (line["runs"], line["images"], line["paper_qband"]) == (2, 4, 97.3)
    # Cell c1 is always right, c2 in three of four: means of drawn cells lie between 75 and 100.
    assert (line["low"], line["high"]) == (75.0, 100.0)


def test_a_system_without_runs_has_the_papers_figures_alone():
    line = tables.line_of("light", "qband", "cirnet")
    assert "accuracy" not in line
    assert line["paper_fish"] == 83.3
    assert "is recorded yet" in tables.conditions("light", "qband", [line])


def test_a_seed_whose_folds_are_not_all_done_does_not_count():
    columns = {"gricol.0": "1111"}
    write_runs(columns, {"gricol.0": 1.0})
    assert tables.read_result("full", "qband", "gricol") is None


def test_the_tests_of_table_1_by_hand():
    with_overlap = {"gricol.0": "1111", "gricol.1": "1112", "gricol.2": "1111"}
    without = {"gricol_nooverlap.0": "1122", "gricol_nooverlap.1": "1222", "gricol_nooverlap.2": "1112"}
    accuracies = {key: values.count("1") / 4 for key, values in {**with_overlap, **without}.items()}
    write_runs({**with_overlap, **without}, accuracies)
    pair = [tables.read_result("light", "qband", name) for name in table1_overlap.TABLE1]
    rows = table1_overlap.tests_of(*pair, 1e-8)
    expected = ttest_rel([1, 0.75, 1], [0.5, 0.25, 0.75])
    assert rows[0]["difference"] == pytest.approx(100 * (0.5 + 0.5 + 0.25) / 3)
    assert rows[0]["p"] == pytest.approx(ttest_ind([1, 0.75, 1], [0.5, 0.25, 0.75]).pvalue)
    assert rows[1]["p"] == pytest.approx(expected.pvalue)
    assert rows[2]["p"] > rows[1]["p"]
    assert [row["p"] for row in rows[3:6]] == [0.5, 0.5, 1.0]  # 2, 2 and 1 images, all one way: 2 * 0.5 ** n, at most 1
    # Drawing two cells gives one of them twice or both, so the ends of the interval are the cells' own means.
    gap = pair[0].right.mean(1) - pair[1].right.mean(1)
    assert (rows[6]["low"], rows[6]["high"]) == (100 * gap[:2].mean(), 100 * gap[2:].mean())
    assert rows[6]["difference"] == pytest.approx(100 * gap.mean())


@pytest.mark.parametrize("tag", ["qband", "pki3"])
def test_the_table_scripts_write_without_images(results, tag, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["table1_overlap.py", "--set", tag])  # the paper has no figure for Pki-3
    runs = {f"{name}.{seed}": values for name in ("gricol", "gricol_nooverlap") for seed, values in ((0, "1112"), (1, "1111"))}
    runs["gricol.0"] = "1122"
    write_runs(runs, {run: values.count("1") / 4 for run, values in runs.items()}, tag=tag)
    table1_overlap.main()
    tests = read_csv(results / f"table1_tests.light.{tag}.csv")
    assert [row["paper_p"] for row in tests][:2] == (["1.71e-08", ""] if tag == "qband" else ["", ""])
    assert "bootstrap by case or cell" in (results / f"table1_tests.light.{tag}.md").read_text()


def test_a_cheaper_grid_is_compared_at_equal_seeds_by_hand():
    predicted = {
        "gricol.0": "1112",
        "gricol.1": "1111",
        "gricol_cut3.0": "1222",
        "gricol_cut3.1": "1112",
        "gricol_cut2.0": "1111",
    }
    write_runs(predicted, {run: values.count("1") / 4 for run, values in predicted.items()})
    file = runs.runs_file("light", "qband")
    file.write_text(to_csv([{**row, "full": 0.5 + 0.1 * int(row["seed"])} for row in read_csv(file)]))
    row = cheaper_grids.against("gricol_cut3", "light", "qband")
    assert row["difference"] == pytest.approx(100 * (1 / 4 + 3 / 4 - 3 / 4 - 1) / 2)
    assert (row["gap_low"], row["gap_high"]) == (-50, -25)  # cell c2 loses two of its four, c1 one
    assert row["full_shown"] == "55.0 ± 7.1"
    assert "difference" not in cheaper_grids.against("gricol_cut2", "light", "qband")  # one seed beside two
    assert "difference" not in cheaper_grids.against("gricol", "light", "qband")


def test_groups_are_those_of_the_split():
    write_runs({"gricol.0": "1111"}, {"gricol.0": 1.0})
    result = tables.read_result("light", "qband", "gricol")
    assert len(set(result.groups)) == 2
