"""Environment variables of other tools that change results are reported and recorded."""

import json

import pytest
from helpers.commands import run
from helpers.synthetic import tiny_set

from gricol_zoo.inference.variables import changing_variables
from gricol_zoo.karyotype.versions import versions


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", True),
        ("ONEDNN_DEFAULT_FPMATH_MODE", "strict", False),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", True),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1", False),
        ("ACCELERATE_DYNAMO_BACKEND", "no", False),  # `accelerate launch` sets it
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", True),
        ("ACCELERATE_USE_FSDP", "true", True),
        ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1", True),
        ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "0", False),
        ("OMP_NUM_THREADS", "2", False),
    ],
)
def test_which_change_results(name, value, changes):
    assert changing_variables({name: value, "HOME": "/"}) == ({name: value} if changes else {})


def test_they_are_said_and_recorded(tmp_path, monkeypatch, capsys):
    data = tiny_set(tmp_path / "set", cells=2)
    assert run("validate", "--data", data, "--out", tmp_path / "plain.json") == 0
    assert "environment" not in json.loads((tmp_path / "plain.json").read_text())
    assert "is set, which changes results" not in capsys.readouterr().err
    monkeypatch.setenv("DNNL_DEFAULT_FPMATH_MODE", "ANY")
    assert run("validate", "--data", data, "--out", tmp_path / "said.json") == 0
    assert "warning: DNNL_DEFAULT_FPMATH_MODE=ANY is set, which changes results" in capsys.readouterr().err
    assert json.loads((tmp_path / "said.json").read_text())["environment"] == {"DNNL_DEFAULT_FPMATH_MODE": "ANY"}
    assert versions()["DNNL_DEFAULT_FPMATH_MODE"] == "ANY"
