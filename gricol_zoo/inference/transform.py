"""From any image to a model's input, and to its prediction: for torchvision and timm data sets, and for a quick test."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.images import Crop, read_crop
from gricol_zoo.data.preprocess import Prepared, prepare
from gricol_zoo.data.quality import image_warnings, measure
from gricol_zoo.data.scale import check_factor
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.inference.logits import predict_both
from gricol_zoo.models.lower import LowerBranch

AnyImage = Any
"""A path, a file's bytes, a PIL image, or an array: (H, W), or (H, W, 3 or 4) uint8."""
STEPS = {"La": "LA", "RGBa": "RGBA", "HSV": "RGB"}  # modes of Pillow that no file has, and their equivalents in files
MAX_INTEGER = 2**31 - 1  # the largest integer in a TIFF that Pillow writes


class Prediction(NamedTuple):
    """A model's prediction for one image; None for what its weights do not predict, or if the image could not be read.

    Attributes:
        label: the likeliest class, and probability: its calibrated probability.
        second: the second likeliest class, and second_probability: its probability.
        polarity: the probability that the short arm is up in the image.
        review: whether a person should look.
        warnings: what is wrong with the image, one line each.
        error: why it could not be read, "" if it could.
    """

    label: str | None = None
    probability: float | None = None
    second: str | None = None
    second_probability: float | None = None
    polarity: float | None = None
    review: bool | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""


def create_transform(model: LowerBranch, scale: float = 1.0) -> Callable[[AnyImage], Tensor]:
    """Return a function from any image to (C, H, W) float32, prepared and standardised as a model's weights expect.

    It needs only the model's spec, and can be pickled, so workers of a ``DataLoader`` can use it.

    Args:
        model: either form.
        scale: factor that makes the crops as large as those of the training; see ``gricol_zoo.data.scale``.

    Raises:
        GricolZooError: a scale that no camera has.
        ImageError: raised by the returned function, for an image that cannot be read.
    """
    return Transform(model.spec, scale)


class Transform:
    """What ``create_transform`` returns.

    Args:
        spec: spec of the model.
        scale: scale factor of the crops.
    """

    def __init__(self, spec: Any, scale: float) -> None:
        self.spec = spec
        self.scale = check_factor(scale)

    def __call__(self, image: AnyImage) -> Tensor:
        """Return an image as (C, H, W) float32."""
        return as_batch([self.prepare(self.read(image)).canvas], self.spec)[0].contiguous()

    def read(self, image: AnyImage) -> Crop:
        """Return an image as a grey crop."""
        return read_any(image, self.spec.preprocess.ground)

    def prepare(self, crop: Crop) -> Prepared:
        """Return a crop's canvas."""
        return prepare(crop.grey, self.spec.preprocess, self.spec.image_size, self.scale)


def read_any(image: AnyImage, ground: str = "auto") -> Crop:
    """Return a path, bytes, a PIL image or an array as a grey crop, by the rule for files (``gricol_zoo.data.images``).

    Raises:
        ImageError: it cannot be read, or it is none of these.
    """
    try:
        return read_crop(bytes_of(image), ground)
    except ImageError as error:
        if isinstance(image, (str, PathLike)):
            raise ImageError(f"{image!s}: {error}") from error
        raise


def bytes_of(image: AnyImage) -> bytes:
    """Return a path, bytes, a PIL image or an array as the bytes of a file; errors as for ``read_any``, without the path."""
    if isinstance(image, (bytes, bytearray)):
        return bytes(image)
    if isinstance(image, (str, PathLike)):
        try:
            return Path(image).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: an impossible file name
            raise ImageError(getattr(error, "strerror", None) or str(error)) from error
    if isinstance(image, np.ndarray):
        image = from_array(image)
    if not isinstance(image, Image.Image):
        raise ImageError(f"Expected a path, bytes, a PIL image or an array, but got {type(image).__name__}.")
    return to_tiff(image)


