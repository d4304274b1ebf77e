"""Read the images of a set into one array, ready for a network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.preprocess import Pose, Prepared, foreground, pose_of, prepare, stretch
from gricol_zoo.data.scale import find_scales
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError, QualityWarning
from gricol_zoo.spec import ModelSpec, Preprocess

Result = TypeVar("Result")


def load_canvases(images: ImageSet, spec: ModelSpec, factors: np.ndarray | None = None) -> np.ndarray:
    """Read and preprocess every image: (n, height, width) uint8.

    Args:
        images: n images.
        spec: the spec of the model.
        factors: (n,) scale factor of each crop (``gricol_zoo.data.scale``); None for 1.

    Raises:
        GricolZooError: an image cannot be read (the message names the file).
    """
    return np.stack([prepared.canvas for prepared in load_prepared(images, spec, factors)])


def load_prepared(images: ImageSet, spec: ModelSpec, factors: np.ndarray | None = None) -> list[Prepared]:
    """Read and preprocess every image, and keep the measurements. Arguments and errors as for ``load_canvases``."""
    how, size = spec.preprocess, spec.image_size
    return read_all(images, lambda grey, factor: prepare(grey, how, size, factor), how.ground, factors)


def read_all(
    images: ImageSet, prepare: Callable[[np.ndarray, float], Result], ground: str = "auto", factors: np.ndarray | None = None
) -> list[Result]:
    """Read every image, and apply a function to it.

    Args:
        images: n images.
        prepare: (H, W) grey image and scale factor -> result; may raise ImageError.
        ground: the background, "auto", "light" or "dark".
        factors: (n,) scale factor of each crop; None for 1.

    Raises:
        GricolZooError: an image cannot be read or prepared (the message names the file).
    """
    out = []
    for index, record in enumerate(images.records):
        try:
            out.append(prepare(images.grey(record, ground), 1.0 if factors is None else float(factors[index])))
        except (ImageError, OSError) as error:
            raise images.unusable(record, error) from error
    return out


def measure_lengths(images: ImageSet, how: Preprocess) -> np.ndarray:
    """Return the length of each chromosome along its axis, (n,) in crop pixels; NaN if an image cannot be measured."""
    return np.array([np.nan if pose is None else pose.length for pose in poses(images, how)], float)


def image_factors(how: Preprocess, images: ImageSet, scale: str | float) -> np.ndarray | None:
    """Return the scale factor of each image, (n,) float64; None if all are 1.

    A ``QualityWarning`` reports the images whose scale cannot be determined.

    Args:
        how: the preprocessing of the weights.
        images: n images; for "auto" they are read once, to measure their chromosomes.
        scale: "auto", "none" or a number.
    """
    if not isinstance(scale, str):
        return np.full(len(images), float(scale))
    if scale == "none":
        return None
    lengths = measure_lengths(images, how) if how.length else np.zeros(len(images))
    scales = find_scales(images.records, lengths, how.length)
    for note in scales.notes:
        warnings.warn(note, QualityWarning, stacklevel=2)
    return scales.factors


def poses(images: ImageSet, how: Preprocess) -> Iterator[Pose | None]:
    """Yield the pose of the chromosome in each image; None if the image cannot be read or shows nothing."""
    for record in images.records:
        try:
            grey = images.grey(record, how.ground)
        except (ImageError, OSError):
            yield None
            continue
        mask = find_chromosome(grey, how.ground).mask if how.version > 1 else foreground(stretch(grey, how.ground))
        yield pose_of(mask, how.orientation != "centred")


def label_indices(records: Sequence[Record], labels: Sequence[str], where: str) -> np.ndarray:
    """Return each record's class index, (n,) int64.

    Raises:
        GricolZooError: an unknown or empty label.
    """
    index = {label: i for i, label in enumerate(labels)}
    out = np.empty(len(records), np.int64)
    for i, record in enumerate(records):
        if record.label not in index:
            raise GricolZooError(
                f"{where}: expected the label of {record.path} to be one of {', '.join(labels[:30])}, but got {record.label!r}."
            )
        out[i] = index[record.label]
    return out


def arms_up(records: Sequence[Record]) -> np.ndarray:
    """Return whether the short arm is up in each image, (n,) bool: it is unless the manifest's `short_arm` says down.

    Raises:
        GricolZooError: a `short_arm` that is neither up nor down.
    """
    arms = [record.extra.get("short_arm", "").strip().lower() for record in records]
    for record, arm in zip(records, arms, strict=True):
        if arm not in ("", "up", "down"):
            raise GricolZooError(f"{record.path}: expected `short_arm` to be up, down or empty, but got {arm!r}.")
    return np.array([arm != "down" for arm in arms], bool)


def normalise(canvases: Tensor, spec: ModelSpec) -> Tensor:
    """Standardise canvases as the weights expect: (B, H, W) uint8 or float 0..255 -> (B, in_chans, H, W) float32."""
    x = (canvases.float() / 255 - spec.preprocess.mean) / spec.preprocess.std
    return x.unsqueeze(1).expand(-1, spec.in_chans, -1, -1)


def mean_and_deviation(canvases: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation over all pixels of (n, H, W) uint8 canvases, as fractions of full scale."""
    total = square = 0.0
    for canvas in canvases:
        values = canvas.astype(np.float64) / 255
        total += values.mean()
        square += (values**2).mean()
    mean = total / len(canvases)
    return round(mean, 5), round(float(np.sqrt(max(square / len(canvases) - mean**2, 1e-6))), 5)


def measure_extents(images: ImageSet, how: Preprocess, factors: np.ndarray | None = None) -> np.ndarray:
    """Return the length and width of each chromosome along and across its axis, (n, 2) in crop pixels times its factor.

    Images that cannot be read, or show nothing, are left out; ``load_canvases`` reports those that cannot be read.

    Raises:
        GricolZooError: no image shows a chromosome.
    """
    each = repeat(1.0) if factors is None else factors
    extents = [(pose.length * by, pose.width * by) for pose, by in zip(poses(images, how), each, strict=False) if pose]
    if not extents:
        raise GricolZooError(f"No image of {images.store.root} shows a chromosome. Check that they are chromosome crops.")
    return np.array(extents)


def fitting_scale(extents: np.ndarray, size: tuple[int, int], version: int) -> float:
    """Return the scale (canvas pixels per crop pixel) at which most chromosomes fit the canvas.

    Microscopes differ in pixels per micrometre; with this scale, chromosomes of the same class come out about equally large
    from any of them. Preparation 1 takes the scale at which 95 % fit the height, preparation 2 the one at which 99.5 % fit
    height and width: a chromosome that is shrunk to fit loses its size, which is half of what distinguishes it.

    Args:
        extents: (n, 2) lengths and widths in crop pixels.
        size: (height, width) of the canvas.
        version: of the preparation.
    """
    height, width = size
    if version == 1:
        return round(float((height - 2) / np.percentile(extents[:, 0], 95)), 2)
    tall, wide = np.percentile(extents, 99.5, axis=0)
    return math.floor(100 * min((height - 2) / tall, (width - 2) / wide)) / 100


def as_batch(canvases: Sequence[np.ndarray], spec: ModelSpec) -> Tensor:
    """Stack canvases into a standardised batch, (B, in_chans, H, W) float32."""
    return normalise(torch.from_numpy(np.stack(canvases)), spec)
