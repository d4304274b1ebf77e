"""Cross-validation: folds, resuming, pooled scores, and the comparison of two runs against closed forms and scipy."""

import csv
import dataclasses
import json
import math
import shutil
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from helpers.synthetic import tiny_set
from scipy.stats import t as student
from scipy.stats import ttest_ind, ttest_rel

from gricol_zoo import GricolZooError, create_model
from gricol_zoo.cli import main
from gricol_zoo.commands.common import STOPPED
from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.folds import assign_folds, fold_split, warn_of_folds
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, check_leaks, group_of, own_groups
from gricol_zoo.evaluation.compare import compare_runs
from gricol_zoo.evaluation.metrics import bootstrap_mean
from gricol_zoo.evaluation.significance import corrected_t_test, mcnemar_exact, paired_t_test, two_sample_t_test
from gricol_zoo.training.crossval import run_folds
from gricol_zoo.training.recipes import LIGHT

QUICK = dataclasses.replace(LIGHT, epochs=1, batch_size=8, precision="fp32")


@pytest.fixture(scope="module")
def images(chromosomes):
    return open_images(chromosomes)


@pytest.mark.parametrize("folds", [2, 5])
@pytest.mark.parametrize("group", ["case", "image"])
def test_folds_part_the_set_and_no_group(images, folds, group):
    images = own_groups(images) if group == "image" else images
    fold_of = assign_folds(images, folds, seed=0)
    assert set(fold_of) == set(range(folds))
    for fold in range(folds):
        parts = apply_split(images, fold_split(images, fold_of, fold, seed=0))
        check_leaks(parts)
        assert [r.path for r in parts["test"].records] == [
            r.path for r, f in zip(images.records, fold_of, strict=True) if f == fold
        ]
        groups = [{group_of(record) for record in part.records} for part in parts.values()]
        assert all(groups)
        assert sum(map(len, groups)) == len(set().union(*groups))


def test_folds_are_stratified_and_seeded(images):
    alone = own_groups(images)
    fold_of = assign_folds(alone, 5, seed=0)
    for fold in range(5):
        assert Counter(r.label for r, f in zip(alone.records, fold_of, strict=True) if f == fold) == {"1": 2, "5": 2, "21": 2}
    assert (fold_of == assign_folds(alone, 5, seed=0)).all()
    assert (fold_of != assign_folds(alone, 5, seed=1)).any()


def test_folds_that_cannot_be(images):
    nameless = dataclasses.replace(images, records=[dataclasses.replace(r, case="", cell="") for r in images.records])
    with pytest.raises(GricolZooError, match="use `--group image`"):
        assign_folds(nameless, 5, seed=0)
    with pytest.raises(GricolZooError, match=r"but got 1 for 5 folds"):
        assign_folds(images.subset(range(3)), 5, seed=0)
    with pytest.raises(GricolZooError, match="at least 2 folds"):
        assign_folds(images, 1, seed=0)
    with pytest.raises(GricolZooError, match="leaves 1"):
        fold_split(images.subset(range(6)), np.array([0, 0, 0, 1, 1, 1]), 0, seed=0)


def test_a_missing_class_and_unbalanced_folds_are_named(images):
    kept = images.subset([i for i, r in enumerate(images.records) if r.label != "21" or r.cell == "c00"])
    notes = warn_of_folds(kept, np.array([0 if r.cell in ("c00", "c01") else 1 for r in kept.records]))
    assert "fold 1 has no image of 21 to train on" in notes
    assert "fold 2 has no image of 21 to test on" in notes
    assert any(note.startswith("fold 1 is unbalanced: 5 of ") for note in notes)
    assert warn_of_folds(images, assign_folds(images, 5, seed=0)) == []


@pytest.fixture(scope="module")
def finished(chromosomes, tmp_path_factory):
    out = tmp_path_factory.mktemp("crossval")
    for group in ("case", "image"):
        run_folds(open_images(chromosomes), "r18half_128", QUICK, out / group, folds=2, group=group, device="cpu")
    return out


