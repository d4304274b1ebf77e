"""Decode a file to its grey levels and its transparency, neither scaled nor turned.

TIFF is read by ``gricol_zoo.data.tiff``. Pillow reads PNG, BMP and JPEG, and a TIFF that is packed by JPEG, as a fax or by
Zstandard. No other format is opened, whatever a file is called.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from gricol_zoo.data import directory, kinds, tiff
from gricol_zoo.data.samples import from_page, luma, mix
from gricol_zoo.errors import ImageError

MAX_PIXELS = 4096 * 4096
MOST_SCANS = 100  # of a JPEG, each of which goes over the whole image; a progressive one has some ten
ADVICE = "save it as 8- or 16-bit grey TIFF or PNG"
BY_PILLOW = {2, 3, 4, 6, 7, 50000, 50001}  # fax, JPEG, Zstandard, WebP: compressions of a TIFF
PACKED = {
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    50000: "Zstandard",
    34892: "lossy JPEG",
    50002: "JPEG XL",
}
PLAIN_PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x08\0\0\0\0IDAT\0\0\0\0IEND\xaeB`\x82"  # of 8-bit grey, but for its numbers and pixels
)
SHORTEST_PNG = 57  # bytes of it
ORIENTATION = 274  # the tag, of TIFF and EXIF


class Picture(NamedTuple):
    """What a file holds.

    Attributes:
        levels: (H, W), integers or floats as the file has them; colour is luma by now.
        alpha: (H, W) float32 in 0..1, how opaque each pixel is; None where all are.
        pages: of the file.
        orientation: 1 to 8, as EXIF has them.
        inverted: whether 0 is white.
        notes: what was left out, one line each.
    """

    levels: np.ndarray
    alpha: np.ndarray | None = None
    pages: int = 1
    orientation: int = 1
    inverted: bool = False
    notes: tuple[str, ...] = ()


def decode(data: bytes) -> Picture:
    """Decode the first page of a file.

    Raises:
        ImageError: empty, of another format, larger than 4096x4096 pixels, or of a kind that is not decoded.
        Exception: of any type, where Pillow stumbles over a damaged file.
    """
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    if directory.is_tiff(data):
        return _decode_tiff(data)
    check_size(*size_of(data))
    if (levels := _plain_png(data)) is not None:
        return Picture(levels)
    format = kinds.opened_as(data)
    if format == "JPEG":
        _check_jpeg(data)
    image = _open(data, format)
    pages = _frames(image)
    if format == "PNG" and data[24:25] == b"\x10" and data[25:26] in (b"\x02", b"\x04", b"\x06"):
        levels, alpha = _deep_png(data, image)
    else:
        image.load()
        levels, alpha = _split(image, data[24] if format == "PNG" else 8)
    return Picture(levels, alpha, pages, _orientation(image))  # a PNG may have its EXIF block after the pixels


def size_of(data: bytes) -> tuple[int, int]:
    """Return (width, height) as a file's header says, before any turning.

    Raises:
        ImageError: empty, of another format, or without a header.
    """
    if directory.is_tiff(data):
        page = tiff.read_page(data)
        return page.width, page.height
    if not kinds.opened_as(data):
        foreign = kinds.foreign_kind(data)
        raise ImageError(
            f"is {foreign} file; save it as PNG or TIFF" if foreign else f"not a readable image (expected {kinds.TYPES})"
        )
    frame = kinds.jpeg_frame(data) if kinds.opened_as(data) == "JPEG" else None
    size = frame[1:] if frame else kinds.announced_size(data)
    if size is None:
        raise ImageError("damaged or truncated: no header gives the image size")
    return size


def count_frames(data: bytes) -> int:
    """Return how many pages or frames a file has.

    Raises:
        ImageError: of another format.
        Exception: of any type, where Pillow stumbles over a damaged file.
    """
    if directory.is_tiff(data):
        return directory.count_pages(data)
    size_of(data)
    return _frames(_open(data, kinds.opened_as(data)))


def check_size(width: int, height: int) -> None:
    """Refuse what is larger than a crop can be.

    Raises:
        ImageError: more than 4096x4096 pixels.
    """
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}x{height} px is larger than the limit for a crop (4096x4096 px)")


def _check_jpeg(data: bytes) -> None:
    if (frame := kinds.jpeg_frame(data)) and frame[0] != 8:
        raise ImageError(f"is a {frame[0]}-bit JPEG, which is not supported; {ADVICE}")
    if (scans := data.count(b"\xff\xda")) > MOST_SCANS:
        raise ImageError(f"is a JPEG with {scans} scans, where a usual one has at most {MOST_SCANS}; {ADVICE}")


def _plain_png(data: bytes) -> np.ndarray | None:
    """Return the levels of a PNG of 8-bit grey with nothing but its pixels in it, in a third of the time; None of any other.

    Most crops are such. Only Pillow's decoder is asked, not its reading of the file around it. Of a damaged file it is None.
    """
    if data[:16] + data[24:29] + data[37:41] + data[-12:] != PLAIN_PNG or len(data) < SHORTEST_PNG:
        return None
    width, height, check, length = struct.unpack_from(">II5xII", data, 16)
    if check != zlib.crc32(data[12:29]) or length != len(data) - SHORTEST_PNG:
        return None
    with contextlib.suppress(ValueError, OSError):
        return np.asarray(Image.frombytes("L", (width, height), data[41 : 41 + length], "zip", "L", False))
    return None


def _open(data: bytes, format: str) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=(format,))
    except UnidentifiedImageError as error:
        raise ImageError(f"damaged or truncated: starts like a {format}, but cannot be decoded") from error


def _frames(image: Image.Image) -> int:
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # a damaged list of further frames is no fault of the first
        return 1


def _orientation(image: Image.Image) -> int:
    """Return the orientation that the EXIF block says, 1 where it says none or is damaged."""
    block = image.info.get("exif", b"")
    block = block[6:] if block.startswith(b"Exif\0\0") else block
    try:
        return directory.first(directory.read_directory(block)[0], ORIENTATION, 1)
    except ImageError:
        return 1


def _split(image: Image.Image, depth: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the levels and the alpha of an image that Pillow has decoded; ``depth`` are the bits of a PNG's sample."""
    key = image.info.get("transparency")
    if image.mode in ("P", "PA"):
        image, key = image.convert("RGBA" if key is not None or image.mode == "PA" else "RGB"), None
    elif image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    alpha = np.asarray(image.getchannel("A")).astype(np.float32) / 255 if image.mode in ("LA", "RGBA") else None
    if key is not None and alpha is None:
        values = np.asarray(image)
        if isinstance(key, tuple):
            alpha = (values != np.array(key)).any(-1).astype(np.float32)
        else:
            step = 1 if depth == 16 else 255 // ((1 << depth) - 1)
            alpha = (values != (key > 0 if values.dtype == bool else key * step)).astype(np.float32)
    return luma(image), alpha


