"""What other cameras, files and handling do to one crop: pure functions from (H, W) uint8 pixels and a generator to a file.

``robustness_conditions`` names them, with their strengths.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from gricol_zoo.data.images import box_of, ring

Pixels = np.ndarray
STAIN = 0.12  # share of the contrast above which a pixel belongs to the chromosome
TIP, SHARE = 0.4, 0.3  # of a neighbour's length that reaches into the crop; at most this share of the chromosome's own


def ground_of(crop: Pixels) -> float:
    """Return the background's grey: a percentile (80 if light, 20 if dark) of the edge, which the chromosome may touch."""
    edge = ring(crop)
    return float(np.percentile(edge, 80 if np.median(edge) > 127 else 20))


def stain_of(crop: Pixels) -> np.ndarray:
    """Return where the chromosome is, (H, W) bool: pixels far enough from the background's grey."""
    away = np.abs(crop.astype(np.float32) - ground_of(crop))
    return away > STAIN * np.percentile(away, 99.5)


def padded(crop: Pixels, pixels: int) -> Pixels:
    """Return the crop with more background around it, uint8."""
    return np.pad(crop, pixels, constant_values=round(ground_of(crop)))


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image as a file."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(crop: Pixels) -> bytes:
    """Return pixels as a PNG file; floats are rounded and clipped to 8 bits."""
    pixels = crop if crop.dtype == np.uint8 else np.clip(np.rint(crop), 0, 255).astype(np.uint8)
    return save(Image.fromarray(np.ascontiguousarray(pixels)), "PNG", compress_level=1)


