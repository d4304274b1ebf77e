"""`info` and `benchmark` take changed models and timm's own."""

import json

import pytest

from gricol_zoo import count, create_model
from gricol_zoo.cli import main

COMPOSED = ["--change", "backbone=timm/vit_tiny_patch16_224", "--change", "image_size=[64, 64]", "--change", "num_classes=5"]


def info(capsys, *arguments):
    assert main(["info", *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info_of_a_composed_model(capsys):
    found = info(capsys, "r18half_128", *COMPOSED)
    cost = count(create_model("r18half_128", backbone="timm/vit_tiny_patch16_224", image_size=64, num_classes=5))
    assert (found["backbone"], found["num_classes"], found["weights"]) == ("timm/vit_tiny_patch16_224", 5, "")
    assert found["gmacs_lower"] == pytest.approx(cost.lower, abs=1e-3)


def test_info_of_a_timm_model(capsys):
    found = info(capsys, "timm/vit_small_patch16_224")
    assert (found["image_size"], found["gmacs_lower"], found["gmacs_upper"]) == ("3x224x224", 4.608, 0)
    assert found["params_m"] == found["params_deployed_m"] == pytest.approx(22.051, abs=1e-3)
    assert "augreg_in21k_ft_in1k" in found["weights"]
    assert info(capsys, "timm/resnet18", "--change", "in_chans=1")["image_size"] == "1x224x224"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["timm/resnet5000"], "timm cannot create 'resnet5000'"),
        (["timm/resnet18", "--change", "grid=2"], "timm cannot create 'resnet18'"),
        (["r18half_128", "--change", "gird=2"], "Unknown option `gird`"),
        (["wang2009", "--change", "grid=2"], "--change only applies to neural networks"),
    ],
)
def test_mistakes_are_one_line(arguments, said, capsys):
    assert main(["info", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_benchmark_of_a_composed_model(capsys, tmp_path):
    name = ["benchmark", "r18half_128", *COMPOSED, "--rounds", "1", "--batch-size", "1", "--no-memory", "--forms", "as is"]
    assert main([*name, "--out", str(tmp_path / "b.csv")]) == 0
    cost = count(create_model("r18half_128", backbone="timm/vit_tiny_patch16_224", image_size=64, num_classes=5))
    line = (tmp_path / "b.md").read_text().splitlines()[-1]
    assert f"{cost.lower:.2f}" in line