def _deep_png(data: bytes, image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the levels and the alpha of a PNG of 16-bit colour, or grey with alpha: Pillow keeps their upper bytes only."""
    if data[25:26] == b"\x04":  # two samples of two bytes lie as four of one byte do
        header = data[12:24] + b"\x08\x06" + data[26:29]
        patched = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        samples = np.ascontiguousarray(np.asarray(_open(patched, "PNG"))).view(">u2").astype(np.uint16)
        return samples[..., 0], samples[..., 1].astype(np.float32) / 65535
    upper = np.asarray(image).astype(np.uint16)
    again = _open(data, "PNG")
    tile = again.tile[0]
    # Read as if their bytes lay the other way round, it is the lower ones that are kept.
    again.tile = [tile._replace(args=str(tile.args).replace(";16B", ";16L"))]
    samples = upper << 8 | np.asarray(again)
    key = image.info.get("transparency")
    if samples.shape[2] == 4:
        return mix(samples[..., :3]), samples[..., 3].astype(np.float32) / 65535
    alpha = (samples != np.array(key)).any(-1).astype(np.float32) if isinstance(key, tuple) else None
    return mix(samples), alpha


def _decode_tiff(data: bytes) -> Picture:
    page = tiff.read_page(data)
    check_size(page.width, page.height)
    pages, orientation = directory.count_pages(data), page.get(ORIENTATION, 1)
    if tiff.can_unpack(page):
        levels, alpha, inverted, notes = from_page(tiff.read_samples(data, page), page)
        return Picture(levels, alpha, pages, orientation, inverted, notes)
    compression = page.get(259, 1)
    if compression in BY_PILLOW and page.get(284, 1) == 1:
        with contextlib.suppress(UnidentifiedImageError):
            image = Image.open(io.BytesIO(data), formats=("TIFF",))
            image.load()  # it turns the image by itself
            return Picture(*_split(image, 8), pages)
    kind = {"f": "float", "i": "signed integer", "u": "integer"}.get(page.kind, "complex")
    what = f"{page.samples} {page.bits}-bit {kind} sample{'s' if page.samples > 1 else ''} per pixel"
    how = "" if compression in tiff.CODECS else f", compressed with {PACKED.get(compression, f'method {compression}')}"
    raise ImageError(f"is a TIFF with {what}{how}, which is not supported; {ADVICE}")
