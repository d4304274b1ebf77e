"""Which images belong to each tag of weights: a zip in the folder given as ``--data``, and a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.export.check import read_crops, sample_evenly

SPLITS = Path(__file__).parent.parent / "splits"
FILES = {"qband": "qband.zip", "pki3": "pki3.zip"}
NAMES = {"qband": "BioImLab Q-band", "pki3": "Pki-3 (G-banded)"}


def open_set(tag: str, folder: Path) -> ImageSet:
    """Return all images of a tag."""
    return open_images(folder / FILES[tag])


def split_file(tag: str) -> Path:
    """Return the split of a tag."""
    return SPLITS / f"{tag}.csv"


def open_part(tag: str, folder: Path, part: str) -> ImageSet:
    """Return one part of a tag's images."""
    return apply_split(open_set(tag, folder), read_split(split_file(tag)))[part]


def calibration_crops(tag: str, folder: Path) -> list[np.ndarray]:
    """Return 256 crops of a tag's train part, evenly spread, as `gricol-zoo export` takes for int8; (H, W) float32 each."""
    return read_crops(sample_evenly(open_part(tag, folder, "train"), 256))


def tag_of(name: str) -> str:
    """Return the tag of ``arch.tag``.

    Raises:
        GricolZooError: the name has no tag, or a tag without images here.
    """
    tag = name.rpartition(".")[2]
    if tag not in FILES:
        raise GricolZooError(f"Expected a name with a tag of {', '.join(FILES)}, such as r18half_128.qband, but got {name!r}.")
    return tag
