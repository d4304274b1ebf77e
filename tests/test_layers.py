"""The floors: a room imports lower rooms only, and importing the package does no work."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gricol_zoo"
FLOORS = [
    {"errors", "names", "registry", "spec", "precision", "workers", "rows", "files"},
    {
        "parts",
        "splitters",
        "backbones",
        "heads",
        "baselines",
        "overview",
        "lower",
        "presets",
        "losses",
        "calibration",
        "cell_norm",
        "metrics",
        "significance",
        "data",
    },
    {"recipes", "render", "deployed", "inference", "quality", "config", "preparation"},
    {"model", "sources", "hub"},
    {"task", "weights", "progress", "optim"},
    {"factory", "checkpoint"},
    {"flops", "timm_bridge", "job"},
    {"evaluate", "predict", "transform", "info", "testing"},
    {"export", "shards"},
    {"train", "demo", "benchmark", "explain", "karyotype", "out_of_fold", "classical"},
    {"crossval", "serve"},
    {"commands"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file):
    """Rooms imported when the module is (imports inside functions and for type checking do not count)."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gricol_zoo."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file):
    room = room_of(file)
    assert room in FLOOR_OF, f"{room} stands on no floor: add it to FLOORS"
    for other in imported_rooms(file):
        assert other == room or FLOOR_OF[other] <= FLOOR_OF[room], f"{room} imports {other}, which is above it"


@pytest.mark.parametrize("part", ["backbones", "splitters", "heads", "data"])
def test_parts_do_not_import_each_other(part):
    others = {"backbones", "splitters", "heads", "data", "lower", "model"} - {part}
    for file in (PACKAGE / part).rglob("*.py"):
        assert not others & set(imported_rooms(file)), file


def loaded_by(code):
    probe = f"{code}\nimport sys; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_plain_import_is_light():
    modules = loaded_by("import gricol_zoo")
    assert not modules & {"torch", "timm", "torchvision", "matplotlib", "sklearn", "scipy", "accelerate", "huggingface_hub"}


def test_creating_a_model_needs_no_timm():
    modules = loaded_by("import gricol_zoo; gricol_zoo.create_model('r18half_128')")
    assert "torch" in modules
    assert not modules & {"timm", "torchvision", "matplotlib", "sklearn", "accelerate", "huggingface_hub", "fvcore"}


def test_help_needs_no_torch():
    modules = loaded_by("import gricol_zoo.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass")
    assert "torch" not in modules
    assert "numpy" not in modules


def test_bridge_comes_by_itself_where_timm_is_loaded():
    assert "gricol_zoo.timm_bridge" in loaded_by("import timm, gricol_zoo")
    assert "timm" not in loaded_by("import gricol_zoo; gricol_zoo.list_models()")


def test_every_public_name_exists():
    import gricol_zoo

    for name in gricol_zoo.__all__:
        assert getattr(gricol_zoo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gricol_zoo.nothing


def test_no_room_hides_a_public_name():
    """Importing a room sets it as an attribute of the package, where it would take the place of what has its name."""
    rooms = {room_of(file) for file in PACKAGE.rglob("*.py")}
    import gricol_zoo

    assert not rooms & set(gricol_zoo._PUBLIC)
