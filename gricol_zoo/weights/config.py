"""``config.json``: what is written beside the weights, and how a config from elsewhere is checked.

It has timm's root keys (so timm loads the same folder) and our own key ``gricol_zoo``, which rebuilds the model and holds its
preprocessing, calibration and training record. Of timm's keys only the model's name and its labels are read here. They never
decide where the weights are or what is built.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gricol_zoo.data.quality import is_reference
from gricol_zoo.errors import ConfigError, GricolZooError
from gricol_zoo.files import escaped, read_json
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.models.presets import MODELS
from gricol_zoo.models.pretrained_cfg import timm_config
from gricol_zoo.spec import ModelSpec, from_mapping

CONFIG_FILE = "config.json"
FORMAT = 1
MAX_BYTES = 1 << 20
MAX_TEXT = 200
MAX_SAID = 1000  # characters of a message
MAX_WEIGHT_BYTES = 1 << 36
MAX_IMAGES = 1 << 24  # number of training images
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
PARTS = ("backbone", "splitter", "head", "overview")
OPTIONS = ("backbone_options", "splitter_options", "head_options")
MAX_OPTION = 1 << 16
WORDS = ("tag", "description", "notes", "license", "origin_url", "paper_name", "paper_ids")  # for people; no code reads them
NOT_FROM_FILES = ("pretrained",)  # options with side effects; a file must not ask for a download


@dataclass(frozen=True)
class Config:
    """The checked content of a config.json.

    Attributes:
        name: the registered name, or another name of the model.
        spec: what to build.
        info: the ``gricol_zoo`` key: sha256 and size of the weights, calibration, training record.
    """

    name: str
    spec: ModelSpec
    info: WeightsInfo


def read_config(file: Path) -> Config:
    """Read a config.json of this zoo and check each value that is used.

    Raises:
        ConfigError: too large, not JSON, of another format, an unknown field, or a value out of its range.
    """
    config = read_json(file, "a config", MAX_BYTES)
    if not isinstance(config, dict) or not isinstance(config.get("gricol_zoo"), dict):
        raise ConfigError(f"{file} has no `gricol_zoo` key, so it is not a gricol_zoo model.")
    try:
        return _checked(config)
    except GricolZooError as error:
        raise ConfigError(f"{file} cannot be used: {escaped(str(error))[:MAX_SAID]}") from error  # it quotes the file


def _checked(config: Mapping[str, Any]) -> Config:
    info = config["gricol_zoo"]
    if info.get("format") != FORMAT or isinstance(info["format"], bool):
        raise ConfigError(f"its format is {info.get('format')!r}, but this version reads {FORMAT}. Upgrade gricol-zoo.")
    for key, fits, expected in INFO:
        if key in info and not fits(info[key]):
            raise ConfigError(f"expected `{key}` to be {expected}, but got {str(info[key])[:MAX_TEXT]!r}.")
    known = {key for key, _, _ in INFO}
    for key in info:
        if key not in known:
            raise ConfigError(f"unknown field {key!r}. Known: {', '.join(sorted(known))}.")
    for key in ("spec", "sha256", "size"):
        if key not in info:
            raise ConfigError(f"the field {key!r} is missing.")
    for key in OPTIONS:
        check_options(key, info["spec"].get(key, {}))
    spec = from_mapping(ModelSpec, info["spec"])
    for key in PARTS:
        if not _is_text(getattr(spec, key)):
            raise ConfigError(f"expected `{key}` to be a name of printable characters, but got {getattr(spec, key)!r:.200}.")
    name = config.get("architecture", "")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"expected `architecture` to be a name of letters, digits, `_`, `.` and `-`, but got {name!r:.200}.")
    if not all(_is_text(label) for label in spec.labels):
        raise ConfigError("expected class names of printable characters.")
    if config.get("label_names") != list(spec.labels):
        raise ConfigError("`label_names` differ from the class names of the spec.")
    check_timm_keys(config, spec)
    return Config(name, spec, WeightsInfo(info))


def check_timm_keys(config: Mapping[str, Any], spec: ModelSpec) -> None:
    """Reject keys for timm that contradict the spec: timm passes them to the builder as if the user had given them.

    Raises:
        ConfigError: a key contradicts the spec (the message names it).
    """
    own, described = json.loads(json.dumps(spec.to_dict())), timm_config(spec)
    for key in ("model_args", "pretrained_cfg"):
        if not isinstance(config.get(key, {}), Mapping):
            raise ConfigError(f"expected `{key}` to be a mapping.")
    told = [("", {"num_classes": config.get("num_classes", spec.num_classes)}, own)]
    told += [("model_args.", config.get("model_args", {}), own)]
    told += [("pretrained_cfg.", config.get("pretrained_cfg", {}), described)]
    for prefix, values, true in told:
        for key, value in values.items():
            if key in WORDS and _is_text(value):
                continue
            if key not in true or true[key] != value or isinstance(value, bool) != isinstance(true[key], bool):
                raise ConfigError(f"`{prefix}{key}` is {str(value)[:MAX_TEXT]!r}, which contradicts the spec.")


def check_options(key: str, options: Any) -> None:
    """Reject options of a part that a file must not set: nested ones, huge ones, ones that download.

    Raises:
        ConfigError: such an option (the message names it).
    """
    if not isinstance(options, Mapping):
        raise ConfigError(f"expected `{key}` to be a mapping.")
    for name, value in options.items():
        if name in NOT_FROM_FILES or not name.isidentifier() or len(name) > MAX_TEXT:
            raise ConfigError(f"`{key}` must not set {name[:MAX_TEXT]!r}.")
        for item in value if isinstance(value, list) else [value]:
            number = isinstance(item, (int, float)) and not isinstance(item, bool)
            if not (isinstance(item, bool) or item is None or (number and abs(item) <= MAX_OPTION) or _is_text(item)):
                raise ConfigError(
                    f"`{key}` sets {name!r} to {str(value)[:MAX_TEXT]!r}: expected a short text or a moderate number."
                )


def make_config(
    name: str, spec: ModelSpec, num_features: int, info: Mapping[str, Any], sha256: str, size: int
) -> dict[str, Any]:
    """Return config.json's content: timm's root keys and our own.

    Raises:
        ConfigError: the content could not be read back.
    """
    kept = spec.to_dict()
    for key in OPTIONS:
        kept[key] = {option: value for option, value in kept[key].items() if option not in NOT_FROM_FILES}
    config = {
        "architecture": name or "unnamed",
        "num_classes": spec.num_classes,
        "num_features": num_features,
        "global_pool": spec.global_pool,
        "label_names": list(spec.labels),
        "model_args": model_args(name, kept),
        "pretrained_cfg": timm_config(spec, tag=str(info.get("tag", ""))),
        "gricol_zoo": {**info, "format": FORMAT, "spec": kept, "sha256": sha256, "size": size},
    }
    _checked(json.loads(json.dumps(config)))
    return config


def model_args(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec that differ from those of its registered name, except the preprocessing."""
    base = MODELS.get(name).to_dict() if name in MODELS else {}
    return {key: value for key, value in spec.items() if key != "preprocess" and base.get(key) != value}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high

    return fits


