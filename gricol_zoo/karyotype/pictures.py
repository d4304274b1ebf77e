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
HEIGHT = 110  # of the longest chromosome of a cell, in units of the layout
FINEST = 3.0  # a crop's pixel is drawn no larger than this: a single small crop is not blown up
LONGEST = 3.0  # of the median length: what is longer is a heap, which takes more room instead of shrinking all others
CONTRAST, FAINTEST = 90, 0.25  # percentile of a cell's contrasts that is drawn black; a fainter crop than this is lifted to it
BLANK = 250  # of 255: lighter rows and columns around a chromosome are cut off
CRUMB = 0.01  # of a chromosome's area: a speck that is smaller and apart is not drawn


def open_greys(karyotype: Karyotype, images: ImageSet) -> dict[int, np.ndarray]:
    """Return the grey images, (H, W) float32 in 0..1, of the chromosomes that can be read, by id.

    Args:
        karyotype: of the cell.
        images: where its files are; other files there are left alone.

    Raises:
        GricolZooError: a file is not there, or no longer what it was.
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
    """Return a picture, (h, w) uint8, of each chromosome that could be read, by id: ``zoom`` pixels a unit of the layout.

    One scale serves the whole cell, so that sizes compare: the longest is ``HEIGHT`` units. So does one contrast: a faint
    chromosome is fainter than the others. Nothing but white is cut off.

    Args:
        karyotype: of the cell.
        greys: of its crops, (H, W) float32 in 0..1, by id.
        zoom: pixels a unit.
        straighten: makes the picture of a bent chromosome that of a straight one (``gricol_zoo.commands.straight``).
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
    """Return a chromosome upright with all that is around it, (h, w) uint8, dark on white.

    Args:
        found: the chromosome.
        pose: how it lies.
        scale: pixels per crop pixel.
        black: the height over the background, in the units of the crop, that is drawn black.
    """
    strength = max(found.top / black, FAINTEST) if black > 0 else 1.0
    value = np.clip(found.value * np.float32(strength), 0, 1)
    rim = math.sqrt(2) * (found.rim + 1) + 1  # how far beyond its mask a chromosome fades out
    size = (math.ceil((pose.length + 2 * rim) * scale), math.ceil((pose.width + 2 * rim) * scale))
    return 255 - to_levels(place(smooth(value, 1 / scale), pose, scale, size))


def without_crumbs(picture: np.ndarray) -> np.ndarray:
    """Return a picture, (h, w) uint8, without specks: they would push the chromosome off its place."""
    from scipy import ndimage

    pieces, count = ndimage.label(picture < BLANK, np.ones((3, 3)))
    if count < 2:
        return picture
    areas = np.bincount(pieces.ravel())
    crumbs = areas < CRUMB * areas[1:].max()
    crumbs[0] = False
    return np.where(crumbs[pieces], np.uint8(255), picture)


def trimmed(picture: np.ndarray) -> np.ndarray:
    """Return a picture without the white around what it shows, but for one pixel."""
    rows, columns = (np.flatnonzero((picture < BLANK).any(side)) for side in (1, 0))
    if not len(rows):
        return picture
    inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(inside, 1, constant_values=255)


def whole(grey: np.ndarray) -> Pose:
    """Return the pose of a crop in which nothing stands out of the background, so that it is shown whole."""
    height, width = grey.shape
    return Pose(0.0, ((width - 1) / 2, (height - 1) / 2), float(height), float(width))
