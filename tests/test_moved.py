"""Module paths from before the package was divided into rooms (sub-packages)."""

import importlib
import subprocess
import sys

import pytest

import gricol_zoo
from gricol_zoo._moved import MOVED, new_paths


@pytest.mark.parametrize("old", sorted(MOVED))
def test_old_paths_give_what_the_new_ones_have(old):
    for new in new_paths(old):
        module = importlib.import_module(f"gricol_zoo.{new}")
        name = next(name for name in vars(module) if not name.startswith("_") and name != "annotations")
        with pytest.warns(DeprecationWarning, match=f"gricol_zoo.{old} is now gricol_zoo"):
            found = getattr(importlib.import_module(f"gricol_zoo.{old}"), name)
        assert found is vars(module)[name]


def taken(old, name):
    with pytest.warns(DeprecationWarning, match="will be removed in version 1.0"):
        return getattr(importlib.import_module(f"gricol_zoo.{old}"), name)


def test_names_and_folders_below():
    from gricol_zoo.models.backbones import resnet
    from gricol_zoo.weights import tensors

    assert taken("backbones.resnet", "Bottleneck") is resnet.Bottleneck
    assert taken("inference", "optimize") is gricol_zoo.inference.fast.optimize
    assert taken("model", "GridModel") is gricol_zoo.GridModel
    assert taken("weights", "load_weights") is tensors.load_weights


def test_what_never_was_is_not_found():
    for name in ("gricol_zoo.nothing", "gricol_zoo.backbones.nothing"):
        with pytest.raises(ModuleNotFoundError, match=name):
            importlib.import_module(name)
    with pytest.raises(ImportError, match="nothing"):
        from gricol_zoo.losses import nothing  # noqa: F401


def test_the_warning_names_the_users_line(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("from gricol_zoo.significance import mcnemar_exact\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert f"{script}:1: DeprecationWarning: gricol_zoo.significance is now gricol_zoo.evaluation.significance;" in done.stderr


@pytest.mark.slow
def test_the_package_uses_none_of_them():
    code = "import pkgutil, importlib, gricol_zoo\nfor m in pkgutil.walk_packages(gricol_zoo.__path__, 'gricol_zoo.'):\n"
    code += "    m.name.endswith('__main__') or importlib.import_module(m.name)"
    subprocess.run([sys.executable, "-W", "error:gricol_zoo:DeprecationWarning", "-c", code], check=True)