def _is_record(value: Any) -> bool:
    """Return whether the parts of a training record that the code reads (``groups``, ``pixels``) are valid."""
    if not isinstance(value, dict):
        return False
    groups = value.get("groups", [])
    return isinstance(groups, list) and all(_is_text(group) for group in groups) and _is_pixels(value.get("pixels"))


def _is_pixels(value: Any) -> bool:
    """Return whether an entry on pixels.bin is valid, or missing."""
    if value is None:
        return True
    fits = isinstance(value, dict) and value.keys() == {"images", "sha256"} and _is_sha256(value["sha256"])
    return fits and isinstance(value["images"], int) and _is_number(0, MAX_IMAGES)(value["images"])


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


def _is_val(value: Any) -> bool:
    """Return whether the only measurement of the val part that the code reads (``review_fraction``) is valid."""
    return isinstance(value, dict) and _is_number(0, 1)(value.get("review_fraction", 0))


INFO: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("format", lambda value: isinstance(value, int), "a number"),
    ("spec", lambda value: isinstance(value, dict), "a mapping of the model's fields"),
    ("sha256", _is_sha256, "64 hex digits"),
    ("size", lambda value: isinstance(value, int) and _is_number(1, MAX_WEIGHT_BYTES)(value), "a number of bytes"),
    ("tag", lambda value: value == "" or (isinstance(value, str) and bool(NAME.fullmatch(value))), "a short name"),
    ("temperature", _is_number(1e-3, 1e3), "a number in 0.001..1000"),
    ("temperature_full", _is_number(1e-3, 1e3), "a number in 0.001..1000"),
    ("review_threshold", _is_number(0, 1), "a number in 0..1"),
    ("val", _is_val, "a mapping whose `review_fraction` is a number in 0..1"),
    ("reference", is_reference, "a mapping of (low, high) ranges measured on the val part"),
    (
        "training",
        _is_record,
        "a mapping whose `groups` are case or cell names, and `pixels` a number of images and 64 hex digits",
    ),
)
"""Every field of the key ``gricol_zoo``: its name, a function that says whether a value fits, and what is expected."""
