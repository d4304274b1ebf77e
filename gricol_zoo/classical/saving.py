"""Save and load a trained classical system as a folder with ``model.safetensors`` and ``config.json``; no pickle is used.

Both files are checked on loading: ``gricol_zoo.classical.config`` checks the config, and the names, shapes and hash of the
tensors must then match the config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.classical.config import FORMAT, KEY, info_of, read_config
from gricol_zoo.classical.features import Scale
from gricol_zoo.classical.model import ClassicalModel
from gricol_zoo.classical.network import Network
from gricol_zoo.classical.system import Settings
from gricol_zoo.errors import CheckpointError, ConfigError, CorruptWeightsError, GricolZooError
from gricol_zoo.files import file_sha256, read_json, write_atomically, write_json
from gricol_zoo.spec import CHROMOSOMES, from_mapping
from gricol_zoo.weights.config import CONFIG_FILE, MAX_BYTES
from gricol_zoo.weights.source import WEIGHTS_FILE
from gricol_zoo.weights.tensors import open_tensors, safetensors_file


def is_saved(folder: str | Path) -> bool:
    """Return whether a folder holds a classical system, that is, whether its config has the key; nothing else is checked."""
    file = Path(folder) / CONFIG_FILE
    if not file.is_file():
        return False
    try:
        config = read_json(file, "a config", MAX_BYTES)
    except ConfigError:
        return False
    return isinstance(config, dict) and KEY in config


def save(model: ClassicalModel, folder: str | Path) -> None:
    """Write a model to a folder, which is created if needed; predictions after ``load`` are equal bit for bit.

    Raises:
        OSError: the folder cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, network in model.networks.items():
        arrays.update({f"{name}.{key}": np.ascontiguousarray(value, np.float64) for key, value in _arrays(network).items()})
    write_atomically(folder / WEIGHTS_FILE, to_bytes(arrays))
    sizes = {name: {"sizes": net.sizes, "classes": net.classes.tolist()} for name, net in model.networks.items()}
    config = {
        **model.info,
        "format": FORMAT,
        "system": model.system,
        "labels": list(CHROMOSOMES),
        "settings": asdict(model.settings),
        "typical": asdict(model.typical),
        "networks": sizes,
        "sha256": file_sha256(folder / WEIGHTS_FILE),
        "size": (folder / WEIGHTS_FILE).stat().st_size,
    }
    write_json(folder / CONFIG_FILE, {KEY: config}, sort_keys=True)


def load(folder: str | Path) -> ClassicalModel:
    """Load a model from a folder that ``save`` wrote.

    Raises:
        CheckpointError: a file is missing, or the tensors are not those that the config describes.
        ConfigError: config.json is not the config of a classical system, or has an invalid field.
        CorruptWeightsError: model.safetensors is truncated or altered.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise CheckpointError(f"{str(folder)!r} has no {name}. Expected a folder written by `gricol-zoo train`.")
    config = read_config(folder / CONFIG_FILE)
    outline = {name: _shapes(value["sizes"]) for name, value in config["networks"].items()}
    tensors = _read_tensors(folder / WEIGHTS_FILE, config, outline)
    networks = {}
    for name, shapes in outline.items():
        own = {key: tensors[f"{name}.{key}"] for key in shapes}
        layers = range(len(config["networks"][name]["sizes"]) - 1)
        weights = tuple(own[f"weight{layer}"] for layer in layers)
        biases = tuple(own[f"bias{layer}"] for layer in layers)
        classes = np.array(config["networks"][name]["classes"], np.int64)
        networks[name] = Network(own["mean"], own["deviation"], weights, biases, classes)
    settings, typical = from_mapping(Settings, config["settings"]), Scale(**config["typical"])
    return ClassicalModel(config["system"], settings, typical, networks, info_of(config))


def load_trained(name: str) -> ClassicalModel:
    """Load a model from a folder whose name a user gave, perhaps the name of a system by mistake.

    Raises:
        GricolZooError: there is no such folder (the message says how to train a system); else as for ``load``.
    """
    if not Path(name).is_dir():
        raise GricolZooError(
            f"{name!r} has no released weights. Train it with `gricol-zoo train --model {name}` and give its output folder."
        )
    return load(name)


def _arrays(network: Network) -> dict[str, np.ndarray]:
    layers = {f"weight{i}": weight for i, weight in enumerate(network.weights)}
    layers.update({f"bias{i}": bias for i, bias in enumerate(network.biases)})
    return {"mean": network.mean, "deviation": network.deviation, **layers}


def _shapes(sizes: list[int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of a network with these layer sizes: key -> shape."""
    shapes: dict[str, tuple[int, ...]] = {"mean": (sizes[0],), "deviation": (sizes[0],)}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        shapes[f"weight{layer}"], shapes[f"bias{layer}"] = (inputs, outputs), (outputs,)
    return shapes


def _read_tensors(
    file: Path, config: Mapping[str, Any], outline: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> dict[str, Any]:
    """Return the file's arrays (float64), after checking its size, header and hash against the config."""
    if file.stat().st_size != config["size"]:
        raise CorruptWeightsError(f"{file} has {file.stat().st_size} bytes, expected {config['size']} (truncated?).")
    expected = {f"{name}.{key}": shape for name, shapes in outline.items() for key, shape in shapes.items()}
    with safetensors_file(file) as tensors:
        slices = {key: tensors.get_slice(key) for key in tensors.keys()}  # noqa: SIM118
        found = {key: (tuple(part.get_shape()), part.get_dtype()) for key, part in slices.items()}
    for key in [*expected, *found]:
        if key not in found or key not in expected or found[key] != (expected[key], "F64"):
            told = f"{expected[key]} float64" if key in expected else "none"
            raise CheckpointError(f"{file}: tensor {key!r} is {found.get(key, 'missing')}, but the config describes {told}.")
    with open_tensors(file, config["sha256"]) as read:
        arrays = {key: read[key]().numpy().copy() for key in expected}
    for key, array in arrays.items():
        if not np.isfinite(array).all() or (key.endswith(".deviation") and not (array > 0).all()):
            raise CheckpointError(f"{file}: tensor {key!r} has invalid values (NaN, infinite or not positive).")
    return arrays
