"""Read an image file as grey: PNG, TIFF, BMP or JPEG -> (H, W) float32 in 0..1.

The rules, for every format:

- Integers are divided by the largest value of the smallest camera depth (8, 10, 12, 14, 16 or 32 bits) that holds all of them:
  a 16-bit file with values up to 1023 comes from a 10-bit camera. 8-bit files are always divided by 255.
- Floats in 0..1 stay unchanged. Floats in 0..255 are divided by 255 if the largest is at least 16.
- All others (negative integers, other floats) are scaled by their own range, the smallest to 0 and the largest to 1, with a
  note. NaN and infinite values are rejected.
- Colours, palettes and CMYK become luma (ITU-R 601), CIELAB its L. 1-bit images become 0 and 1. A TIFF is inverted if it
  declares that 0 is white.
- Transparent pixels become background: light if the opaque part is lighter at its rim than inside (G-bands), dark if it is
  darker there (fluorescence). A note tells which. ``ground`` gives it in advance. The grey values of fully transparent pixels
  do not matter; partly transparent pixels are blended. ``gricol_zoo.data.ground`` chooses the grey.
- With ``ground``, a background painted in exactly one grey that does not fit it is replaced as well.
- The image is rotated according to its EXIF or TIFF orientation.
- Only the first page or frame is read. If there are more, a note tells how many.

Pillow's own warnings about a file are muted: what is relevant becomes an ``ImageError`` or a note.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from gricol_zoo.data import decode
from gricol_zoo.data.ground import GROUNDS, find_opaque, lay_on_ground, painted_ground
from gricol_zoo.data.levels import scale, to_levels
from gricol_zoo.errors import GricolZooError, ImageError

MAX_PIXELS = decode.MAX_PIXELS
Answer = TypeVar("Answer")

warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


PAGES = re.compile(r"only the first of (\d+) pages was used")


def pages_left_out(notes: str) -> int:
    """Return how many pages of a file were left out, according to the notes on its image."""
    found = PAGES.search(notes)
    return int(found[1]) - 1 if found else 0


class Crop(NamedTuple):
    """A grey image, with notes on the decisions made in reading it.

    Attributes:
        grey: (H, W) float32 in 0..1.
        notes: one line each, without a full stop; none for an ordinary file.
    """

    grey: np.ndarray
    notes: tuple[str, ...] = ()


def read_grey(data: bytes, ground: str = "auto") -> np.ndarray:
    """Decode a file's bytes to grey, (H, W) float32 in 0..1. See ``read_crop``."""
    return read_crop(data, ground).grey


def read_crop(data: bytes, ground: str = "auto") -> Crop:
    """Decode a file's bytes to grey by the rule above.

    Args:
        data: the whole file.
        ground: background of a crop that was cut out: "light" (G-bands), "dark" (fluorescence), or "auto" to determine it.

    Raises:
        ImageError: any fault of the file, in one line: empty, of another format, of a kind that is not supported, truncated,
            damaged, larger than 4096x4096 pixels, NaN or infinite pixels, or blank.
        GricolZooError: ``ground`` is not one of the three.
    """
    return read_crops(data, ground)[0]


def read_hashed(data: bytes, ground: str = "auto") -> tuple[Crop, bytes]:
    """Decode a file's bytes once; return its crop and its ``pixel_hash``.

    The hash is always that of the image with ``ground="auto"``: the background is a matter of preparation and does not change
    which image it is. Errors as for ``read_crop``.
    """
    crop, *same = read_crops(data, *dict.fromkeys((ground, "auto")))
    return crop, pixel_hash((same or [crop])[0].grey)


