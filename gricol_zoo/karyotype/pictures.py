"""The chromosomes of one cell as pictures: upright, dark on white, all at one scale."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from gricol_zoo.data.crops import read_once
from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.preprocess import Pose, place, pose_of, smooth
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.document import Karyotype

HEIGHT = 110  # of the longest chromosome of a cell, in units of the layout
WIDTH = 44  # that a chromosome may take
FINEST = 3.0  # a crop's pixel is drawn no larger than this: a single small crop is not blown up


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


def draw_chromosomes(karyotype: Karyotype, greys: dict[int, np.ndarray], zoom: int = 2) -> dict[int, np.ndarray]:
    """Return a picture, (h, w) uint8, of each chromosome that could be read, by id: ``zoom`` pixels a unit of the layout.

    One scale serves the whole cell, so that sizes compare: the longest is ``HEIGHT`` units.
    """
    ground = str(karyotype.options.get("ground", "auto"))
    found = {id: find_chromosome(grey, ground) for id, grey in greys.items()}
    poses = {id: pose_of(one.mask) or whole(greys[id]) for id, one in found.items()}
    longest = max((pose.length for pose in poses.values()), default=1.0)
    scale = zoom * min(FINEST, HEIGHT / longest)
    pictures = {}
    for item in karyotype.chromosomes:
        if item.id in found:
            pose, value = poses[item.id], np.clip(found[item.id].value, 0, 1)
            fit = min(scale, WIDTH * zoom / (pose.width + 2))
            size = (math.ceil(pose.length * fit) + 2, min(math.ceil(pose.width * fit) + 2, WIDTH * zoom))
            picture = 255 - (place(smooth(value, 1 / fit), pose, fit, size) * 255 + 0.5).astype(np.uint8)
            pictures[item.id] = picture[::-1, ::-1] if item.turned else picture
    return pictures


def whole(grey: np.ndarray) -> Pose:
    """Return the pose of a crop in which nothing stands out of the background, so that it is shown whole."""
    height, width = grey.shape
    return Pose(0.0, ((width - 1) / 2, (height - 1) / 2), float(height), float(width))
