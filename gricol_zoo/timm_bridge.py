"""Our names in timm's registry: ``import gricol_zoo.timm_bridge``, then ``timm.create_model("gricol_r50half_n3")``.

timm gets the deployed form. However timm is asked for weights, they go through this zoo's own loader, so the same checks
apply. A name that timm has already (resnet50) is left alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models import (
    PretrainedCfg,
    build_model_with_cfg,
    generate_default_cfgs,
    is_model,
    register_model,
    register_model_deprecations,
)
from torch import nn

from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.factory import build_deployed, check_source
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import MODELS, WEIGHTS, Weights
from gricol_zoo.models.pretrained_cfg import PREPARED_BY_US, live_config
from gricol_zoo.spec import ModelSpec
from gricol_zoo.weights.hub import find_on_hub
from gricol_zoo.weights.resolve import find_in_table, find_named, packaged_file
from gricol_zoo.weights.signature import check_signed
from gricol_zoo.weights.source import Source, check_name, find_file, find_in_dir
from gricol_zoo.weights.tensors import load_weights
from gricol_zoo.weights.timm_readers import SEPARATOR, check_given, wrap_readers


def _config(name: str, tag: str = "") -> dict[str, Any]:
    spec, place = MODELS.get(name), {}
    if tag:
        weights = WEIGHTS[name][tag]
        if weights.packaged:
            spec, place = find_in_table(name, tag, weights).spec, {"file": str(packaged_file(name, tag))}
        elif weights.revision:  # timm lists a model with weights only once they can be had
            place = {"hf_hub_id": _hub_id(weights)}
    config = {**live_config(spec), **place}
    return {key: value for key, value in config.items() if key not in ("tag", "architecture")}


def _hub_id(weights: Weights) -> str:
    return f"{weights.repo}{SEPARATOR}{weights.revision}"


def get_pretrained_cfg(name: str) -> PretrainedCfg:
    """Return timm's config for one of our names, with or without a tag; also for a name that timm has itself (resnet50).

    Raises:
        GricolZooError: an unknown name or tag.
    """
    parsed = parse_model_name(name)
    arch = find_named(parsed.arch, parsed.tag).name
    tag = parsed.tag or next(iter(WEIGHTS.get(arch, {})), "")
    return PretrainedCfg(**_config(arch, tag), architecture=arch, tag=tag)


def _keys(name: str) -> dict[str, Any]:
    tags = WEIGHTS.get(name)
    return {f"{name}.{tag}": _config(name, tag) for tag in tags} if tags else {name: _config(name)}


BRIDGED: list[str] = []
"""The names that were registered with timm."""
default_cfgs: dict[str, Any] = {}  # timm looks for this name in an entry point's module


def _source(name: str, config: Any, cache_dir: str | Path | None, pretrained: bool) -> Source:
    """Return the source of the weights that timm's resolved config names; the config of a folder or repository comes first.

    Raises:
        GricolZooError: weights of another model, or no weights.
    """
    get = config.get if isinstance(config, Mapping) else lambda key, default=None: getattr(config, key, default)
    file, repo, cache = str(get("file") or ""), str(get("hf_hub_id") or ""), str(cache_dir) if cache_dir else None
    if get("source") == "local-dir":
        return find_in_dir(file)
    if get("source") == "hf-hub":
        return _on_hub(repo, cache)
    if not pretrained:
        return Source(name, MODELS.get(name))
    if get("url") or get("state_dict"):
        raise CheckpointError("Weights of this zoo come from `file` or `hf_hub_id`; `url` and `state_dict` cannot be checked.")
    tag = str(get("tag") or "")
    weights = WEIGHTS.get(name, {}).get(tag)
    if file and file != str(packaged_file(name, tag)):
        return find_file(name, file)
    if repo and not (weights and repo == _hub_id(weights)):
        return check_name(_on_hub(repo, cache), name, repo)
    return find_named(name, tag, True, cache)


def _on_hub(hub_id: str, cache_dir: str | None) -> Source:
    repo, _, revision = hub_id.partition(SEPARATOR)
    return find_on_hub(repo, revision, cache_dir)


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """Build through timm's builder (which resolves configs and wraps features), loading weights with our own checks."""
    # timm's builder fills num_classes, in_chans and global_pool from its config: the caller's own values win.
    cache_dir = options.get("cache_dir")
    overlay = options.get("pretrained_cfg_overlay") or {}
    options = {**options, "pretrained_cfg_overlay": {"interpolation": PREPARED_BY_US, **overlay}}
    chosen, given_args = options.get("pretrained_cfg"), options.get("pretrained_model_args")
    asked = {*options, *overlay}

    def make(
        num_classes: int = 24,
        in_chans: int = 1,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        allow_large: bool = False,
        signed_by: str | Path | None = None,
        **changes: Any,
    ) -> DeployedModel:
        config = _resolve(name, chosen, options)
        source = _source(name, config, cache_dir, pretrained)
        if config.source in ("hf-hub", "local-dir"):
            built = {"num_classes": num_classes, "in_chans": in_chans}
            check_given(chosen, given_args, {key: value for key, value in built.items() if key not in asked}, source)
        spec: ModelSpec = source.spec.replace(
            num_classes=num_classes,
            in_chans=in_chans,
            drop_rate=drop_rate,
            global_pool=global_pool,
            **changes,
        )
        if signed_by is not None:
            check_signed(source, signed_by)
        check_source(source, spec, pretrained, allow_large)
        model = build_deployed(spec, device, dtype)
        model.name = name
        if pretrained:
            load_weights(model, source)
        return model

    every_level = {"out_indices": None, "feature_cls": "getter"}
    model: nn.Module = build_model_with_cfg(make, name, pretrained=False, feature_cfg=every_level, **options)
    return model


def _resolve(name: str, chosen: Any, options: dict[str, Any]) -> Any:
    from timm.models._builder import resolve_pretrained_cfg

    return resolve_pretrained_cfg(name, pretrained_cfg=chosen, pretrained_cfg_overlay=options.get("pretrained_cfg_overlay"))


def bridge(name: str) -> None:
    """Register one of our names with timm; one that timm has already is left alone.

    Names added to ``MODELS`` after this module was imported need this call.
    """
    if is_model(name):
        return
    default_cfgs.update(generate_default_cfgs(_keys(name)))

    def entry(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        try:
            return _create(name, pretrained, kwargs)
        except GricolZooError as error:
            # timm's callers, and its tests, expect a TypeError for an option that does not exist.
            if str(error).startswith("Unknown option"):
                raise TypeError(str(error)) from error
            raise

    entry.__name__ = entry.__qualname__ = name
    entry.__module__ = __name__
    entry.__doc__ = f"{name} of gricol_zoo, in its deployed form."
    setattr(sys.modules[__name__], name, register_model(entry))
    BRIDGED.append(name)


def _bridge_all() -> None:
    for name in MODELS:
        try:
            bridge(name)
        except GricolZooError as error:  # a third party's broken package must not affect the others
            warnings.warn(f"{name} was not added to timm's registry: {error}", stacklevel=3)
    register_model_deprecations(__name__, dict(MODELS.aliases))


_bridge_all()
wrap_readers(BRIDGED)
