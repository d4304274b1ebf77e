"""Our names in timm's registry: ``import gricol_zoo.timm_bridge``, then ``timm.create_model("gricol_r50half_n3")``.

timm gets the deployed form. Weights go through this zoo's own loader, whichever way timm is asked for them, so both
doors open the same gate. A name that timm has already (resnet50) is left alone.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, is_model, register_model, register_model_deprecations
from torch import nn

from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.factory import build_deployed, check_source
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.presets import MODELS, WEIGHTS
from gricol_zoo.spec import ModelSpec
from gricol_zoo.weights.config import timm_config
from gricol_zoo.weights.hub import find_on_hub
from gricol_zoo.weights.resolve import find_in_table, packaged_file
from gricol_zoo.weights.signature import check_signed
from gricol_zoo.weights.source import Source, find_in_dir
from gricol_zoo.weights.tensors import load_weights
from gricol_zoo.weights.timm_door import SEPARATOR, check_given, wrap_readers


def _config(name: str, tag: str = "") -> dict[str, Any]:
    spec = MODELS.get(name)
    config = timm_config(spec)
    if tag:
        weights = WEIGHTS[name][tag]
        if weights.packaged:
            source = find_in_table(name, tag, weights)
            config = {**timm_config(source.spec), "file": str(packaged_file(name, tag))}
        elif weights.revision:  # timm lists a model with weights only once they can be had
            config["hf_hub_id"] = f"{weights.repo}{SEPARATOR}{weights.revision}"
    config.pop("tag")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}


def _keys(name: str) -> dict[str, Any]:
    tags = WEIGHTS.get(name)
    return {f"{name}.{tag}": _config(name, tag) for tag in tags} if tags else {name: _config(name)}


BRIDGED: list[str] = []
"""The names that timm has from us."""
default_cfgs: dict[str, Any] = {}  # timm looks for this name in an entry point's module


def _source(name: str, config: Any, cache_dir: str | Path | None, pretrained: bool) -> Source:
    """Return where the weights are that timm's resolved config speaks of; of a folder or repository, its own config first."""
    get = config.get if isinstance(config, Mapping) else lambda key, default=None: getattr(config, key, default)
    if get("source") == "local-dir":
        return find_in_dir(str(get("file")))
    if get("source") == "hf-hub":
        repo, _, revision = str(get("hf_hub_id")).partition(SEPARATOR)
        return find_on_hub(repo, revision, str(cache_dir) if cache_dir else None)
    if not pretrained:
        return Source(name, MODELS.get(name))
    tags = WEIGHTS.get(name, {})
    if not tags:
        raise CheckpointError(f"No pretrained weights exist for {name!r}.")
    tag = str(get("tag") or next(iter(tags)))
    if tag not in tags:
        raise GricolZooError(f"Unknown tag {tag!r} of {name!r}. Its tags: {', '.join(tags)}.")
    file = get("file")
    if file and Path(str(file)) != packaged_file(name, tag):
        return find_in_dir(Path(str(file)).parent)  # the user pointed timm at another file of ours
    return find_in_table(name, tag, tags[tag])


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """Build through timm's builder (which resolves configs and wraps features), loading weights by our own gate."""
    # timm's builder fills num_classes, in_chans and global_pool from its config: the caller's own values win.
    cache_dir = options.get("cache_dir")
    chosen, given_args = options.get("pretrained_cfg"), options.get("pretrained_model_args")
    asked = {*options, *(options.get("pretrained_cfg_overlay") or {})}

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
            num_classes=num_classes, in_chans=in_chans, drop_rate=drop_rate, **{k: _tupled(v) for k, v in changes.items()}
        )
        if signed_by is not None:
            check_signed(source, signed_by)
        check_source(source, spec, pretrained, allow_large)
        model = build_deployed(spec, global_pool, device, dtype)
        model.name = name
        if pretrained:
            load_weights(model, source)
        return model

    levels = 5
    model: nn.Module = build_model_with_cfg(
        make,
        name,
        pretrained=False,
        feature_cfg={"out_indices": tuple(range(levels)), "feature_cls": "getter"},
        **options,
    )
    return model


def _resolve(name: str, chosen: Any, options: dict[str, Any]) -> Any:
    from timm.models._builder import resolve_pretrained_cfg

    return resolve_pretrained_cfg(name, pretrained_cfg=chosen, pretrained_cfg_overlay=options.get("pretrained_cfg_overlay"))


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


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
            # timm's callers, and its tests, know an option that does not exist as a TypeError.
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
        except GricolZooError as error:  # a third party's broken package must not cost the others
            warnings.warn(f"{name} was not added to timm's registry: {error}", stacklevel=3)
    register_model_deprecations(__name__, dict(MODELS.aliases))


_bridge_all()
wrap_readers(BRIDGED)
