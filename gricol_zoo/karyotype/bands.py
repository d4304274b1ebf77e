"""The banding that released weights are for, by its usual name."""

from __future__ import annotations

from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.models.names import parse_model_name

BANDS = {"qband": "Q-bands", "pki3": "G-bands"}
"""Tag of the weights -> the banding that they are for."""


def band_of(name: str) -> str:
    """Return the banding from a model's name: "Q-bands" or "G-bands"; "" if unknown, as for a folder's name."""
    try:
        return BANDS.get(parse_model_name(name).tag, "")
    except GricolZooError:  # the name of a folder, or a record from before names were checked
        return ""


def with_band(name: str) -> str:
    """Return a model's name with its banding, if it is known.

    >>> with_band("r18half_192.qband")
    'r18half_192.qband (Q-bands)'
    """
    band = band_of(name)
    return f"{name} ({band})" if band else name


def say_model(karyotype: Karyotype) -> str:
    """Return the model's name with its banding, and how well it fitted if it was chosen by fit."""
    name, fit = str(karyotype.model.get("name", "")), karyotype.options.get("fit")
    value = fit.get(name) if isinstance(fit, dict) else None
    return with_band(name) + (f", chosen by fit {value:.2f}" if isinstance(value, float) else "")
