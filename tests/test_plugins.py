"""Other people's projects: a package that adds one of each part, and one that fine-tunes our weights."""

import os
import subprocess
import sys
import textwrap

import pytest
from helpers import ROOT

PLUGIN = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "acme-chromosomes"
        version = "1"
        [tool.setuptools]
        py-modules = ["acme"]
        [project.entry-points."gricol_zoo.backbones"]
        acme_conv = "acme:AcmeConv"
        [project.entry-points."gricol_zoo.splitters"]
        acme_bands = "acme:Bands"
        [project.entry-points."gricol_zoo.heads"]
        acme_max = "acme:Max"
        [project.entry-points."gricol_zoo.models"]
        acme_n4 = "acme:ACME_N4"
        broken = "acme_that_is_not_there:X"
        """,
    "acme.py": """
        from torch import nn

        from gricol_zoo import ModelSpec


        class AcmeConv(nn.Sequential):
            def __init__(self, in_chans, width=32):
                super().__init__(nn.Conv2d(in_chans, width, 7, 4, 3), nn.BatchNorm2d(width), nn.ReLU())
                self.num_features = width


        class Bands(nn.Module):
            def __init__(self, grid):
                super().__init__()
                self.num_cells = grid

            def forward(self, images):
                h = images.shape[-2] // self.num_cells
                return images.unfold(-2, h, h).movedim(2, 1).transpose(-1, -2)[:, : self.num_cells]


        class Max(nn.Module):
            def __init__(self, num_features, num_cells, num_classes):
                super().__init__()
                self.classify = nn.Linear(num_features, num_classes)

            def forward(self, features):
                cell_logits = self.classify(features)
                return cell_logits, cell_logits.amax(1)


        ACME_N4 = ModelSpec("acme_conv", "acme_bands", "acme_max", grid=4, image_size=64)
        """,
    "test_acme.py": """
        import pytest

        import gricol_zoo
        from gricol_zoo.testing import check_backbone, check_head, check_model, check_splitter


        def test_parts():
            check_backbone("acme_conv")
            check_splitter("acme_bands")
            check_head("acme_max", num_cells=4)


        def test_models():
            check_model("acme_n4")
            check_model("gricol_r18half_n3_128", splitter="acme_bands")
            check_model("acme_n4", backbone="r18half", backbone_options={})
            check_model("acme_n4", backbone_options={"width": 8})
            assert "acme_n4" in gricol_zoo.list_models()


        def test_timm_has_them_too():
            import timm

            with pytest.warns(UserWarning, match="broken was not added to timm's registry"):
                import gricol_zoo.timm_bridge
            assert "acme_n4" in gricol_zoo.timm_bridge.BRIDGED
            assert timm.create_model("acme_n4", num_classes=3).classifier.out_features == 3


        def test_a_broken_package_is_named_only_when_asked_for():
            with pytest.raises(gricol_zoo.GricolZooError, match="acme-chromosomes.*cannot be imported"):
                gricol_zoo.create_model("broken")
        """,
}

BY_DECORATOR = """
    from torch import nn
    from gricol_zoo import BACKBONES, MODELS, ModelSpec, create_model
    from gricol_zoo.testing import check_model

    @BACKBONES.register("mine")
    class Mine(nn.Conv2d):
        def __init__(self, in_chans):
            super().__init__(in_chans, 8, 3, 4)
            self.num_features = 8

    MODELS.add("mine_n2", ModelSpec("mine", "overlap", "per_cell", grid=2, image_size=32, cell_size=16, overview="resize"))
    check_model("mine_n2")
    try:
        BACKBONES.add("r50half", Mine)
    except ValueError as error:
        assert "already registered" in str(error)
    else:
        raise AssertionError("a double was taken")
    """

DOWNSTREAM = """
    import torch
    import gricol_zoo
    from gricol_zoo.data.arrays import as_batch
    from gricol_zoo.data.preprocess import to_canvas
    from gricol_zoo.data.synthetic import load_profiles, random_look, render
    import numpy as np

    model = gricol_zoo.create_model(gricol_zoo.DEFAULT_MODEL, pretrained=True, num_classes=10)
    assert model.load_report.new and len(model.load_report.kept) > 100
    rng, profiles = np.random.default_rng(0), list(load_profiles().values())[3:13]

    def batch(count):
        greys = [render(p, random_look(rng), rng) for p in profiles for _ in range(count)]
        canvases = [to_canvas(grey, model.spec.preprocess, model.spec.image_size) for grey in greys]
        return as_batch(canvases, model.spec), torch.arange(10).repeat_interleave(count)

    task = gricol_zoo.TrainingTask(model, gricol_zoo.GridLoss(ramp_epoch=0))
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3)
    model.train()
    images, labels = batch(3)
    for step in range(8):
        loss = task(images, labels, 1.0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    images, labels = batch(4)
    with torch.no_grad():
        accuracy = (model.eval()(images).argmax(1) == labels).float().mean().item()
    print(accuracy)
    assert accuracy > 0.5, accuracy
    """


def python(code, **options):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acme")
    for name, text in PLUGIN.items():
        (folder / name).write_text(textwrap.dedent(text))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(folder)], check=True, capture_output=True, cwd=folder)
    return folder


@pytest.mark.slow
def test_an_installed_package_adds_one_of_each_and_passes_our_contract(plugin, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{plugin / 'site'}{os.pathsep}{ROOT}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(plugin / "test_acme.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_parts_by_decorator():
    done = python(BY_DECORATOR)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_downstream_project_fine_tunes_on_ten_classes(tmp_path):
    done = python(DOWNSTREAM, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
