"""The classical systems by name."""

from __future__ import annotations

from gricol_zoo.classical.poletti import POLETTI
from gricol_zoo.classical.system import System
from gricol_zoo.classical.wang import WANG
from gricol_zoo.errors import GricolZooError

CLASSICAL: dict[str, System] = {"poletti2012": POLETTI, "wang2009": WANG}


def get_system(name: str) -> System:
    """Return the system of that name.

    Raises:
        GricolZooError: no such system.
    """
    if name not in CLASSICAL:
        raise GricolZooError(f"Unknown classical system {name!r}. Known: {', '.join(CLASSICAL)}.")
    return CLASSICAL[name]
