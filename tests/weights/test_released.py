"""Everything once released still loads: its config and the names and shapes of its tensors are kept in released/."""

import json

import pytest
import torch
from helpers import ROOT
from safetensors.torch import save_file

from gricol_zoo import create_model, list_models
from gricol_zoo.files import file_sha256

KEPT = sorted((ROOT / "tests" / "released").glob("*.json"))
DTYPES = {"F16": torch.float16, "F32": torch.float32, "I64": torch.int64}


def test_every_model_and_every_weight_is_kept():
    names = {file.stem for file in KEPT}
    assert names >= {*list_models(), *list_models(pretrained=True)}, "run python -m hub.keep (see its help)"


HEAVY = {"cirnet", "cirnet_pooled", "hrnet_w18_joints", "racnn_r50", "varifocal_r50"}


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=pytest.mark.slow) if file.stem in HEAVY else file for file in KEPT],
    ids=lambda file: file.stem,
)
def test_it_still_loads(file, tmp_path):
    kept = json.loads(file.read_text())
    tensors = {key: torch.full(shape, 0.01).to(DTYPES[dtype]) for key, (dtype, shape) in kept["tensors"].items()}
    save_file(tensors, tmp_path / "model.safetensors")
    weights = tmp_path / "model.safetensors"
    kept["config"]["gricol_zoo"].update(sha256=file_sha256(weights), size=weights.stat().st_size)
    (tmp_path / "config.json").write_text(json.dumps(kept["config"]))
    model = create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert model.load_report.adapted == model.load_report.new == []
    assert set(model.load_report.kept) == set(kept["tensors"])
    assert model(torch.zeros(1, model.in_chans, *model.spec.image_size)).shape == (1, 24)
