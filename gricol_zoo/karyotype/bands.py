"""The banding that released weights are for, as people call it."""

from __future__ import annotations

from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.models.names import parse_model_name

BANDS = {"qband": "Q-bands", "pki3": "G-bands"}
"""Tag of the weights -> the banding that they are for."""


def band_of(name: str) -> str:
    """Return the banding that a model's name tells: "Q-bands", "G-bands"; "" where it tells none, as a folder's does."""
    try:
        return BANDS.get(parse_model_name(name).tag, "")
    except GricolZooError:  # the name of a folder, or a record of before names were checked
        return ""


def with_band(name: str) -> str:
    """Return a model's name with its banding, where it tells one.

    >>> with_band("r18half_192.qband")
    'r18half_192.qband (Q-bands)'
    """
    band = band_of(name)
    return f"{name} ({band})" if band else name


def say_model(karyotype: Karyotype) -> str:
    """Return the model with its banding, and how well it fitted where it was chosen by that."""
    name, fit = str(karyotype.model.get("name", "")), karyotype.options.get("fit")
    value = fit.get(name) if isinstance(fit, dict) else None
    return with_band(name) + (f", chosen by fit {value:.2f}" if isinstance(value, float) else "")
