"""Images of a set as one array, ready for a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import foreground, pose_of, stretch, to_canvas
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.spec import ModelSpec, Preprocess


def load_canvases(images: ImageSet, spec: ModelSpec) -> np.ndarray:
    """Read and preprocess every image: (n, height, width) uint8.

    Raises:
        GricolZooError: an image cannot be read (the file is named).
    """
    out = np.empty((len(images), *spec.image_size), np.uint8)
    for index, record in enumerate(images.records):
        try:
            out[index] = to_canvas(read_grey(images.read(record), spec.preprocess.ground), spec.preprocess, spec.image_size)
        except (ImageError, OSError) as error:
            raise GricolZooError(
                f"{record.path} of {images.store.root}: {error}. Mend it or take it out of the table."
            ) from error
    return out


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
                f"{where}: {record.path} has the label {record.label!r}. Expected one of {', '.join(labels[:30])}."
            )
        out[i] = index[record.label]
    return out


def arms_up(records: Sequence[Record]) -> np.ndarray:
    """Return whether each chromosome lies short arm up in its file, (n,) bool: up unless the manifest's `short_arm` says down.

    Raises:
        GricolZooError: a `short_arm` that is neither up nor down.
    """
    arms = [record.extra.get("short_arm", "").strip().lower() for record in records]
    for record, arm in zip(records, arms, strict=True):
        if arm not in ("", "up", "down"):
            raise GricolZooError(f"{record.path}: expected `short_arm` to be up, down or empty, but got {arm!r}.")
    return np.array([arm != "down" for arm in arms], bool)


def normalise(canvases: Tensor, spec: ModelSpec) -> Tensor:
    """(B, H, W) uint8 or float 0..255 -> (B, in_chans, H, W) float32, standardised as the weights expect."""
    x = (canvases.float() / 255 - spec.preprocess.mean) / spec.preprocess.std
    return x.unsqueeze(1).expand(-1, spec.in_chans, -1, -1)


def measure(canvases: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation over all pixels, in units of full scale."""
    total = square = 0.0
    for canvas in canvases:
        values = canvas.astype(np.float64) / 255
        total += values.mean()
        square += (values**2).mean()
    mean = total / len(canvases)
    return round(mean, 5), round(float(np.sqrt(max(square / len(canvases) - mean**2, 1e-6))), 5)


def measure_extents(images: ImageSet, how: Preprocess) -> np.ndarray:
    """Return length and width of each chromosome along and across its axis, (n, 2) in crop pixels.

    Images that cannot be read, or show nothing, are left out: ``load_canvases`` names them.

    Raises:
        GricolZooError: nothing but such images.
    """
    extents = []
    for record in images.records:
        try:
            grey = read_grey(images.read(record), how.ground)
        except (ImageError, OSError):
            continue
        mask = find_chromosome(grey, how.ground).mask if how.version > 1 else foreground(stretch(grey, how.ground))
        pose = pose_of(mask, how.orientation != "centred")
        if pose is not None:
            extents.append((pose.length, pose.width))
    if not extents:
        raise GricolZooError(f"No image of {images.store.root} shows anything to measure: expected chromosomes.")
    return np.array(extents)


def fitting_scale(extents: np.ndarray, size: tuple[int, int], version: int) -> float:
    """Return how many canvas pixels a crop pixel may get so that most chromosomes fit a canvas unshrunk.

    Microscopes differ in pixels per micrometre; so scaled, chromosomes of one number come out about alike from any of them.
    Preparation 1 lets 19 of 20 fit the height. Preparation 2 lets 199 of 200 fit height and width, since what is shrunk has
    lost its size, which is half of what tells it from others.

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
