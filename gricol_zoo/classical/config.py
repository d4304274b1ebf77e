"""The config.json of a classical system: its fields and their checks.

It has one key, ``gricol_zoo_classical``. As in the configs of other models, every field has a type and a range, and unknown
fields are rejected; so is a set of networks that the system cannot have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gricol_zoo.classical.features import Scale
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.classical.system import Settings
from gricol_zoo.errors import ConfigError, GricolZooError
from gricol_zoo.files import read_json
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import CHROMOSOMES, from_mapping
from gricol_zoo.weights.config import INFO, MAX_BYTES

KEY = "gricol_zoo_classical"
FORMAT = 1


def read_config(file: Path) -> dict[str, Any]:
    """Read config.json and check every field of it; return what is under its key.

    Raises:
        ConfigError: the file is too large, not JSON or not of a classical system; a field is unknown or missing; or a value is
            out of range.
    """
    whole = read_json(file, "a config", MAX_BYTES)
    if not isinstance(whole, dict) or set(whole) != {KEY} or not isinstance(whole[KEY], dict):
        raise ConfigError(f"{file} is not the config of a classical system: expected {KEY!r} as its only key.")
    config: dict[str, Any] = whole[KEY]
    try:
        _check_config(config)
    except GricolZooError as error:
        raise ConfigError(f"{file} cannot be used: {error}") from error
    return config


def info_of(config: Mapping[str, Any]) -> WeightsInfo:
    """Return the part of a config that describes the weights: training, val, calibration, hash and size."""
    return WeightsInfo({key: config[key] for key in (*OPTIONAL, "sha256", "size") if key in config})


def _check_config(config: Mapping[str, Any]) -> None:
    for key in config:
        if key not in FIELDS:
            raise ConfigError(f"unknown field {key!r}. Known: {', '.join(sorted(FIELDS))}.")
    for key, (fits, expected) in FIELDS.items():
        if key not in config and key not in OPTIONAL:
            raise ConfigError(f"the field {key!r} is missing.")
        if key in config and not fits(config[key]):
            raise ConfigError(f"expected `{key}` to be {expected}, but got {str(config[key])[:200]!r}.")
    system = CLASSICAL.get(config["system"])
    settings = from_mapping(Settings, config["settings"])
    for name, network in config["networks"].items():
        if name not in system.networks:
            raise ConfigError(f"`{config['system']}` has no network {name!r}. Known: {', '.join(system.networks)}.")
        _check_network(name, network, system.num_features, settings.hidden, system.networks[name])
    system.check({name: network["classes"] for name, network in config["networks"].items()})


def _check_network(name: str, network: Any, features: int, hidden: int, outputs: int) -> None:
    """Raise ConfigError for a network with keys, sizes or classes that the system cannot have."""
    if not isinstance(network, dict) or set(network) != {"sizes", "classes"}:
        raise ConfigError(f"expected the network {name!r} to have exactly `sizes` and `classes`.")
    classes = network["classes"]
    if not isinstance(classes, list) or not all(type(c) is int and 0 <= c < len(CHROMOSOMES) for c in classes):
        raise ConfigError(f"expected the classes of {name!r} to be whole numbers in 0..{len(CHROMOSOMES) - 1}.")
    if not 1 <= len(classes) <= outputs or sorted(set(classes)) != classes:
        raise ConfigError(f"expected the network {name!r} to have 1..{outputs} different classes in ascending order.")
    known = [[features, hidden, len(classes)], [features, len(classes)]]  # the second has one class: no hidden layer
    if network["sizes"] not in known or any(type(size) is not int for size in network["sizes"]):
        raise ConfigError(f"expected the network {name!r} to have sizes {known[0]}, but got {str(network['sizes'])[:200]!r}.")


def _is_scale(value: Any) -> bool:
    names = set(Scale.__dataclass_fields__)
    if not isinstance(value, dict) or set(value) != names:
        return False
    return all(type(number) in (int, float) and 0 < number < 1e9 for number in value.values())


_OTHERS = {key: (fits, expected) for key, fits, expected in INFO}
OPTIONAL = ("temperature", "review_threshold", "val", "training")
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "format": (lambda value: type(value) is int and value == FORMAT, f"{FORMAT}"),
    "system": (lambda value: isinstance(value, str) and value in CLASSICAL, f"one of {', '.join(CLASSICAL)}"),
    "labels": (lambda value: value == list(CHROMOSOMES), "the 24 chromosomes"),
    "settings": (lambda value: isinstance(value, dict), "a mapping of settings"),
    "typical": (_is_scale, f"positive numbers: {', '.join(Scale.__dataclass_fields__)}"),
    "networks": (lambda value: isinstance(value, dict), "a mapping"),
    "size": _OTHERS["size"],
    "sha256": _OTHERS["sha256"],
    "temperature": _OTHERS["temperature"],
    "review_threshold": _OTHERS["review_threshold"],
    "val": _OTHERS["val"],
    "training": _OTHERS["training"],
}
"""Field -> (check of a value, description of the expected value for the error message)."""