def read(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.slow
@pytest.mark.parametrize("group", ["case", "image"])
def test_pooled_scores_are_those_of_the_rows(finished, images, group):
    rows, folds = read(finished / group / "predictions.csv"), read(finished / group / "folds.csv")
    report = json.loads((finished / group / "report.json").read_text())
    assert [row["path"] for row in rows] == [record.path for record in images.records]
    assert {row["cell"] for row in rows} == {record.cell for record in images.records}  # the true cells, image-level or not
    assert report["accuracy"] == pytest.approx(np.mean([row["label"] == row["prediction"] for row in rows]))
    assert report["protocol"] == {"case": "by case or cell", "image": "image-level"}[group]
    assert report["cells"] == 10
    for fold in folds:
        own = [row for row in rows if row["fold"] == fold["fold"]]
        assert int(fold["images"]) == len(own)
        assert float(fold["accuracy"]) == pytest.approx(np.mean([r["label"] == r["prediction"] for r in own]), abs=1e-6)
    assert not list(finished.rglob("checkpoint.pt"))


@pytest.mark.parametrize("group", ["case", "image"])
def test_each_row_is_what_the_model_of_its_fold_says_of_its_image(finished, images, group):
    for row, record in zip(read(finished / group / "predictions.csv"), images.records, strict=True):
        model = create_model(f"local-dir:{finished / group / ('fold' + row['fold'])}", pretrained=True)
        canvas = to_canvas(read_grey(images.read(record)), model.spec.preprocess, model.spec.image_size)
        with torch.inference_mode():
            logits = model(as_batch(canvas[None], model.spec))[0] / model.info["temperature"]
        best = int(logits.argmax())
        assert row["prediction"] == model.spec.labels[best]
        assert float(row["probability"]) == pytest.approx(float(logits.softmax(0)[best]), abs=1e-4)


def test_what_a_fold_trained_on_it_is_not_tested_on(finished):
    rows = read(finished / "case" / "predictions.csv")
    for fold in ("1", "2"):
        training = json.loads((finished / "case" / f"fold{fold}" / "config.json").read_text())["gricol_zoo"]["training"]
        assert not set(training["groups"]) & {row["case"] for row in rows if row["fold"] == fold}


def test_stopped_and_resumed_gives_the_same(chromosomes, tmp_path, finished, capsys):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(QUICK.to_dict()))
    base = ["crossval", "--data", str(chromosomes), "--model", "r18half_128", "--recipe", str(recipe), "--folds", "2"]
    out = ["--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*base, *out, "--time-limit", "0"]) == STOPPED
    assert "stopped at epoch 1" in capsys.readouterr().err
    assert not (tmp_path / "run" / "report.json").exists()
    assert main([*base, *out]) == 2
    assert "Give --resume" in capsys.readouterr().err
    assert main([*base, *out, "--resume", "--fold-seed", "1"]) == 2
    assert "its fold_seed is" in capsys.readouterr().err
    assert main([*base, *out, "--resume"]) == 0
    assert "out-of-fold accuracy" in capsys.readouterr().out
    for name in ("predictions.csv", "folds.csv", "report.json"):
        assert (tmp_path / "run" / name).read_bytes() == (finished / "case" / name).read_bytes()


def test_compare_command(finished, tmp_path, capsys):
    assert main(["compare", str(finished / "case"), str(finished / "image"), "--out", str(tmp_path / "c.json")]) == 0
    assert "no t-test: the folds are not the same" in capsys.readouterr().out
    result = json.loads((tmp_path / "c.json").read_text())
    assert result["difference"] == pytest.approx(result["accuracy_first"] - result["accuracy_second"])
    same = compare_runs(finished / "case", finished / "case")
    assert same["same_folds"]
    assert same["corrected_t_test"] is None
    assert same["mcnemar"]["p"] == 1.0
    assert main(["compare", str(finished / "case"), str(tmp_path)]) == 2
    assert "has no finished cross-validation" in capsys.readouterr().err


def fake_run(folder, right_by_fold, train_images=12):
    """Write the files of a finished cross-validation, with a given number of ten images right in each fold."""
    folder.mkdir()
    (folder / "crossval.json").write_text('{"data_sha256": "d", "folds_sha256": "f"}')
    lines = ["path,case,cell,label,prediction,fold"]
    for fold, right in enumerate(right_by_fold, start=1):
        lines += [f"{fold}-{i}.png,c{fold},c{fold},1,{1 if i < right else 2},{fold}" for i in range(10)]
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    folds = [f"{fold},{train_images},10" for fold in range(1, len(right_by_fold) + 1)]
    (folder / "folds.csv").write_text("\n".join(["fold,train_images,images", *folds]) + "\n")
    return folder


def test_compare_against_closed_forms(tmp_path):
    """The differences per fold are 0.2, 0.1, 0.0; t uses the folds' own ratio of test to train images, 10 / 12."""
    result = compare_runs(fake_run(tmp_path / "a", [9, 9, 8]), fake_run(tmp_path / "b", [7, 8, 8]))
    expected = 0.1 / math.sqrt((1 / 3 + 10 / 12) * 0.01)
    assert result["corrected_t_test"]["t"] == pytest.approx(expected)
    assert result["corrected_t_test"]["p"] == pytest.approx(2 * student.sf(expected, 2))
    assert (result["accuracy_first"], result["accuracy_second"]) == (pytest.approx(26 / 30), pytest.approx(23 / 30))
    assert result["difference"] == pytest.approx(0.1)
    assert result["mcnemar"] == {"only_first": 3, "only_second": 0, "p": pytest.approx(2 / 2**3)}
    low, high = result["difference_ci95"]
    assert (low, high) == (pytest.approx(0.0, abs=0.04), pytest.approx(0.2, abs=0.04))


def test_a_start_that_knows_the_images_is_refused(finished, images, tmp_path):
    with pytest.raises(GricolZooError, match=r"it was trained on \d+ of these 30"):
        run_folds(images, "r18half_128", QUICK, tmp_path / "run", folds=2, init=str(finished / "case" / "fold1"), device="cpu")
    with pytest.raises(GricolZooError, match="Start from other weights"):  # an image-level fold names its images
        run_folds(images, "r18half_128", QUICK, tmp_path / "run", folds=2, init=str(finished / "image" / "fold1"), device="cpu")
    assert not (tmp_path / "run").exists()


def test_other_cells_are_another_question(chromosomes, finished, tmp_path):
    shutil.copytree(finished / "case", tmp_path / "run")
    images = open_images(chromosomes)
    images.records = [dataclasses.replace(r, case=f"x{9 - int(r.case[1:])}") for r in images.records]
    with pytest.raises(GricolZooError, match="its folds_sha256 is"):
        run_folds(images, "r18half_128", QUICK, tmp_path / "run", folds=2, resume=True, device="cpu")


def test_more_folds_than_images_of_a_class(images):
    with pytest.raises(GricolZooError, match="cannot be split into 11 folds"):
        assign_folds(own_groups(images), 11, seed=0)


def test_other_images_cannot_be_paired(finished, tmp_path):
    folder = tiny_set(tmp_path / "set", cells=4)
    run_folds(open_images(folder), "r18half_128", QUICK, tmp_path / "run", folds=2, device="cpu")
    with pytest.raises(GricolZooError, match="the same images"):
        compare_runs(finished / "case", tmp_path / "run")


def test_t_test_without_overlap_is_the_paired_one():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.8, 1, (2, 7))
    expected = ttest_rel(first, second)
    got = corrected_t_test(first, second, 0.0)
    assert (got.t, got.p) == pytest.approx((expected.statistic, expected.pvalue))
    corrected = corrected_t_test(first, second, 1 / 4)
    assert corrected.t == pytest.approx(expected.statistic * math.sqrt((1 / 7) / (1 / 7 + 1 / 4)))
    assert corrected.p > got.p
    assert corrected_t_test(np.ones(3), np.zeros(3), 0.25) is None
    with pytest.raises(GricolZooError, match="at least two"):
        corrected_t_test(np.ones(1), np.ones(1), 0.25)


