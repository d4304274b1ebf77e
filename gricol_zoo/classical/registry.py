"""The classical systems by name."""

from __future__ import annotations

from fnmatch import fnmatchcase

from gricol_zoo.classical.poletti import POLETTI
from gricol_zoo.classical.system import System
from gricol_zoo.classical.wang import WANG
from gricol_zoo.registry import Registry

CLASSICAL: Registry[System] = Registry("classical system", "gricol_zoo.classical")
CLASSICAL.add("poletti2012", POLETTI)
CLASSICAL.add("wang2009", WANG)


def get_system(name: str) -> System:
    """Return the system with this name.

    Raises:
        GricolZooError: there is no such system.
    """
    return CLASSICAL.get(name)


def list_systems(pattern: str = "*") -> list[str]:
    """Return the names of the systems that match a shell pattern such as ``*2012``, sorted."""
    return [name for name in CLASSICAL if fnmatchcase(name, pattern)]
