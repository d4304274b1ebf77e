"""The recipe files of released and planned weights, ``benchmarks/recipes/NAME.TAG.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent.parent / "recipes"


def read_recipe(name: str) -> dict[str, Any]:
    """Return the contents of the recipe file of some weights, "NAME.TAG"."""
    return dict(json.loads((RECIPES / f"{name}.json").read_text(encoding="utf-8")))


def with_starts(name: str) -> list[dict[str, Any]]:
    """Return the recipe of some weights, that of the weights they start from, and so on to random weights."""
    recipe = read_recipe(name)
    return [recipe, *(with_starts(recipe["init"]) if recipe["init"] else [])]


def epochs_on(name: str, images: str) -> int:
    """Return for how many epochs some weights and their starts were trained on the images of a set, "qband" or "pki3"."""
    return sum(int(recipe["epochs"]) for recipe in with_starts(name) if recipe["images"] == images)
