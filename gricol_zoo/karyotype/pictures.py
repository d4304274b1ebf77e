"""The chromosomes of one cell as pictures: upright, dark on white, all at one scale and in one contrast."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from gricol_zoo.data.crops import read_once
from gricol_zoo.data.find import Found, find_chromosome
from gricol_zoo.data.images import percentile
from gricol_zoo.data.levels import to_levels
from gricol_zoo.data.preprocess import Pose, place, pose_of, smooth
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.document import Karyotype

Straighten = Callable[[np.ndarray], np.ndarray]
"""A picture, (h, w) uint8, dark on white and upright -> the same chromosome straight."""
HEIGHT = 110  # height of the longest chromosome of a cell, in units of the layout
FINEST = 3.0  # most layout units per crop pixel: a single small crop is not blown up
LONGEST = 3.0  # times the median length: anything longer is a heap, which takes more room instead of shrinking all others
CONTRAST, FAINTEST = 90, 0.25  # percentile of a cell's contrasts that is drawn black; least fraction of it for a faint crop
BLANK = 250  # of 255: lighter rows and columns around a chromosome are cut off
CRUMB = 0.01  # of a chromosome's area: separate specks that are smaller are not drawn


def open_greys(karyotype: Karyotype, images: ImageSet) -> dict[int, np.ndarray]:
    """Return the grey images, (H, W) float32 in 0..1, of the chromosomes that can be read, by id.

    Args:
        karyotype: karyotype of the cell.
        images: where its files are; other files there are ignored.

    Raises:
        GricolZooError: a file is missing, or has changed.
    """
    readable = [item for item in karyotype.chromosomes if not item.error]
    names = [images.store.find(item.path) for item in readable]
    for item, name in zip(readable, names, strict=True):
        if not name:
            raise GricolZooError(
                f"{images.store.root} has no {item.path!r}. Give the location of this cell's images with --images."
            )
    ground = str(karyotype.options.get("ground", "auto"))
    once = read_once(dataclasses.replace(images, records=[Record(name) for name in names]), ground)
    greys = {}
    for item, record in zip(readable, once.records, strict=True):
        if once.file_hash(record).hex() != item.sha256:
            raise GricolZooError(f"{item.path!r} in {images.store.root} is not the file this karyotype was made from.")
        greys[item.id] = once.grey(record, ground)
    return greys


def draw_chromosomes(
    karyotype: Karyotype, greys: dict[int, np.ndarray], zoom: int = 2, straighten: Straighten | None = None
) -> dict[int, np.ndarray]:
    """Return a picture, (h, w) uint8, of each chromosome that could be read, by id: ``zoom`` pixels per unit of the layout.

    The whole cell has one scale, so that sizes can be compared: the longest is ``HEIGHT`` units. It also has one contrast: a
    faint chromosome is fainter than the others. Only white is cut off.

    Args:
        karyotype: karyotype of the cell.
        greys: its crops, (H, W) float32 in 0..1, by id.
        zoom: pixels per unit.
        straighten: straightens the picture of a bent chromosome (``gricol_zoo.commands.straight``).
    """
    ground = str(karyotype.options.get("ground", "auto"))
    found = {id: find_chromosome(grey, ground) for id, grey in greys.items()}
    poses = {id: pose_of(one.mask) or whole(greys[id]) for id, one in found.items()}
    scale = zoom * scale_of([pose.length for pose in poses.values()])
    black = percentile(np.array([one.top for one in found.values()]), CONTRAST) if found else 1.0
    pictures = {}
    for item in karyotype.chromosomes:
        if item.id in found:
            picture = without_crumbs(_picture(found[item.id], poses[item.id], scale, black))
            picture = trimmed(straighten(picture) if straighten else picture)
            pictures[item.id] = picture[::-1, ::-1] if item.turned else picture
    return pictures


def scale_of(lengths: Sequence[float]) -> float:
    """Return the units of the layout per crop pixel, for chromosomes of these lengths in pixels."""
    if not lengths:
        return 1.0
    longest = min(max(lengths), LONGEST * float(np.median(lengths)))
    return min(FINEST, HEIGHT / max(longest, 1.0))


def _picture(found: Found, pose: Pose, scale: float, black: float) -> np.ndarray:
    """Return a chromosome upright with its surroundings, (h, w) uint8, dark on white.

    Args:
        found: the chromosome.
        pose: its orientation, place and size.
        scale: pixels per crop pixel.
        black: the contrast to the background, in the units of the crop, that is drawn black.
    """
    strength = max(found.top / black, FAINTEST) if black > 0 else 1.0
    value = np.clip(found.value * np.float32(strength), 0, 1)
    rim = math.sqrt(2) * (found.rim + 1) + 1  # how far beyond its mask a chromosome fades out
    size = (math.ceil((pose.length + 2 * rim) * scale), math.ceil((pose.width + 2 * rim) * scale))
    return 255 - to_levels(place(smooth(value, 1 / scale), pose, scale, size))


def without_crumbs(picture: np.ndarray) -> np.ndarray:
    """Return a picture, (h, w) uint8, without specks: they would move the chromosome from its place."""
    from scipy import ndimage

    pieces, count = ndimage.label(picture < BLANK, np.ones((3, 3)))
    if count < 2:
        return picture
    areas = np.bincount(pieces.ravel())
    crumbs = areas < CRUMB * areas[1:].max()
    crumbs[0] = False
    return np.where(crumbs[pieces], np.uint8(255), picture)


def trimmed(picture: np.ndarray) -> np.ndarray:
    """Return a picture with the white around its content cut off, except one pixel."""
    rows, columns = (np.flatnonzero((picture < BLANK).any(side)) for side in (1, 0))
    if not len(rows):
        return picture
    inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(inside, 1, constant_values=255)


def whole(grey: np.ndarray) -> Pose:
    """Return a pose that shows a whole crop, for a crop in which nothing stands out from the background."""
    height, width = grey.shape
    return Pose(0.0, ((width - 1) / 2, (height - 1) / 2), float(height), float(width))
