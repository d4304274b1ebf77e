"""What ``gricol-zoo info`` prints for a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gricol_zoo.data.rows import to_csv
from gricol_zoo.factory import GridModel, build, create_model
from gricol_zoo.models.backbones.from_timm import create_timm
from gricol_zoo.models.flops import count
from gricol_zoo.models.names import parse_backbone_name, parse_model_name
from gricol_zoo.models.presets import WEIGHTS

UNIT = "Gflops (multiply-adds): fvcore's total in 1e9, one multiply-add = 1, at the model's image size"


def describe(name: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the parts, sizes, costs and weights of a model as flat JSON-able data.

    Args:
        name: the name of a model, or ``timm/<name>`` for one of timm's own.
        changes: fields of the spec to change, as for ``create_model``.

    Raises:
        GricolZooError: an unknown name, tag or field.
    """
    is_timm, plain = parse_backbone_name(name)
    if is_timm:
        net = create_timm(plain, changes or {})
        return {"name": name, "num_classes": net.num_classes, **count(net).rows(), "weights": _weights_of_timm(plain)}
    model = create_model(name, **(changes or {}))
    if not isinstance(model, GridModel):
        model = build(model.spec)
    spec = model.spec
    cell = getattr(model.splitter, "cell_size", spec.cell_size)
    tags = WEIGHTS.get(model.name, {}) if parse_model_name(name).arch and not changes else {}
    return {
        "name": name,
        "backbone": spec.backbone,
        "splitter": spec.splitter,
        "head": spec.head,
        "overview": spec.overview,
        "grid": spec.grid if model.splitter.num_cells else 0,
        "cell_size": "x".join(map(str, cell)) if model.splitter.num_cells else "",
        "num_classes": spec.num_classes,
        **count(model).rows(),
        "weights": " ".join(tags),
    }


def _weights_of_timm(name: str) -> str:
    import timm

    return " ".join(full.partition(".")[2] for full in timm.list_pretrained(f"{name.partition('.')[0]}.*"))


def format_info(info: dict[str, Any], style: str) -> str:
    """Return the description of a network or a classical system as text in the style "table", "csv" or "json"."""
    if style == "json":
        return json.dumps({**info, "unit": UNIT} if "gmacs_lower" in info else info, indent=2)
    if style == "csv":
        return to_csv([info]).rstrip("\n")
    labels = {
        "gmacs_upper": "Gflops (multiply-adds), upper branch",
        "gmacs_lower": "Gflops (multiply-adds), lower branch",
        "gmacs_full": "Gflops (multiply-adds), both",
        "params": "parameters",
        "params_m": "parameters (M), full form",
        "params_deployed_m": "parameters (M), deployed form",
    }
    width = max(len(labels.get(key, key)) for key in info)
    return "\n".join(f"{labels.get(key, key):<{width}}  {value}" for key, value in info.items())
