"""Weights that contain or produce NaN or infinity: refused on loading, or at the first image; never written as a row."""

import numpy as np
import pytest
import torch
from helpers.commands import run
from helpers.models import SMALL
from helpers.synthetic import tiny_set

from gricol_zoo import classify, create_model
from gricol_zoo.data.readers import open_images
from gricol_zoo.errors import CorruptWeightsError
from gricol_zoo.karyotype.run import karyotype

NAME = "gricol_r18half_n3_128"


def saved(folder, change):
    model = create_model(NAME, **SMALL).eval()
    with torch.no_grad():
        change(model)
    model.save_pretrained(folder)
    return folder


def overflowing(model):
    """Make weights that are finite in the file but overflow after a few layers."""
    for norm in model.backbone.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.weight.fill_(1e30)


def test_a_negative_variance_is_refused(tmp_path):
    saved(tmp_path, lambda model: next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)).running_var.fill_(-1))
    with pytest.raises(CorruptWeightsError, match="negative"):
        create_model(f"local-dir:{tmp_path}", pretrained=True)


@pytest.fixture
def bad(tmp_path):
    return create_model(f"local-dir:{saved(tmp_path / 'bad', overflowing)}", pretrained=True)


@pytest.mark.slow
def test_an_answer_that_is_no_number_is_an_error(bad, tmp_path, capsys):
    with pytest.raises(CorruptWeightsError, match="not finite"):
        classify(bad, np.random.default_rng(0).random((64, 48)).astype(np.float32))
    images = tiny_set(tmp_path / "set", cells=6)
    with pytest.raises(CorruptWeightsError, match="not finite"):
        karyotype(bad, open_images(images))
    image = next((images / "images").rglob("*.png"))
    for command, out in (
        (["predict", images], "p.csv"),
        (["validate", "--data", images], "r.json"),
        (["validate", "--full", "--data", images], "r.json"),
        (["karyotype", images], "k"),
        (["explain", image], "e.png"),
        (["embed", "--data", images], "m.png"),
        (["export", tmp_path / "bad"], "x.onnx"),
    ):
        model = [] if command[0] == "export" else ["--model", tmp_path / "bad"]
        assert run(*command, *model, "--out", tmp_path / out) == 2, command
        assert "not finite" in capsys.readouterr().err
