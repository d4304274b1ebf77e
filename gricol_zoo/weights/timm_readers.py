"""Loading through timm: ``timm.create_model("hf-hub:...")`` reads and trusts config.json before any code of ours runs.

So timm's two readers are wrapped. The file goes through our own checks first: its bytes are compared with their hash, a
damaged cache is repaired, the commit is pinned, and every failure is one of this package's errors. The config of another
library then goes on to timm as usual.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Container, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from gricol_zoo.errors import ConfigError
from gricol_zoo.files import read_json
from gricol_zoo.weights.config import CONFIG_FILE, MAX_BYTES, read_config, timm_config
from gricol_zoo.weights.hub.download import find_config
from gricol_zoo.weights.hub.repo import Repo
from gricol_zoo.weights.source import Source

SEPARATOR = "@"
NOT_OF_THE_MODEL = ("tag", "license")


def wrap_readers(names: Container[str]) -> None:
    """Make timm read configs through our checks; once per process.

    Args:
        names: the architectures that are registered with timm by us, including later ones.
    """
    from timm.models import _factory

    for name, make in (("load_model_config_from_hf", _from_hub), ("load_model_config_from_path", _from_folder)):
        reader = getattr(_factory, name)
        if not hasattr(reader, "__wrapped__"):
            setattr(_factory, name, wraps(reader)(make(reader, names)))


def _from_hub(timms: Callable[..., Any], names: Container[str]) -> Callable[..., Any]:
    def read(model_id: str, cache_dir: str | Path | None = None) -> Any:
        from huggingface_hub.constants import is_offline_mode

        name, _, revision = str(model_id).partition(SEPARATOR)
        cache = str(cache_dir) if cache_dir else None
        file = find_config(Repo(name, revision, cache, offline=is_offline_mode()))
        pinned = f"{name}{SEPARATOR}{file.parent.name}"
        return timms(pinned if _is_ours(file, names) else model_id, cache_dir=cache_dir)

    return read


def _from_folder(timms: Callable[..., Any], names: Container[str]) -> Callable[..., Any]:
    def read(model_path: str | Path) -> Any:
        file = Path(model_path) / CONFIG_FILE
        if file.is_file():
            _is_ours(file, names)
        return timms(model_path)

    return read


def _is_ours(file: Path, names: Container[str]) -> bool:
    """Return whether a config is of this package; if so, check that timm may use it.

    Raises:
        ConfigError: not JSON; or of this package, but invalid, or of a model that is not registered with timm.
    """
    config = read_json(file, "a config", MAX_BYTES)
    if not isinstance(config, dict):
        raise ConfigError(f"Expected {file} to be a JSON object, but got a {type(config).__name__}.")
    if "gricol_zoo" not in config and config.get("architecture") not in names:
        return False
    found = read_config(file)
    if found.name not in names:
        raise ConfigError(
            f"{file} is of {found.name!r}, which timm does not know from gricol_zoo. Load it with `gricol_zoo.create_model`."
        )
    return True


def check_given(given: Any, args: Any, built: Mapping[str, Any], source: Source) -> None:
    """Compare the config of a repository or folder as timm read it with the same config as we read it.

    Args:
        given: timm's ``pretrained_cfg``, as it came, without the caller's overlay.
        args: the ``model_args`` that timm took from the same file.
        built: fields that timm's builder filled in and the caller did not ask for.
        source: the result of our own reading.

    Raises:
        ConfigError: they differ: the file was changed in between, or timm was given a config by the caller.
    """
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        usual = dataclasses.asdict(type(given)())
        given = {key: value for key, value in dataclasses.asdict(given).items() if value != usual[key]}
    spec = source.spec
    given = given if isinstance(given, Mapping) else {}
    for values, own in ((given, timm_config(spec)), (args or {}, spec.to_dict()), (built, spec.to_dict())):
        _compare({key: value for key, value in values.items() if key in own and key not in NOT_OF_THE_MODEL}, own, source)
    if "label_names" in given:
        _compare({"label_names": given["label_names"]}, {"label_names": spec.labels}, source)


def _compare(given: Mapping[str, Any], own: Mapping[str, Any], source: Source) -> None:
    own = json.loads(json.dumps(own))
    for key, value in json.loads(json.dumps(given, default=str)).items():
        if value != own[key]:
            raise ConfigError(
                f"timm was given {key} = {value!r:.60} for {source.ref or source.name}, but its config says {own[key]!r:.60}. "
                f"To change the model, give `create_model` itself other values, such as `num_classes=5`."
            )
