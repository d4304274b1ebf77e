"""The rooms of the package and what they import; and that importing the package does no work.

A room is a folder of ``gricol_zoo/`` or a loose module in it. Imports inside functions count; those for type checking do not.
The order of the rooms follows from the imports: there is one exactly if no rooms import each other in a circle.

    python tests/test_layers.py     # prints the floors
"""

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest
from helpers import ROOT

PACKAGE = ROOT / "gricol_zoo"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LOOSE = 10
DATA = ("data", "errors", "files", "registry", "spec")  # what rooms of data may import


def name_of(file):
    """``gricol_zoo/models/lower.py`` -> ``models.lower``, a folder's ``__init__`` -> the folder."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file) for file in FILES}


def room_of(module):
    return module.partition(".")[0]


def imports_of(file):
    """Modules of the package that a file imports, wherever in it."""
    tree = ast.parse(file.read_text())
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        names = []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            package, _, module = name.partition(".")
            if package == "gricol_zoo":
                yield module if module in MODULES else module.rpartition(".")[0]


@cache
def arrows(by_room):
    """Each room (or module) -> those that it imports."""
    found = defaultdict(set)
    for file in FILES:
        module = name_of(file)
        if module in ("__init__", "__main__"):
            continue
        for other in imports_of(file):
            one, two = (room_of(module), room_of(other)) if by_room else (module, other)
            if one != two and two not in ("", "__init__"):
                found[one].add(two)
    return dict(found)


def floors():
    """The rooms from the ground up, each above all that it imports."""
    floor = {}
    for room in TopologicalSorter(arrows(True)).static_order():
        floor[room] = 1 + max((floor[other] for other in arrows(True).get(room, ())), default=0)
    return floor


@pytest.mark.parametrize("by_room", [True, False], ids=["rooms", "modules"])
def test_nothing_imports_in_a_circle(by_room):
    try:
        list(TopologicalSorter(arrows(by_room)).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_few_modules_are_loose():
    loose = sorted(file.stem for file in PACKAGE.glob("*.py") if not file.stem.startswith("__"))
    assert len(loose) <= MOST_LOOSE, f"give one of them a room: {', '.join(loose)}"


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
    with pytest.raises(AttributeError, match="nothing"):
        _ = gricol_zoo.nothing


def test_no_room_hides_a_public_name():
    """Importing a room sets it as an attribute of the package, where it would take the place of what has its name."""
    import gricol_zoo

    assert not {room_of(module) for module in MODULES} & set(gricol_zoo.__all__)


if __name__ == "__main__":
    floor = floors()
    for number in range(1, max(floor.values()) + 1):
        print(number, ", ".join(sorted(room for room in floor if floor[room] == number)))
    print(f"{len(floor)} rooms, {sum(map(len, arrows(True).values()))} arrows, no circle, so none that runs back up")
