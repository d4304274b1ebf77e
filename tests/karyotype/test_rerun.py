"""`verify` where the record's runtime or dtype is not available: it compares classes, by fp32 on torch, and says so."""

import copy
import json

import pytest
from helpers.commands import run
from helpers.synthetic import write_cell

import gricol_zoo
from gricol_zoo import DEFAULT_MODEL, GricolZooError
from gricol_zoo.karyotype import rerun
from gricol_zoo.karyotype.audit import differences
from gricol_zoo.karyotype.reading import read_karyotype, to_karyotype
from gricol_zoo.karyotype.rerun import Rerun, how_to_rerun
from gricol_zoo.karyotype.run import find_cell
from gricol_zoo.karyotype.unprotected import NUMBERS
from gricol_zoo.runtimes.engines import ENGINES


@pytest.fixture(scope="module")
def model():
    return gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True, deployed=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerun")
    write_cell(folder / "cell")
    assert run("karyotype", folder / "cell", "--out", folder / "out") == 0
    return folder


@pytest.fixture
def data(folder):
    return json.loads((folder / "out" / "karyotype.json").read_text())


def as_elsewhere(data, **options):
    """Make a record as another runtime or dtype would have written it: all numbers slightly different, the same classes."""
    out = copy.deepcopy(data)
    out["options"] |= options
    for item in out["chromosomes"]:
        item["probabilities"] = {label: value * 0.99 for label, value in item["probabilities"].items()}
        item["confidence"] *= 0.98
        item["polarity"] = min(1, item["polarity"] + 0.01) if item["polarity"] >= 0.5 else max(0, item["polarity"] - 0.01)
    return out


def compared(data, model):
    record = to_karyotype(data, "it")
    return differences(record, model, find_cell(record))


@pytest.fixture
def torch_alone(monkeypatch):
    """A machine without bf16 and without another runtime than torch."""
    monkeypatch.setattr(rerun, "has_bf16", lambda: False)
    for engine in ENGINES.values():
        monkeypatch.setattr(type(engine), "version", lambda self: "")


ELSEWHERE = [
    ({"runtime": "onnxruntime"}, "its run used onnxruntime in fp32, which is not installed here"),
    ({"runtime": "openvino", "dtype": "int8"}, "its run used openvino in int8"),
    ({"dtype": "bf16"}, "its run used bf16, which this processor does not have"),
]


@pytest.mark.parametrize(("options", "why"), ELSEWHERE)
def test_classes_alone_are_compared_and_that_is_said(data, tmp_path, torch_alone, capsys, options, why):
    record = tmp_path / "karyotype.json"
    record.write_text(json.dumps(as_elsewhere(data, **options)))
    assert run("verify", record) == 0
    said = capsys.readouterr().out
    assert f"compared in fp32 on torch, classes only: {why}" in said
    assert "the same classes" in said
    assert all(name in said for name in NUMBERS)


@pytest.mark.parametrize(("options", "why"), ELSEWHERE)
def test_another_class_is_found_all_the_same(data, model, torch_alone, options, why):
    altered = as_elsewhere(data, **options)
    assert compared(altered, model) == []
    item = altered["chromosomes"][3]
    item["automatic"] = item["assigned"] = "Y"
    assert compared(altered, model)
    altered = as_elsewhere(data, **options)
    altered["chromosomes"][3]["probabilities"]["Y"] = 1.0
    assert compared(altered, model) == ["chromosome 4: its probabilities speak for another class than the predicted one"]
    altered = as_elsewhere(data, **options)
    altered["chromosomes"][3]["predicted"] = "Y"
    assert compared(altered, model)
    altered = as_elsewhere(data, **options)
    altered["warnings"] = ["no. 1: half a chromosome"]
    assert compared(altered, model)
    for key in ("confidence", "polarity"):
        altered = as_elsewhere(data, **options)
        altered["chromosomes"][3][key] = float("nan")
        with pytest.raises(GricolZooError, match=r"not in 0\.\.1"):
            compared(altered, model)


def test_numbers_count_where_they_can_be_had(data, model):
    assert compared(as_elsewhere(data), model)


@pytest.mark.slow
def test_a_run_in_bf16_holds_in_bf16_and_without_it(folder, tmp_path, monkeypatch, capsys):
    assert run("karyotype", folder / "cell", "--out", tmp_path, "--dtype", "bf16") == 0
    record = read_karyotype(tmp_path / "karyotype.json")
    assert record.options["dtype"] == "bf16"
    for there in (True, False):
        monkeypatch.setattr(rerun, "has_bf16", lambda there=there: there)
        assert how_to_rerun(record).dtype == ("bf16" if there else "fp32")
        assert run("verify", tmp_path / "karyotype.json") == 0
        assert ("classes only" in capsys.readouterr().out) != there


def test_a_run_of_another_runtime_holds_there_and_without_it(folder, tmp_path, monkeypatch, capsys):
    assert run("karyotype", folder / "cell", "--out", tmp_path, "--model", DEFAULT_MODEL, "--runtime", "onnxruntime") == 0
    file = tmp_path / "karyotype.json"
    record = read_karyotype(file)
    assert (record.options["runtime"], record.options["dtype"]) == ("onnxruntime", "fp32")
    assert record.versions["onnxruntime"] == ENGINES["onnxruntime"].version()
    assert how_to_rerun(record) == Rerun("fp32", runtime="onnxruntime")
    assert run("verify", file) == 0
    said = capsys.readouterr()
    assert "classes only" not in said.out
    assert "note:" not in said.err
    altered = as_elsewhere(json.loads(file.read_text()))
    assert compared(altered, gricol_zoo.create_model(DEFAULT_MODEL, pretrained=True))
    monkeypatch.setattr(type(ENGINES["onnxruntime"]), "version", lambda self: "")
    assert run("verify", file) == 0
    said = capsys.readouterr()
    assert "classes only: its run used onnxruntime in fp32, which is not installed here" in said.out
    assert "onnxruntime was" in said.err


@pytest.mark.parametrize("runtime", ["magic", "", 7, None, "Torch", ["torch"]])
def test_a_runtime_that_is_none_is_refused(data, tmp_path, capsys, runtime):
    (tmp_path / "k.json").write_text(json.dumps({**data, "options": {**data["options"], "runtime": runtime}}))
    assert run("verify", tmp_path / "k.json") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_of_this_machine_is_run_as_it_was(folder):
    record = read_karyotype(folder / "out" / "karyotype.json")
    assert how_to_rerun(record) == Rerun("fp32", "")


@pytest.mark.parametrize("place", ["\\\\evil\\share", "//evil/share", "/\\evil", " \\\\evil\\share"])
def test_a_record_sends_nobody_to_another_machine(data, tmp_path, capsys, place):
    (tmp_path / "k.json").write_text(json.dumps({**data, "source": place}))
    for command in (("verify", tmp_path / "k.json"), ("karyotype", tmp_path / "k.json", "--out", tmp_path / "out")):
        assert run(*command) == 2
        assert "name it with --images" in capsys.readouterr().err
    (tmp_path / "k.json").write_text(json.dumps({**data, "model": {**data["model"], "name": f"local-dir:{place}"}}))
    assert run("verify", tmp_path / "k.json") == 2
    assert "name them with --model" in capsys.readouterr().err
