"""Read one image file to grey: any of PNG, TIFF, BMP, JPEG -> (H, W) float32 in 0..1.

The rule, for every format: 8-bit grey is divided by 255; 16-bit grey by 65535, or by 4095 where no pixel exceeds that
(12-bit cameras); float images must lie in 0..1 or 0..255; colour and palette images become luma (ITU-R 601), after any
transparency has been laid on black. Of a file with several frames the first is read.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from gricol_zoo.errors import ImageError

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
MAX_PIXELS = 4096 * 4096


def read_grey(data: bytes, ground: str = "auto") -> np.ndarray:
    """Decode a file's bytes to grey, (H, W) float32 in 0..1.

    Raises:
        ImageError: empty, no image, cut, larger than 4096x4096 pixels, NaN or infinite pixels, or blank.
    """
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"{image.width}x{image.height} px is larger than a chromosome crop can be (4096x4096)")
        image.load()
    except Image.DecompressionBombError as error:
        raise ImageError(f"larger than a chromosome crop can be (4096x4096): {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image that can be read (PNG, TIFF, BMP or JPEG)") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ImageError(f"damaged or cut off: {error}") from error
    grey = to_grey(image)
    low, high = grey.min(), grey.max()
    if not np.isfinite(high - low):
        raise ImageError("NaN or infinite pixels")
    if low == high:
        raise ImageError("blank: every pixel has the same value")
    return grey


def to_grey(image: Image.Image) -> np.ndarray:
    """Turn a decoded image to grey by the rule above, (H, W) float32."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I"):
        values = np.asarray(image).astype(np.float32)
        return values / (4095 if values.max() <= 4095 else 65535)
    if image.mode == "F":
        values = np.asarray(image, dtype=np.float32)
        return values / 255 if np.nanmax(values) > 1 else values
    if image.mode == "1":
        return np.asarray(image).astype(np.float32)
    if image.mode in ("P", "PA", "LA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return np.asarray(image if image.mode == "L" else image.convert("L")).astype(np.float32) / 255


def border_median(grey: np.ndarray) -> float:
    """Return the median of the outermost pixels: the background's grey value."""
    return percentile(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]), 50)


def percentile(values: np.ndarray, q: float) -> float:
    """Return what ``np.percentile`` (linear) returns, in a sixth of its time on a small crop: it spends that on checks."""
    place = q / 100 * (values.size - 1)
    low = int(place)
    high = min(low + 1, values.size - 1)
    ordered = np.partition(values, (low, high), axis=None)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