def to_tiff(image: Image.Image) -> bytes:
    """Return a PIL image as a TIFF file: the one format that holds every kind of pixel, so that one rule is enough.

    Raises:
        ImageError: it has no pixels, or its file cannot be read to the end.
    """
    stream = io.BytesIO()
    try:
        image = ImageOps.exif_transpose(image)
        image = image.convert(STEPS.get(image.mode, image.mode))
        if image.mode in ("P", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
        image.save(stream, "TIFF", compression=None)
    except Exception as error:  # Pillow reads an image lazily, and decoders raise any kind of error
        raise ImageError(f"damaged or truncated: {' '.join(str(error).split()) or type(error).__name__}") from error
    return stream.getvalue()


def from_array(array: np.ndarray) -> Image.Image:
    """Return an array as a PIL image.

    Raises:
        ImageError: a shape or dtype that no image has.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4) and array.dtype == np.uint8)
    if not fits or array.dtype.kind not in "iuf" or not array.size:
        raise ImageError(f"Expected an array (H, W), or (H, W, 3 or 4) of uint8, but got {array.shape} of {array.dtype}.")
    if array.dtype.kind in "iu" and array.dtype not in (np.uint8, np.uint16):
        if int(array.max()) > MAX_INTEGER or int(array.min()) < -MAX_INTEGER:
            raise ImageError(f"Expected integers of at most 31 bits, but got {array.min()} to {array.max()}.")
        array = array.astype(np.int32)
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # it becomes infinite, which is rejected later
            array = array.astype(np.float32)
    return Image.fromarray(np.ascontiguousarray(array))


def classify(model: LowerBranch, images: Iterable[AnyImage], scale: float = 1.0, batch_size: int = 0) -> list[Prediction]:
    """Classify images; return one ``Prediction`` per image, in order. For an image that cannot be read it has the error.

    Args:
        model: either form, with weights.
        images: paths, bytes, PIL images or arrays; a single one makes a list of one.
        scale: scale factor of the crops.
        batch_size: images at once; 0 takes what suits the model.

    Raises:
        GricolZooError: a model without a classifier, or a scale that no camera has.
    """
    if not model.num_classes:
        raise GricolZooError("This model has no classifier (`num_classes=0`). Give it classes.")
    single = isinstance(images, (str, bytes, bytearray, PathLike, np.ndarray, Image.Image))
    transform, reference = Transform(model.spec, scale), model.info.reference
    answers: list[Prediction] = []
    canvases, places = [], []
    for image in [images] if single else images:
        try:
            crop = transform.read(image)
            prepared = transform.prepare(crop)
        except ImageError as error:
            answers.append(Prediction(error=str(error).splitlines()[0]))
            continue
        said = image_warnings(prepared, measure(prepared, model.spec.preprocess.length, transform.scale), reference)
        places.append(len(answers))
        canvases.append(prepared.canvas)
        answers.append(Prediction(warnings=(*crop.notes, *(one.text for one in said))))
    if canvases:
        logits, up = predict_both(model, np.stack(canvases), batch_size)  # type: ignore[arg-type]
        for place, answer in zip(places, _answers(model, logits, up), strict=True):
            answers[place] = answer._replace(warnings=answers[place].warnings)
    return answers


def _answers(model: LowerBranch, logits: np.ndarray, up: np.ndarray | None) -> list[Prediction]:
    calibration, labels = model.info.calibration, model.spec.labels
    threshold = calibration.threshold
    out = []
    for row, values in enumerate(calibration.probabilities(logits)):
        order = np.argsort(-values, kind="stable")
        first, second = int(order[0]), int(order[1]) if len(order) > 1 else None
        out.append(
            Prediction(
                labels[first],
                float(values[first]),
                None if second is None else labels[second],
                None if second is None else float(values[second]),
                None if up is None else float(up[row]),
                None if threshold is None else bool(values[first] < threshold),
            )
        )
    return out
