"""Prepare a set and a split for training: parts without leaks, canvases, and the values measured on the train part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gricol_zoo.data.arrays import fitting_scale, image_factors, load_canvases, mean_and_deviation, measure_extents
from gricol_zoo.data.split import apply_split, check_leaks
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.spec import ModelSpec


def check_parts(images: ImageSet, split: dict[tuple[str, str], str]) -> dict[str, ImageSet]:
    """Return the parts of a split, after checking them.

    Raises:
        LeakError: a case, a cell or an image is in two parts.
        GricolZooError: a cell is not in the split, or the train or val part is empty.
    """
    parts = apply_split(images, split)
    check_leaks(parts)
    for part in ("train", "val"):
        if not parts[part].records:
            raise GricolZooError(f"The {part} part of the split is empty. Add cells to it.")
    return parts


def missing_classes(parts: Mapping[str, ImageSet]) -> list[str]:
    """Return warnings about classes that the train or the val part lacks, one line per part."""
    there = {part: {record.label for record in images.records} for part, images in parts.items()}
    lacks = {part: sorted(set().union(*there.values()) - there[part]) for part in ("train", "val")}
    return [f"the {part} part has no image of {', '.join(missing)}" for part, missing in lacks.items() if missing]


def prepare_data(
    parts: dict[str, ImageSet], spec: ModelSpec, given: set[str], scale: str | float = "none"
) -> tuple[ModelSpec, dict[str, np.ndarray]]:
    """Read the train and val images, and measure the train part.

    Args:
        parts: the parts of the split.
        spec: the model to train.
        given: fields of its preprocessing that were set by hand and are therefore not measured.
        scale: scale factor of the crops: "none", a number, or "auto" for one estimated from the lengths in each cell
            (``gricol_zoo.data.scale``).

    Returns:
        The spec with the measured values, and the canvases of each part, (n, height, width) uint8.

    Raises:
        GricolZooError: an image cannot be read, or no train image shows a chromosome.
    """

    def changed(**measured: float) -> ModelSpec:
        return spec.replace(preprocess={key: value for key, value in measured.items() if key not in given})

    how = spec.preprocess
    extents = measure_extents(parts["train"], how) if how.orientation != "as-is" else None
    if extents is not None and how.version > 1:
        length = float(np.median(extents[:, 0])) * (1.0 if isinstance(scale, str) else scale)
        spec = changed(length=round(length, 2))
    factors = {part: image_factors(spec.preprocess, parts[part], scale) for part in ("train", "val")}
    if extents is not None:
        if factors["train"] is not None:  # the canvases are drawn with these factors
            extents = measure_extents(parts["train"], how, factors["train"])
        spec = changed(scale=min(16.0, fitting_scale(extents, spec.image_size, how.version)))
    canvases = {part: load_canvases(parts[part], spec, factors[part]) for part in factors}
    mean, std = mean_and_deviation(canvases["train"])
    return changed(mean=mean, std=std), canvases
