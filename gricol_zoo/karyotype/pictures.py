"""The chromosomes of one cell as pictures: upright, dark on white, all at one scale."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import measure_pose, stretch, upright
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
    known = set(images.store.names)
    greys = {}
    for item in karyotype.chromosomes:
        if item.error:
            continue
        if item.path not in known:
            raise GricolZooError(f"{images.store.root} has no {item.path!r}. Say with --images where this cell's images are.")
        data = images.read(Record(item.path))
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise GricolZooError(f"{item.path!r} in {images.store.root} is not the file that this karyotype was made from.")
        greys[item.id] = read_grey(data)
    return greys


def draw_chromosomes(karyotype: Karyotype, greys: dict[int, np.ndarray], zoom: int = 2) -> dict[int, np.ndarray]:
    """Return a picture, (h, w) uint8, of each chromosome that could be read, by id: ``zoom`` pixels a unit of the layout.

    One scale serves the whole cell, so that sizes compare: the longest is ``HEIGHT`` units.
    """
    values, sizes = {}, {}
    for id, grey in greys.items():
        values[id] = np.clip(stretch(grey), 0, 1)
        pose = measure_pose(values[id])
        # Where nothing stands out of the background the crop is shown whole.
        sizes[id] = (pose.length, pose.width) if pose else (float(grey.shape[0]), float(grey.shape[1]))
    longest = max((length for length, _ in sizes.values()), default=1.0)
    scale = zoom * min(FINEST, HEIGHT / longest)
    pictures = {}
    for item in karyotype.chromosomes:
        if item.id in values:
            length, width = sizes[item.id]
            size = (math.ceil(length * scale) + 2, min(math.ceil(width * scale) + 2, WIDTH * zoom))
            picture = 255 - (upright(values[item.id], scale, size) * 255 + 0.5).astype(np.uint8)
            pictures[item.id] = picture[::-1, ::-1] if item.turned else picture
    return pictures