@pytest.mark.parametrize("runs", [2, 5, 100])
def test_t_tests_as_printed_against_scipy(runs):
    rng = np.random.default_rng(runs)
    first, second, third = rng.normal(0.95, 0.01, runs), rng.normal(0.94, 0.01, runs), rng.normal(0.94, 0.01, runs + 3)
    for got, expected, difference in (
        (paired_t_test(first, second), ttest_rel(first, second), first.mean() - second.mean()),
        (two_sample_t_test(first, third), ttest_ind(first, third), first.mean() - third.mean()),
    ):
        assert got == (pytest.approx(difference), pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert paired_t_test(first, second).p < corrected_t_test(first, second, 1 / 4).p  # the flaw of the paired test


def test_t_tests_as_printed_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3 with 2 degrees of freedom; p is 1 - t / sqrt(t^2 + 2)."""
    t = 2 * math.sqrt(3)
    expected = (pytest.approx(2.0), pytest.approx(t), pytest.approx(1 - t / math.sqrt(t**2 + 2)))
    assert paired_t_test(np.array([2.0, 4, 6]), np.array([1.0, 2, 3])) == expected
    # Means 4 and 2, variances 4 and 1: t = 2 / sqrt((4 + 1) / 3) with 4 degrees of freedom.
    assert two_sample_t_test(np.array([2.0, 4, 6]), np.array([1.0, 2, 3])).t == pytest.approx(2 / math.sqrt(5 / 3))
    assert paired_t_test(np.ones(3), np.zeros(3)) is None
    assert two_sample_t_test(np.ones(3), np.zeros(2)) is None
    with pytest.raises(GricolZooError, match="at least two"):
        paired_t_test(np.ones(3), np.ones(2))
    with pytest.raises(GricolZooError, match="at least two runs each"):
        two_sample_t_test(np.ones(3), np.ones(1))


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 0), (8, 3), (6, 6), (40, 21)])
def test_mcnemar_against_the_binomial_sum(only_first, only_second):
    first = np.array([True] * only_first + [False] * only_second + [True] * 9 + [False] * 4)
    second = np.array([False] * only_first + [True] * only_second + [True] * 9 + [False] * 4)
    n, few = only_first + only_second, min(only_first, only_second)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)
    assert mcnemar_exact(first, second) == (only_first, only_second, pytest.approx(expected))


def test_bootstrap_of_a_difference_against_every_draw():
    first = np.array([1, 1, 0, 1, 1, 1, 0], bool)
    second = np.array([1, 0, 0, 1, 0, 0, 1], bool)
    groups = ["a", "a", "b", "b", "c", "c", "c"]
    gain, size = {"a": 1, "b": 0, "c": 1}, {"a": 2, "b": 2, "c": 3}
    draws = [sum(gain[g] for g in draw) / sum(size[g] for g in draw) for draw in product("abc", repeat=3)]
    expected = np.percentile(np.repeat(draws, 400), [2.5, 97.5])
    np.testing.assert_allclose(bootstrap_mean(first.astype(int) - second, groups, samples=10_000), expected, atol=0.01)
    assert bootstrap_mean(first.astype(int) - second, ["a"] * 7) is None


def test_bootstrap_by_case_against_a_naive_loop():
    """Cases of one to nine images; each draw copies whole cases, image by image."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 10, 12)
    groups = np.repeat([f"case {i:02d}" for i in range(12)], sizes)
    correct = rng.random(len(groups)) < np.repeat(rng.random(12), sizes)
    order = rng.permutation(len(groups))  # images of a case need not be adjacent
    groups, correct = groups[order], correct[order]
    draws, names, means = np.random.default_rng(0), sorted(set(groups)), []
    for _ in range(2000):
        drawn = []
        for index in draws.integers(0, len(names), len(names)):
            drawn += [right for group, right in zip(groups, correct, strict=True) if group == names[index]]
        means.append(sum(drawn) / len(drawn))
    assert bootstrap_mean(correct, groups.tolist()) == pytest.approx(np.percentile(means, [2.5, 97.5]).tolist(), abs=1e-12)
