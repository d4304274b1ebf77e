"""From samples to grey levels and opacity: luma of colours, palettes and CMYK, and the L of CIELAB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gricol_zoo.data.tiff import Page
from gricol_zoo.errors import ImageError

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}  # TIFF photometric interpretation -> number of colour samples


def luma(image: Image.Image) -> np.ndarray:
    """Return the grey levels of a decoded image of any mode, (H, W); alpha is ignored."""
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * 255
    if image.mode in ("LAB", "YCbCr"):
        return np.asarray(image.getchannel(0))
    if image.mode == "HSV":
        image = image.convert("RGB")
    return np.asarray(image if image.mode in ("L", "F") or image.mode.startswith("I") else image.convert("L"))


def mix(colours: np.ndarray) -> np.ndarray:
    """Return the luma of (H, W, 3) red, green and blue, (H, W) of the same dtype."""
    if colours.dtype == np.uint8:
        return luma(Image.fromarray(np.ascontiguousarray(colours)))
    mixed = colours.astype(np.float64) @ LUMA
    return mixed.astype(colours.dtype) if colours.dtype.kind == "f" else np.rint(mixed).astype(colours.dtype)


def from_page(samples: np.ndarray, page: Page) -> tuple[np.ndarray, np.ndarray | None, bool, tuple[str, ...]]:
    """Return levels, alpha, whether 0 is white, and notes, from the samples of a TIFF, (H, W, samples).

    Raises:
        ImageError: the kind of colour is not supported.
    """
    colour = page.get(262, 2 if page.samples >= 3 else 1)
    if colour not in COLOURS or page.samples < COLOURS[colour]:
        raise ImageError(
            f"is a TIFF with {page.samples} samples per pixel and the colours {colour}, which is not supported; "
            "save it as 8- or 16-bit grey TIFF or PNG"
        )
    if colour == 6 and page.tags.get(530, np.array([2, 2])).tolist() != [1, 1]:
        raise ImageError("is a TIFF with subsampled YCbCr, which is not supported; save it as 8- or 16-bit grey TIFF or PNG")
    if page.bits < 8 and colour != 3:
        samples = samples * np.uint8(255 // ((1 << page.bits) - 1))
    count = COLOURS[colour]
    alpha, premultiplied = _alpha(samples, page, count)
    levels = _levels(samples[..., :count], page, colour)
    if alpha is not None and premultiplied:
        clear = np.divide(levels, alpha, out=np.zeros(alpha.shape, np.float64), where=alpha > 0)
        top = np.iinfo(levels.dtype).max if levels.dtype.kind in "ui" else np.inf
        levels = np.minimum(clear if levels.dtype.kind == "f" else np.rint(clear), top).astype(levels.dtype)
    if colour == 0 and levels.dtype == np.uint8:
        levels, colour = 255 - levels, 1
    others = page.samples - count - (alpha is not None)
    channels = f"only the first of {others + 1} channels was used"
    return levels, alpha, colour == 0, (channels,) if others and count == 1 else ()


def _alpha(samples: np.ndarray, page: Page, count: int) -> tuple[np.ndarray | None, bool]:
    """Return the opacity of each pixel, (H, W) float32 in 0..1 or None, and whether the colours are multiplied by it."""
    kinds = page.tags.get(338, np.array([2] if count == 3 else [0])).tolist()
    for place, kind in enumerate(kinds[: page.samples - count]):
        if kind in (1, 2, 999):
            values = np.nan_to_num(samples[..., count + place].astype(np.float64), posinf=0, neginf=0)
            # Camera depths: a mask up to 4095 is as opaque as one up to 65535.
            full = 255 if samples.dtype == np.uint8 else max(float(values.max()), 1.0)
            return np.clip(values / full, 0, 1).astype(np.float32), kind == 1
    return None, False


def _levels(samples: np.ndarray, page: Page, colour: int) -> np.ndarray:
    """Return the levels, (H, W), of samples with the photometric interpretation ``colour``."""
    if colour == 3:
        table = page.tags.get(320, np.zeros(0, int))
        if len(table) < 3 << page.bits or samples.dtype.kind != "u":
            raise ImageError("damaged or truncated: the TIFF palette has no colours")
        eight = (table // 256 if table.max() > 255 else table).astype(np.uint8).reshape(3, -1)
        return mix(eight.T[None])[0][samples[..., 0]]
    if colour == 5:
        deep = samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
        return luma(Image.fromarray(np.ascontiguousarray(deep), "CMYK"))
    return mix(samples) if colour == 2 else samples[..., 0]
