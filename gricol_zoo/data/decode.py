"""Decode a file to its grey levels and its transparency, without scaling or rotating it.

TIFF is read by ``gricol_zoo.data.tiff``. Pillow reads PNG, BMP and JPEG, and TIFF with JPEG, fax, Zstandard or WebP
compression. No other format is opened, whatever the file name says.
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
MAX_SCANS = 100  # of a JPEG: each scan goes over the whole image; a progressive JPEG has about ten
ADVICE = "save it as 8- or 16-bit grey TIFF or PNG"
BY_PILLOW = {2, 3, 4, 6, 7, 50000, 50001}  # TIFF compressions: fax, JPEG, Zstandard, WebP
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
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x08\0\0\0\0IDAT\0\0\0\0IEND\xaeB`\x82"  # of 8-bit grey, without its numbers and pixels
)
SHORTEST_PNG = 57  # bytes of such a file without its pixels
ORIENTATION = 274  # tag number in TIFF and EXIF


class Picture(NamedTuple):
    """The decoded content of a file.

    Attributes:
        levels: (H, W), integers or floats as stored in the file; colours are already converted to luma.
        alpha: (H, W) float32 in 0..1, the opacity of each pixel; None if the file has no transparency.
        pages: number of pages in the file.
        orientation: 1 to 8, as in EXIF.
        inverted: whether 0 means white.
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
        ImageError: the file is empty, of another format, larger than 4096x4096 pixels, or of a kind that is not supported.
        Exception: of any type, if Pillow fails on a damaged file.
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
    """Return (width, height) from the file's header, before the orientation is applied.

    Raises:
        ImageError: the file is of another format, or has no valid header.
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
    """Return the number of pages or frames in a file.

    Raises:
        ImageError: the file is of another format.
        Exception: of any type, if Pillow fails on a damaged file.
    """
    if directory.is_tiff(data):
        return directory.count_pages(data)
    size_of(data)
    return _frames(_open(data, kinds.opened_as(data)))


def check_size(width: int, height: int) -> None:
    """Check that an image is not larger than a crop can be.

    Raises:
        ImageError: it has more than 4096x4096 pixels.
    """
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width}x{height} px is larger than the limit for a crop (4096x4096 px)")


def _check_jpeg(data: bytes) -> None:
    if (frame := kinds.jpeg_frame(data)) and frame[0] != 8:
        raise ImageError(f"is a {frame[0]}-bit JPEG, which is not supported; {ADVICE}")
    if (scans := data.count(b"\xff\xda")) > MAX_SCANS:
        raise ImageError(f"is a JPEG with {scans} scans, where a usual one has at most {MAX_SCANS}; {ADVICE}")


def _plain_png(data: bytes) -> np.ndarray | None:
    """Return the levels of an 8-bit grey PNG that holds only pixels; None for any other or a damaged file.

    Most crops are such files. Only Pillow's decoder is used, not its file parser, which takes a third of the time.
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
    except Exception:  # even if the list of further frames is damaged, the first can be read
        return 1


def _orientation(image: Image.Image) -> int:
    """Return the orientation in the EXIF block; 1 if it has none or is damaged."""
    block = image.info.get("exif", b"")
    block = block[6:] if block.startswith(b"Exif\0\0") else block
    try:
        return directory.first(directory.read_directory(block)[0], ORIENTATION, 1)
    except ImageError:
        return 1


def _split(image: Image.Image, depth: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the levels and the alpha of an image that Pillow has decoded; ``depth`` is the bits per sample of a PNG."""
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
    """Return the levels and the alpha of a 16-bit PNG in colour, or in grey with alpha: Pillow keeps only their upper bytes."""
    if data[25:26] == b"\x04":  # two samples of two bytes are read as four samples of one byte
        header = data[12:24] + b"\x08\x06" + data[26:29]
        patched = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        samples = np.ascontiguousarray(np.asarray(_open(patched, "PNG"))).view(">u2").astype(np.uint16)
        return samples[..., 0], samples[..., 1].astype(np.float32) / 65535
    upper = np.asarray(image).astype(np.uint16)
    again = _open(data, "PNG")
    tile = again.tile[0]
    # Read with the opposite byte order, the lower bytes are kept.
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
            image.load()  # Pillow applies the orientation itself
            return Picture(*_split(image, 8), pages)
    kind = {"f": "float", "i": "signed integer", "u": "integer"}.get(page.kind, "complex")
    what = f"{page.samples} {page.bits}-bit {kind} sample{'s' if page.samples > 1 else ''} per pixel"
    how = "" if compression in tiff.CODECS else f", compressed with {PACKED.get(compression, f'method {compression}')}"
    raise ImageError(f"is a TIFF with {what}{how}, which is not supported; {ADVICE}")
