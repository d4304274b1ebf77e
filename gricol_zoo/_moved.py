"""Old module paths, from before the package had rooms. They import as before, with a DeprecationWarning, until 1.0.

Nothing here is used by the package itself. ``import gricol_zoo`` installs ``Finder``, which is asked only for what Python does
not find elsewhere.
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
    # Modules whose name is a room's today.
    "inference": ("inference.fast",),
    "weights": ("weights.tensors",),
}
"""Old path below the package -> where its names are looked for now."""


def new_paths(old: str) -> tuple[str, ...]:
    """Return where the names of an old module, or of one in an old folder, are now; empty for what has not moved."""
    if old in MOVED:
        return MOVED[old]
    head, _, rest = old.partition(".")
    return tuple(f"{new}.{rest}" for new in MOVED.get(head, ()))


def forward(old: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that takes names from where an old module's are now.

    Args:
        old: path below the package.
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
    """Say once for each place that it uses an old path."""
    text = f"gricol_zoo.{old} is now gricol_zoo.{new}; the old path will be removed in version 1.0."
    warnings.warn(text, DeprecationWarning, stacklevel=stacklevel)


class Finder(MetaPathFinder, Loader):
    """Makes a module of an old path whose names come from the new one."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find an old path; None for any other."""
        package, _, old = fullname.partition(".")
        if package != "gricol_zoo" or not any(map(_exists, new_paths(old))):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Fill it."""
        old = module.__name__.partition(".")[2]
        module.__doc__ = f"Moved to {' and '.join(f'gricol_zoo.{new}' for new in new_paths(old))}."
        vars(module)["__getattr__"] = forward(old)


def _exists(new: str) -> bool:
    try:
        return importlib.util.find_spec(f"gricol_zoo.{new}") is not None
    except ModuleNotFoundError:
        return False
