"""The versions that a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

from gricol_zoo import __version__
from gricol_zoo.inference.variables import changing_variables

LIBRARIES = ("torch", "numpy", "scipy", "pillow")


def versions(runtime: str = "torch") -> dict[str, str]:
    """Return the versions of Python, of this package and of the libraries used, and variables that change results.

    Args:
        runtime: the runtime, with its version if it is not torch: "openvino 2026.1".
    """
    name, _, number = runtime.partition(" ")
    return {
        "gricol_zoo": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        **({name: number} if number else {}),
        **changing_variables(),
    }
