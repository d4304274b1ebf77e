"""Convert a file's grey levels to 0..1, by the rules in ``gricol_zoo.data.images``, and 0..1 to 256 levels."""

from __future__ import annotations

import numpy as np

from gricol_zoo.errors import ImageError

DEPTHS = (8, 10, 12, 14, 16, 32)  # of cameras, in bits
MIN_OF_8_BITS = 16  # floats whose largest value lies between this and 255 are 8-bit values


def scale(levels: np.ndarray, seen: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """Scale grey levels to 0..1.

    Args:
        levels: (H, W), integers or floats.
        seen: (H, W) bool, the pixels that count; the others get any value in 0..1. None counts all.

    Returns:
        (H, W) float32, and a note if the levels were scaled by their own range, else "".

    Raises:
        ImageError: there are NaN or infinite values, or values too far apart for any scale.
    """
    if levels.dtype == np.uint8:
        return levels.astype(np.float32) / 255, ""
    shown = levels if seen is None else levels[seen]
    if not np.isfinite(shown).all():
        raise ImageError("NaN or infinite pixels")
    low, high = shown.min().item(), shown.max().item()
    white = _white(low, high, levels.dtype.kind == "f")
    if white:
        grey = _divide(levels, white)
    elif low == high:
        grey = np.zeros(levels.shape, np.float32)
    else:
        if not np.isfinite(float(high) - float(low)):
            raise ImageError(f"its values range from {low:.3g} to {high:.3g}, too far apart for grey levels")
        grey = ((levels.astype(np.float64) - low) / (float(high) - float(low))).astype(np.float32)
    if seen is not None:
        grey = np.clip(np.nan_to_num(grey, nan=0.0), 0, 1)
    return grey, "" if white else f"values range from {low:.6g} to {high:.6g} and were scaled by that range"


def to_levels(grey: np.ndarray) -> np.ndarray:
    """Round (H, W) float in 0..1 to 256 levels, uint8; values outside are clipped."""
    levels = grey * 255
    levels += 0.5
    return np.minimum(np.maximum(levels, 0, out=levels), 255, out=levels).astype(np.uint8)


def _white(low: float, high: float, floats: bool) -> float:
    """Return the number by which to divide the values; 0 if they are to be scaled by their own range."""
    if low < 0:
        return 0
    if floats:
        return 1 if high <= 1 else 255 if MIN_OF_8_BITS <= high <= 255 else 0
    return next(((1 << bits) - 1 for bits in DEPTHS if high < 1 << bits), 0)


def _divide(levels: np.ndarray, white: float) -> np.ndarray:
    """Return levels divided by ``white``, (H, W) float32."""
    if levels.dtype.itemsize > 4 or white > 65535:
        return (levels.astype(np.float64) / white).astype(np.float32)
    values = levels.astype(np.float32)
    return values if white == 1 else values / np.float32(white)
