"""What ``gricol-zoo info`` says of a model."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from gricol_zoo.factory import GridModel, build, create_model
from gricol_zoo.models.flops import count
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import WEIGHTS

UNIT = "Gflops (multiply-adds): fvcore's total in 1e9, one multiply-add = 1, at the model's image size"


def describe(name: str) -> dict[str, Any]:
    """Return a model's parts, sizes, costs and weights as flat JSON-able data.

    Raises:
        GricolZooError: an unknown name or tag.
    """
    model = create_model(name)
    if not isinstance(model, GridModel):
        model = build(model.spec)
    spec = model.spec
    cell = getattr(model.splitter, "cell_size", spec.cell_size)
    tags = WEIGHTS.get(model.name, {}) if parse_model_name(name).arch else {}
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


def format_info(info: dict[str, Any], style: str) -> str:
    """Return the data, of a network or of a classical system, as "table", "csv" or "json"."""
    if style == "json":
        return json.dumps({**info, "unit": UNIT} if "gmacs_lower" in info else info, indent=2)
    if style == "csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, info.keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerow(info)
        return stream.getvalue().rstrip("\n")
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
