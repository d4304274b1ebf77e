"""What ``gricol-zoo info`` prints for a classical system. It has no Gflops: most of the work is measuring, not the network."""

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
    """Return the description of an untrained system with all classes, as flat JSON-able data.

    Raises:
        GricolZooError: there is no such system.
    """
    system = get_system(name)
    sizes = {key: [system.num_features, system.settings.hidden, outputs] for key, outputs in system.networks.items()}
    return _flat(name, name, sizes, system.settings)


def describe_any(name: str) -> dict[str, Any]:
    """Return the description of a system, given its name or the folder of a trained one, as flat JSON-able data.

    Raises:
        GricolZooError: the folder cannot be read.
    """
    return describe(name) if name in CLASSICAL else describe_trained(name, load_trained(name))


def describe_trained(name: str, model: ClassicalModel) -> dict[str, Any]:
    """Return the description of a trained system as flat JSON-able data; ``name`` is the name to show for it."""
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
