"""What ``gricol-zoo info`` says of a classical system: there are no Gflops to count, for measuring is most of its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from gricol_zoo.classical.model import ClassicalModel
from gricol_zoo.classical.registry import CLASSICAL, get_system
from gricol_zoo.classical.saving import load_trained
from gricol_zoo.classical.system import Settings


def describe(name: str) -> dict[str, Any]:
    """Return a system as its name gives it, all classes known, as flat JSON-able data.

    Raises:
        GricolZooError: no such system.
    """
    system = get_system(name)
    sizes = {key: [system.num_features, system.settings.hidden, outputs] for key, outputs in system.networks.items()}
    return _flat(name, name, sizes, system.settings)


def describe_any(name: str) -> dict[str, Any]:
    """Return what a system's name, or the folder of a trained one, stands for, as flat JSON-able data.

    Raises:
        GricolZooError: a folder that cannot be read.
    """
    return describe(name) if name in CLASSICAL else describe_trained(name, load_trained(name))


def describe_trained(name: str, model: ClassicalModel) -> dict[str, Any]:
    """Return a trained system as flat JSON-able data; ``name`` is what it was asked for by."""
    return _flat(name, model.system, {key: network.sizes for key, network in model.networks.items()}, model.settings)


def _flat(name: str, system: str, sizes: Mapping[str, Sequence[int]], settings: Settings) -> dict[str, Any]:
    parameters = sum(inputs * outputs + outputs for size in sizes.values() for inputs, outputs in pairwise(size))
    return {
        "name": name,
        "system": system,
        "features": get_system(system).num_features,
        "networks": " ".join(f"{key}:{'-'.join(map(str, size))}" for key, size in sizes.items()),
        "params": parameters,
        **asdict(settings),
    }
