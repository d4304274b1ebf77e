"""Which room of the package imports which, read from the imports themselves.

    python -m benchmarks.make.rooms     # prints the floors

A room is a folder of ``gricol_zoo/`` or a module directly in it. Imports inside functions count; those for type checking do
not. The floors are the layers: each room is on a higher floor than all that it imports.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "gricol_zoo"
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    """``gricol_zoo/models/lower.py`` -> ``models.lower``, a folder's ``__init__`` -> the folder."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file) for file in FILES}


def room_of(module: str) -> str:
    """``models.lower`` -> ``models``."""
    return module.partition(".")[0]


def imports_of(file: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, wherever in it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
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
def arrows(by_room: bool) -> dict[str, set[str]]:
    """Return each room (or module) -> those that it imports."""
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


def floors() -> dict[str, int]:
    """Return each room's floor, counted from 1 at the bottom: above all that it imports.

    Raises:
        graphlib.CycleError: rooms import each other in a cycle.
    """
    floor: dict[str, int] = {}
    for room in TopologicalSorter(arrows(True)).static_order():
        floor[room] = 1 + max((floor[other] for other in arrows(True).get(room, ())), default=0)
    return floor


if __name__ == "__main__":
    floor = floors()
    for number in range(1, max(floor.values()) + 1):
        print(number, ", ".join(sorted(room for room in floor if floor[room] == number)))
    print(f"{len(floor)} rooms, {sum(map(len, arrows(True).values()))} arrows, no cycle")
