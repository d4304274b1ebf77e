"""Old module paths, from before the package had subpackages. They still work, with a DeprecationWarning, until 1.0.

The package itself does not use this module. ``import gricol_zoo`` installs ``Finder``, which Python asks only for modules that
it does not find elsewhere.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    **{name: (f"models.{name}",) for name in ("backbones", "splitters", "heads", "baselines", "lower", "deployed")},
    **{name: (f"models.{name}",) for name in ("overview", "cell_norm", "flops", "parts", "presets", "names")},
    "model": ("factory", "models.grid"),
    **{name: (f"weights.{name}",) for name in ("config", "hub")},
    "sources": ("weights.source", "weights.resolve"),
    "rows": ("data.rows",),
    "render": ("data.synthetic",),
    "quality": ("data.quality",),
    **{name: (f"inference.{name}",) for name in ("precision", "workers", "calibration", "predict", "shards")},
    **{name: (f"inference.{name}",) for name in ("transform", "preparation")},
    **{name: (f"evaluation.{name}",) for name in ("metrics", "significance", "out_of_fold", "info")},
    "evaluate": ("evaluation.report", "inference.logits"),
    **{name: (f"training.{name}",) for name in ("train", "task", "losses", "recipes", "optim")},
    **dict.fromkeys(("job", "checkpoint"), ("training.state",)),
    "crossval": ("training.crossval", "evaluation.compare"),
    "demo": ("commands.demo_cell",),
    "karyotype.classifier": ("inference.classifier",),
    **{f"{room}.table": (f"{room}.rows",) for room in ("benchmark", "karyotype")},
    **{
        f"{room}.table": (f"{room}.registry",) for room in ("classical", "models.backbones", "models.splitters", "models.heads")
    },
    # Modules whose name now belongs to a subpackage.
    "inference": ("inference.fast",),
    "weights": ("weights.tensors",),
}
"""Old module path, relative to the package -> the modules in which its names are now looked up, in this order."""


def new_paths(old: str) -> tuple[str, ...]:
    """Return the modules that now hold the names of an old module (or of one in an old folder); empty if it has not moved."""
    if old in MOVED:
        return MOVED[old]
    head, _, rest = old.partition(".")
    return tuple(f"{new}.{rest}" for new in MOVED.get(head, ()))


def forward(old: str) -> Callable[[str], Any]:
    """Return a module ``__getattr__`` that looks names up in the modules that replace an old one.

    Args:
        old: module path, relative to the package.
    """

    def get(name: str) -> Any:
        if not name.startswith("__"):
            for new in new_paths(old):
                module = importlib.import_module(f"gricol_zoo.{new}")
                if hasattr(module, name):
                    warn(old, new, stacklevel=3)
                    return getattr(module, name)
        raise AttributeError(f"module 'gricol_zoo.{old}' has no attribute {name!r}")

    return get


def warn(old: str, new: str, stacklevel: int) -> None:
    """Give the DeprecationWarning for an old path, attributed to the code that uses it."""
    text = f"gricol_zoo.{old} is now gricol_zoo.{new}; the old path will be removed in version 1.0."
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel)


class Finder(MetaPathFinder, Loader):
    """Import hook that makes a stand-in module for an old path; its names come from the new modules."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of the stand-in for an old path; None for any other path."""
        package, _, old = fullname.partition(".")
        if package != "gricol_zoo" or not any(map(_exists, new_paths(old))):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Give the stand-in its docstring and its ``__getattr__``."""
        old = module.__name__.partition(".")[2]
        module.__doc__ = f"Moved to {' and '.join(f'gricol_zoo.{new}' for new in new_paths(old))}."
        vars(module)["__getattr__"] = forward(old)


def _exists(new: str) -> bool:
    try:
        return importlib.util.find_spec(f"gricol_zoo.{new}") is not None
    except ModuleNotFoundError:
        return False
