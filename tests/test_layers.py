"""The rooms of the package and what they import; and that importing the package does no work.

The order of the rooms follows from the imports (``benchmarks/make/rooms.py`` prints it): it exists exactly if no rooms
import each other in a cycle.
"""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from benchmarks.make.architecture import PICTURE, draw, needed
from benchmarks.make.rooms import MODULES, PACKAGE, arrows, floors, imports_of, room_of

MAX_LOOSE = 10
DATA = ("data", "errors", "files", "registry", "spec")  # what the data room may import


@pytest.mark.parametrize("by_room", [True, False], ids=["rooms", "modules"])
def test_nothing_imports_in_a_circle(by_room):
    try:
        list(TopologicalSorter(arrows(by_room)).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_few_modules_are_loose():
    loose = sorted(file.stem for file in PACKAGE.glob("*.py") if not file.stem.startswith("__"))
    assert len(loose) <= MAX_LOOSE, f"give one of them a room: {', '.join(loose)}"


def test_data_knows_no_network():
    assert arrows(True)["data"] <= set(DATA)


@pytest.mark.parametrize("part", ["backbones", "splitters", "heads"])
def test_parts_do_not_import_each_other(part):
    others = {"backbones", "splitters", "heads", "lower", "grid", "deployed"} - {part}
    for file in (PACKAGE / "models" / part).rglob("*.py"):
        assert not [one for one in imports_of(file) if room_of(one) == "models" and one.split(".")[1] in others], file


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
    assert not modules & {"sympy", "torch._dynamo"}  # the two cost as much as torch itself


def test_help_needs_no_torch():
    modules = loaded_by("import gricol_zoo.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass")
    assert "torch" not in modules
    assert "numpy" not in modules


@pytest.mark.slow
def test_bridge_comes_by_itself_where_timm_is_loaded():
    assert "gricol_zoo.timm_bridge" in loaded_by("import timm, gricol_zoo")
    assert "timm" not in loaded_by("import gricol_zoo; gricol_zoo.list_models()")


def test_every_public_name_exists():
    import gricol_zoo

    for name in gricol_zoo.__all__:
        assert getattr(gricol_zoo, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = gricol_zoo.nothing


def test_no_room_hides_a_public_name():
    """Importing a room makes it an attribute of the package, which would replace a public name that is equal."""
    import gricol_zoo

    assert not {room_of(module) for module in MODULES} & set(gricol_zoo.__all__)


def test_the_picture_is_of_todays_imports():
    assert PICTURE.read_text() == draw(), "run python -m benchmarks.make.architecture"


def test_an_arrow_is_left_out_where_others_lead_the_same_way():
    assert needed({"a": {"b", "c"}, "b": {"c"}, "d": {"c"}}) == [("a", "b"), ("b", "c"), ("d", "c")]
    graph, floor = arrows(True), floors()
    assert all(floor[one] > floor[two] for one in graph for two in graph[one])
