"""What other cameras, files and hands do to a crop: pure functions from (H, W) uint8 pixels to a file's bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image
from scipy import ndimage

from gricol_zoo.data.find import ring
from gricol_zoo.data.outliers import half

Pixels = np.ndarray
Change = Callable[[Pixels, np.random.Generator], bytes]
Files = list[tuple[bytes, str]]
"""The files of a cell with their classes, "" for one that no chromosome is on alone."""


def ground_of(crop: Pixels) -> float:
    """Return the median of the outermost pixels."""
    return float(np.median(ring(crop)))


def png(crop: Pixels) -> bytes:
    """Return pixels as a PNG file; floats are rounded to 8 bits."""
    pixels = crop if crop.dtype == np.uint8 else np.clip(np.rint(crop), 0, 255).astype(np.uint8)
    return _save(Image.fromarray(np.ascontiguousarray(pixels)), "PNG")


def _save(image: Image.Image, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def as_it_is(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop."""
    return png(crop)


def scaled(factor: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with that many pixels a pixel, bilinear and antialiased."""
    size = [max(3, round(side * factor)) for side in crop.shape[::-1]]
    return png(np.asarray(Image.fromarray(crop).resize((size[0], size[1]), Image.Resampling.BILINEAR)))


def turned(angle: float | None, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop turned by an angle in degrees, None for any; the corners get the ground's grey."""
    angle = float(rng.uniform(0, 360)) if angle is None else angle
    fill = round(ground_of(crop))
    return png(np.asarray(Image.fromarray(crop).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)))