def read_crops(data: bytes, *grounds: str) -> list[Crop]:
    """Decode a file's bytes once, and return one crop for each of the given backgrounds. Errors as for ``read_crop``."""
    for ground in grounds:
        if ground not in GROUNDS:
            raise GricolZooError(f"Expected `ground` to be one of {', '.join(GROUNDS)}, but got {ground!r}.")
    try:
        with np.errstate(all="ignore"):
            picture = decode.decode(data)
            return [_to_crop(picture, ground) for ground in grounds]
    except ImageError:
        raise
    except Exception as error:  # decoders raise any exception on a damaged file
        raise ImageError(f"damaged or truncated: {_in_a_line(error)}") from error


def pixel_hash(grey: np.ndarray) -> bytes:
    """Return a hash of grey pixels, (H, W) in 0..1, rounded to 8 bits: it does not depend on the file format."""
    return hashlib.sha256(str(grey.shape).encode() + to_levels(grey).tobytes()).digest()


def frames(data: bytes) -> int:
    """Return the number of pages or frames in a file; ``read_crop`` reads the first.

    Raises:
        ImageError: the image cannot be read.
    """
    return _asked(decode.count_frames, data)


def size_of(data: bytes) -> tuple[int, int]:
    """Return (width, height) from the file's header, without decoding the image or applying its orientation.

    Raises:
        ImageError: the image cannot be read.
    """
    return _asked(decode.size_of, data)


def _asked(question: Callable[[bytes], Answer], data: bytes) -> Answer:
    try:
        return question(data)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"damaged or truncated: {_in_a_line(error)}") from error


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _to_crop(picture: decode.Picture, ground: str) -> Crop:
    notes = [f"only the first of {picture.pages} pages was used"] if picture.pages > 1 else []
    notes += picture.notes
    opaque = None if picture.alpha is None else find_opaque(picture.alpha)
    grey, note = scale(picture.levels, opaque)
    notes += [note] if note else []
    if picture.inverted:
        grey = 1 - grey
    if picture.alpha is not None and opaque is not None:
        grey, taken = lay_on_ground(grey, picture.alpha, opaque, ground)
        notes.append(f"transparent pixels were taken as a {taken} background")
    elif ground != "auto" and (where := painted_ground(grey, ground)) is not None:
        grey, _ = lay_on_ground(grey, 1 - where.astype(np.float32), ~where, ground)
        notes.append(f"the uniform grey background was taken as {ground}")
    if grey.min() == grey.max():
        others = picture.pages - 1
        page, rest = (" of the first page", "; the other pages were not used") if others else ("", "")
        raise ImageError(f"blank: every pixel{page} has the same value{rest}")
    return Crop(np.ascontiguousarray(turn(grey, picture.orientation)), tuple(notes))


def turn(grey: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate or mirror (H, W) according to an EXIF orientation, 1 to 8; any other value changes nothing."""
    if orientation in (5, 6, 7, 8):
        grey = grey.T
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return grey


def box_of(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the bounding box of a mask, (H, W) bool; all of them if it is empty."""
    line, width = mask.tobytes(), mask.shape[1]
    first, last = line.find(1), line.rfind(1)
    if first < 0:
        return slice(None), slice(None)
    rows = slice(first // width, last // width + 1)
    columns = np.flatnonzero(mask[rows].any(0))
    return rows, slice(int(columns[0]), int(columns[-1]) + 1)


def ring(grey: np.ndarray) -> np.ndarray:
    """Return the outermost pixels as a 1-D array, with the corners twice."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def border_median(grey: np.ndarray) -> float:
    """Return the median of the outermost pixels: the background's grey value."""
    return percentile(ring(grey), 50)


def percentile(values: np.ndarray, q: float) -> float:
    """Return the same as ``np.percentile`` (linear), but faster on a small crop, because it skips the checks."""
    return percentile_of_sorted(np.sort(values, axis=None), q)


def percentile_of_sorted(ordered: np.ndarray, q: float) -> float:
    """Return the percentile ``q`` of (n,) values in ascending order, n >= 1."""
    place = q / 100 * (ordered.size - 1)
    low = int(place)
    high = min(low + 1, ordered.size - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))
