"""One chromosome in detail: with its homologues at one scale, its probabilities, and where the network looked (Grad-CAM)."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.explain.saliency import grad_cam
from gricol_zoo.factory import GridModel
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.serve.compare import straight_pictures

ZOOM = 2  # pixels per unit of the layout
MAX_HOMOLOGUES = 3  # most homologues that are shown
TOP = 5  # classes that are shown
MIN_SHOWN = 0.0005  # a smaller probability would read 0.0 %
WARM = np.array([[0, 0, 0], [120, 20, 90], [230, 80, 40], [255, 220, 90]], np.float32)  # colours of 0, 1/3, 2/3, 1


@dataclass(frozen=True)
class Details:
    """What the page shows of a chromosome.

    Attributes:
        item: the chromosome.
        homologues: others of its class, in the order of their ids.
        pictures: PNG files of it and its homologues, by id, straightened and at one scale.
        probabilities: the likeliest classes with their probabilities, in falling order.
        explained: the class that ``cam`` is for.
        cam: a PNG file, the network's input with Grad-CAM over it; None if there is none.
        speaks: whether any position of it supports the class.
        missing: why there is no Grad-CAM.
        labels: the classes that it may be moved to.
    """

    item: Chromosome
    homologues: list[Chromosome]
    pictures: Mapping[int, bytes]
    probabilities: list[tuple[str, float]]
    explained: str
    cam: bytes | None
    speaks: bool
    missing: str
    labels: Sequence[str] = ()


def look_at(model: GridModel | DeployedModel | None, images: ImageSet, karyotype: Karyotype, id: int) -> Details:
    """Collect the details of a chromosome; its files are read again.

    Args:
        model: the model that classified it; None if it is not available, which means no Grad-CAM.
        images: images of the cell.
        karyotype: karyotype of the cell.
        id: id of the chromosome.

    Raises:
        GricolZooError: no such chromosome, or a file that has changed.
    """
    item = karyotype.find(id)
    alike = [other for other in karyotype.chromosomes if other.assigned == item.assigned and other.id != id and not other.error]
    homologues = alike[:MAX_HOMOLOGUES] if item.assigned and not item.error else []
    family = dataclasses.replace(karyotype, chromosomes=[item, *homologues])
    greys = open_greys(family, images)
    drawn = straight_pictures(greys, draw_chromosomes(family, greys, ZOOM), str(karyotype.options.get("ground", "auto")))
    explained = item.assigned or item.predicted
    cam, speaks, missing = None, False, ""
    if model is None:
        missing = "The model that classified it is not offered here."
    elif not item.error:
        try:
            cam, speaks = _explain(model, images, item, karyotype.labels.index(explained), karyotype.scale)
        except GricolZooError as error:  # a network without a map of positions
            missing = str(error)
    ranked = sorted(item.probabilities.items(), key=lambda pair: -pair[1])[:TOP]
    probabilities = [pair for place, pair in enumerate(ranked) if place == 0 or pair[1] >= MIN_SHOWN]
    pictures = {key: to_png(pixels) for key, pixels in drawn.items()}
    return Details(item, homologues, pictures, probabilities, explained, cam, speaks, missing, karyotype.labels)


def _explain(
    model: GridModel | DeployedModel, images: ImageSet, item: Chromosome, target: int, scale: float
) -> tuple[bytes, bool]:
    data = images.read(Record(item.path))
    if hashlib.sha256(data).hexdigest() != item.sha256:
        raise GricolZooError(f"{item.path!r} is not the file that was classified. Upload it again.")
    how = model.spec.preprocess
    canvas = to_canvas(read_grey(data, how.ground), how, model.spec.image_size, scale)
    cam = grad_cam(model, as_batch([canvas], model.spec), [target])[0]
    if item.turned:
        canvas, cam = canvas[::-1, ::-1], cam[::-1, ::-1]
    return to_png(overlay(canvas, cam)), bool(cam.any())


def overlay(canvas: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """Lay a map, (H, W) in 0..1, in warm colours over a canvas, (H, W) uint8: (H, W, 3) uint8."""
    places = np.linspace(0, 1, len(WARM))
    colour = np.stack([np.interp(cam, places, WARM[:, channel]) for channel in range(3)], -1)
    strength = 0.6 * np.clip(cam, 0, 1)[..., None]
    mixed = canvas[..., None] * (1 - strength) + colour * strength
    return (mixed + 0.5).clip(0, 255).astype(np.uint8)


def to_png(pixels: np.ndarray) -> bytes:
    """Return (H, W) or (H, W, 3) uint8 as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()