def grey_ground(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return a light ground at 117 of 255, a dark one at 60, with less contrast."""
    light = ground_of(crop) > 127
    return png(crop * (117 / 255) if light else 60 + crop * (150 / 255))


def deep(bits: int, used: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return a 16-bit TIFF of a camera of that many bits, of whose range a share is used."""
    pixels = np.rint(crop / 255 * used * (2**bits - 1)).astype(np.uint16)
    return _save(Image.fromarray(pixels), "TIFF")


def transparent(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the chromosome cut out, on a transparent ground that hides black."""
    value = crop.astype(np.float32)
    away = np.abs(value - ground_of(crop))
    inside = ndimage.binary_dilation(away > 0.12 * np.percentile(away, 99.5), iterations=1)
    grey = np.where(inside, crop, 0).astype(np.uint8)
    return _save(Image.fromarray(np.dstack([grey, grey, grey, np.where(inside, 255, 0).astype(np.uint8)])), "PNG")


def noisy(deviation: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with normal noise, in levels of 255."""
    return png(crop + rng.normal(0, deviation, crop.shape))


def gamma(exponent: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop through a tone curve."""
    return png(255 * (crop / 255) ** exponent)


def blurred(deviation: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop out of focus, in pixels."""
    wide = np.pad(crop.astype(np.float32), round(3 * deviation), constant_values=ground_of(crop))
    return png(ndimage.gaussian_filter(wide, deviation))


def margin(pixels: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with more ground around it; less below 0, down to three pixels."""
    if pixels >= 0:
        return png(np.pad(crop, pixels, constant_values=round(ground_of(crop))))
    box = np.nonzero(np.abs(crop - ground_of(crop)) > 25)
    if not len(box[0]):
        return png(crop)
    (top, bottom), (left, right) = ((int(place.min()), int(place.max()) + 1) for place in box)
    return (
        png(crop[top:bottom, left:right][-pixels:pixels, -pixels:pixels]) if min(bottom - top, right - left) > 12 else png(crop)
    )


def mirrored(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with left and right exchanged."""
    return png(crop[:, ::-1])


def inverted(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the negative."""
    return png(255 - crop)


def pale(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return a quarter of the contrast, in the middle of the range."""
    return png(96 + crop * 0.25)


def jpeg(quality: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop as JPEG."""
    return _save(Image.fromarray(crop), "JPEG", quality=quality)


def uneven(rise: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop on a ground that rises across it in any direction, by a share of full scale each way."""
    angle, (height, width) = rng.uniform(0, 2 * np.pi), crop.shape
    y, x = np.mgrid[:height, :width]
    slope = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    return png(crop * 0.6 + 51 + 255 * 2 * rise * slope)


def framed(grey: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop, a little paler, in a flat frame of fifteen pixels."""
    return png(np.pad(crop * 0.6 + 51, 15, constant_values=grey))


def specks(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with six crumbs of dirt, one to three pixels wide, as dark or light as the chromosome."""
    out, (height, width) = np.pad(crop, 8, constant_values=round(ground_of(crop))), np.array(crop.shape) + 16
    stain = float(crop.flat[np.abs(crop - ground_of(crop)).argmax()])
    for _ in range(6):
        top, left, size = int(rng.integers(0, height - 3)), int(rng.integers(0, 5)), int(rng.integers(1, 4))
        left = left if rng.random() < 0.5 else int(width) - 4 - left
        out[top : top + size, left : left + size] = 0.5 * stain + 0.5 * ground_of(crop)
    return png(out)


def rgb(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop as a colour file."""
    return _save(Image.fromarray(crop).convert("RGB"), "PNG")


IMAGES: dict[str, Change] = {
    "untouched": as_it_is,
    **{f"scale {factor:g}": partial(scaled, factor) for factor in (0.5, 0.67, 0.8, 1.25, 1.5, 2, 3)},
    "turned by 180": partial(turned, 180.0),
    "turned by any angle": partial(turned, None),
    "grey ground": grey_ground,
    "14-bit TIFF, low exposure": partial(deep, 14, 0.35),
    "12-bit TIFF": partial(deep, 12, 1.0),
    "transparent ground": transparent,
    **{f"noise {deviation}": partial(noisy, deviation) for deviation in (2, 5, 10)},
    **{f"gamma {exponent}": partial(gamma, exponent) for exponent in (0.5, 0.7, 1.5, 2.0)},
    **{f"blur {deviation} px": partial(blurred, deviation) for deviation in (1, 2, 3)},
    "margin +30 px": partial(margin, 30),
    "margin -2 px": partial(margin, -2),
    "mirrored": mirrored,
    "inverted": inverted,
    "a quarter of the contrast": pale,
    **{f"JPEG quality {quality}": partial(jpeg, quality) for quality in (30, 10)},
    **{f"uneven ground {rise:.0%}": partial(uneven, rise) for rise in (0.05, 0.1)},
    "black frame": partial(framed, 0),
    "white frame": partial(framed, 255),
    "specks": specks,
    "RGB": rgb,
}
"""Changes of every image of a cell."""


def missing(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell without ten of its chromosomes."""
    lost = set(rng.choice(len(crops), min(10, len(crops)), replace=False).tolist())
    return [(png(crop), label) for i, (crop, label) in enumerate(zip(crops, labels, strict=True)) if i not in lost]


def foreign(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell with three chromosomes of another one."""
    more = [others[i] for i in rng.choice(len(others), 3, replace=False)]
    return [(png(crop), label) for crop, label in [*zip(crops, labels, strict=True), *more]]


def heap(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell with all chromosomes of another one: as many as it has."""
    return [(png(crop), label) for crop, label in [*zip(crops, labels, strict=True), *others[: len(crops)]]]


def with_half(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell with one chromosome cut in half."""
    files = [(png(crop), label) for crop, label in zip(crops, labels, strict=True)]
    i = int(rng.integers(len(crops)))
    files[i] = (png(255 * half(crops[i].astype(np.float32) / 255, crops[i], rng)), labels[i])
    return files


def with_two(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell with two chromosomes in one crop, side by side with a gap."""
    files = [(png(crop), label) for crop, label in zip(crops, labels, strict=True)]
    i, j = rng.choice(len(crops), 2, replace=False)
    fill = round(ground_of(crops[i]))
    height = max(crops[i].shape[0], crops[j].shape[0])
    parts = [np.pad(crops[k], ((0, height - crops[k].shape[0]), (6, 6)), constant_values=fill) for k in (i, j)]
    files[i] = (png(np.hstack(parts)), labels[i])
    return files


def twice(
    crops: Sequence[Pixels], labels: Sequence[str], others: Sequence[tuple[Pixels, str]], rng: np.random.Generator
) -> Files:
    """Return the cell with one picture twice."""
    files = [(png(crop), label) for crop, label in zip(crops, labels, strict=True)]
    return [*files, files[int(rng.integers(len(files)))]]


CELLS: dict[str, Callable[..., Files]] = {
    "ten chromosomes missing": missing,
    "three of another cell": foreign,
    "two cells in one heap": heap,
    "half a chromosome": with_half,
    "two chromosomes in one crop": with_two,
    "the same picture twice": twice,
}
"""Changes of what a cell consists of; they are there to be warned of, or to cost nothing."""

ALWAYS_WARNED = ("two cells in one heap", "half a chromosome", "two chromosomes in one crop", "the same picture twice")
"""Cells whose count is wrong, so that they have to be warned of whatever the classes are."""