def as_it_is(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop."""
    return png(crop)


def resized(crop: Pixels, height: float, width: float) -> Pixels:
    """Return the crop at another size, bilinear and antialiased, uint8."""
    size = (max(3, round(width)), max(3, round(height)))
    return np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BILINEAR))


def scaled(factor: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with its height and width multiplied by ``factor``."""
    return png(resized(crop, crop.shape[0] * factor, crop.shape[1] * factor))


def widened(factor: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop as from a camera whose pixels are not square: its width is multiplied by ``factor``."""
    return png(resized(crop, crop.shape[0], crop.shape[1] * factor))


def coarse(factor: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop at its own size with the resolution of a picture scaled by ``factor``."""
    small = resized(crop, crop.shape[0] * factor, crop.shape[1] * factor)
    return png(resized(small, *crop.shape))


def of_height(height: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop enlarged or shrunk to a height, as some programs export it: relative sizes are lost."""
    return png(resized(crop, height, crop.shape[1] * height / crop.shape[0]))


def half_turn(rng: np.random.Generator) -> float:
    """Return 180 degrees."""
    return 180.0


def quarter_turn(rng: np.random.Generator) -> float:
    """Return 90 degrees to either side."""
    return float(rng.choice([90.0, 270.0]))


def any_turn(rng: np.random.Generator) -> float:
    """Return any angle."""
    return float(rng.uniform(0, 360))


def turned(turn: Any, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop turned counter-clockwise by ``turn(rng)`` degrees; the corners get the background's grey."""
    fill = round(ground_of(crop))
    return png(np.asarray(Image.fromarray(crop).rotate(turn(rng), Image.Resampling.BICUBIC, expand=True, fillcolor=fill)))


def grey_ground(light: int, dark: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with less contrast: a white background becomes the grey ``light``, a black one ``dark``."""
    return png(crop * (light / 255) if ground_of(crop) > 127 else dark + crop * ((210 - dark) / 255))


def deep(bits: int, used: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return a 16-bit TIFF as from a camera of ``bits`` bits that uses the share ``used`` of its range."""
    return save(Image.fromarray(np.rint(crop / 255 * used * (2**bits - 1)).astype(np.uint16)), "TIFF")


def transparent(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the chromosome cut out, on a transparent background whose hidden pixels are black."""
    inside = ndimage.binary_dilation(stain_of(crop))
    grey = np.where(inside, crop, 0).astype(np.uint8)
    return save(Image.fromarray(np.dstack([grey, grey, grey, np.where(inside, 255, 0).astype(np.uint8)])), "PNG")


def colour(mode: str, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop as a PNG in a colour mode of Pillow: RGB, RGBA (opaque) or P (a palette)."""
    return save(Image.fromarray(crop).convert(mode), "PNG")


def noisy(deviation: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with Gaussian noise; ``deviation`` is in grey levels of 0 to 255."""
    return png(crop + rng.normal(0, deviation, crop.shape))


def gamma(exponent: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop through a tone curve."""
    return png(255 * (crop / 255) ** exponent)


def exposed(factor: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop exposed ``factor`` times longer: bright parts are clipped."""
    return png(crop * factor)


def pale(share: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with a share of its contrast, around the middle of the range."""
    return png(127.5 + (crop - 127.5) * share)


def levels(count: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop in ``count`` grey levels."""
    return png(np.rint(crop / 255 * (count - 1)) / (count - 1) * 255)


def blurred(deviation: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop out of focus, by a Gaussian blur of ``deviation`` pixels."""
    return png(ndimage.gaussian_filter(padded(crop, round(3 * deviation)).astype(np.float32), deviation))


def sharpened(percent: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop after an unsharp mask of 2 pixels."""
    return png(np.asarray(Image.fromarray(crop).filter(ImageFilter.UnsharpMask(2, percent, 0))))


def jpeg(quality: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop as JPEG."""
    return save(Image.fromarray(crop), "JPEG", quality=quality)


def margin(pixels: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with more background around it."""
    return png(padded(crop, pixels))


def tight(pixels: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the chromosome's bounding box, cut ``pixels`` too small on each side, or fewer if the chromosome is tiny."""
    box = crop[box_of(stain_of(crop))]
    cut = max(0, min(pixels, (min(box.shape) - 4) // 2))
    return png(box[cut : box.shape[0] - cut, cut : box.shape[1] - cut])


def mirrored(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with left and right exchanged."""
    return png(crop[:, ::-1])


def inverted(crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the negative."""
    return png(255 - crop)


def uneven(rise: float, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop on a background that rises across it in any direction, by a share of full scale from end to end."""
    angle, (height, width) = rng.uniform(0, 2 * np.pi), crop.shape
    y, x = np.mgrid[:height, :width]
    slope = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    return png(crop * 0.6 + 51 + 255 * rise * slope)


def framed(grey: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop, a little paler, in a flat frame of fifteen pixels."""
    return png(np.pad(crop * 0.6 + 51, 15, constant_values=grey))


def specks(count: int, crop: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with specks of dirt at its sides, 1 to 3 pixels wide, with half the contrast of the stain."""
    out, ground = padded(crop, 8), ground_of(crop)
    stain = float(crop.flat[np.abs(crop - ground).argmax()])
    height, width = out.shape
    for _ in range(count):
        top, left, size = int(rng.integers(0, height - 3)), int(rng.integers(0, 5)), int(rng.integers(1, 4))
        left = left if rng.random() < 0.5 else width - 4 - left
        out[top : top + size, left : left + size] = 0.5 * stain + 0.5 * ground
    return png(out)


def with_neighbour(gap: int, crop: Pixels, other: Pixels, rng: np.random.Generator) -> bytes:
    """Return the crop with the end of another chromosome reaching in from one of its four edges.

    Args:
        gap: pixels between them; a negative gap is an overlap.
        crop: (H, W) uint8.
        other: of the same cell.
        rng: chooses the edge.
    """
    side, ground = int(rng.integers(4)), ground_of(crop)
    own, tip = np.rot90(crop, side), other[box_of(stain_of(other))]
    stain = stain_of(own)
    length = max(own[box_of(stain)].shape)
    tip = tip[: max(4, round(min(TIP * len(tip), SHARE * length)))]  # its upper end; the edge of the crop cuts it off below
    lowest = int(np.flatnonzero(stain.any(1))[-1])
    middle = int(np.median(np.flatnonzero(stain[lowest])))
    top, reach = lowest + 1 + gap, tip.shape[1]
    out = np.full((top + len(tip), own.shape[1] + 2 * reach), round(ground), np.uint8)
    out[: min(len(own), len(out)), reach : reach + own.shape[1]] = own[: len(out)]
    left = reach + middle - reach // 2
    part = out[top:, left : left + reach]
    np.copyto(part, tip, where=np.abs(tip - ground) > np.abs(part - ground))
    return png(np.rot90(out, -side))
