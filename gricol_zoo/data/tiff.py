"""Read the samples of the first page of a TIFF: classic or BigTIFF, either byte order, strips or tiles.

Like other programs, this module also reads files that break the rules: strip lists with surplus entries, wrong or missing byte
counts, or rows per strip that are missing, zero or far too many. A strip gives the rows that its bytes hold, and the next strip
continues from there, until the page is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gricol_zoo.data.directory import Tags, first, read_directory
from gricol_zoo.data.unpack import CODECS, reverse_bits, to_samples
from gricol_zoo.errors import ImageError

MAX_BYTES = 8 * 4096 * 4096  # largest unpacked size of a page
MAX_TILES = 65536  # per plane: 4096x4096 pixels in tiles of 16x16, the smallest allowed


class Page(NamedTuple):
    """The contents of a page's directory, with faults corrected.

    Attributes:
        order: the byte order, "<" or ">".
        width, height: in pixels.
        samples: per pixel.
        bits: per sample.
        kind: of the samples, "u", "i" or "f"; "" for any other.
        tags: tag number -> integer values.
    """

    order: str
    width: int
    height: int
    samples: int
    bits: int
    kind: str
    tags: Tags

    def get(self, tag: int, default: int) -> int:
        """Return the first value of a tag, or the default if it is missing."""
        return first(self.tags, tag, default)


def read_page(data: bytes) -> Page:
    """Read the first directory of a TIFF.

    Raises:
        ImageError: the directory is damaged, or the samples differ in depth or type.
    """
    tags, _ = read_directory(data)
    width, height = first(tags, 256, 0), first(tags, 257, 0)
    if width <= 0 or height <= 0:
        raise ImageError("damaged or truncated: its TIFF directory has no width and height")
    bits, formats = tags.get(258, np.ones(1, int)), tags.get(339, np.ones(1, int))
    samples = first(tags, 277, 3 if first(tags, 259, 1) == 7 and first(tags, 262, 1) in (2, 6) else max(len(bits), 1))
    if not 0 < samples <= 64:
        raise ImageError(f"damaged: its TIFF directory gives {samples} samples per pixel")
    if len(set(bits[:samples].tolist())) != 1 or len(set(formats[:samples].tolist())) != 1:
        raise ImageError("is a TIFF whose samples differ in depth or type; save it as 8- or 16-bit grey TIFF or PNG")
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(formats[0]), "")
    return Page("<" if data[:2] == b"II" else ">", width, height, samples, int(bits[0]), kind, tags)


def can_unpack(page: Page) -> bool:
    """Return whether ``read_samples`` supports the compression and the samples of a page."""
    depths = (16, 32, 64) if page.kind == "f" else (*range(1, 17), 32, 64)
    return page.get(259, 1) in CODECS and page.bits in depths and page.kind != "" and page.get(317, 1) in (1, 2, 3)


def read_samples(data: bytes, page: Page) -> np.ndarray:
    """Return the samples of a page that ``can_unpack`` accepts, (height, width, samples), in the smallest fitting dtype.

    Raises:
        ImageError: the page is damaged, truncated, or larger than a crop can be.
    """
    planes = page.samples if page.get(284, 1) == 2 else 1
    depth = page.samples // planes
    if page.height * page.width * page.samples * max(page.bits, 8) // 8 > MAX_BYTES:
        raise ImageError(f"unpacks to more than {MAX_BYTES // 2**20} MiB, larger than the limit for a crop")
    tiled = 324 in page.tags
    maximum = planes * (MAX_TILES if tiled else page.height)  # a strip has at least one row; further entries are surplus
    offsets = page.tags.get(324 if tiled else 273, np.zeros(0, int))[:maximum].tolist()
    if not offsets:
        raise ImageError("damaged or truncated: its TIFF directory lists no pixel data")
    read = _read_tiles if tiled else _read_strips
    each = len(offsets) // planes if tiled else _strips_of_a_plane(page, len(offsets), planes)
    return np.concatenate([read(data, page, offsets, slice(k * each, (k + 1) * each), depth) for k in range(planes)], axis=2)


def _rows_of_a_strip(page: Page) -> int:
    rows = page.get(278, page.height)
    return rows if 0 < rows < page.height else page.height


def _strips_of_a_plane(page: Page, listed: int, planes: int) -> int:
    """Return the number of strips per plane: with one plane, all that are listed; else as many as its rows need."""
    return listed if planes == 1 else max(1, min(-(-page.height // _rows_of_a_strip(page)), listed // planes))


def _read_strips(data: bytes, page: Page, offsets: list[int], mine: slice, depth: int) -> np.ndarray:
    """Return the (height, width, depth) samples of one plane, from its strips."""
    line = (page.width * depth * page.bits + 7) // 8
    counts = page.tags.get(279, np.zeros(0, int))[: len(offsets)].tolist()
    counts = (counts + [0] * len(offsets))[: len(offsets)][mine]
    last = max((number for number, count in enumerate(counts) if count), default=0)
    parts, left = [], page.height
    for number, offset in enumerate(offsets[mine]):
        rows = min(_rows_of_a_strip(page) if len(counts) > 1 else page.height, left)
        # A byte count is used only if it is too small for the rows and the data continues in another strip.
        short = 0 < counts[number] < rows * line and number < last
        got = _unpack(data, page, offset, counts[number] if short and page.get(259, 1) == 1 else rows * line, rows * line)
        whole = min(len(got) // line, left)
        if whole:
            parts.append(to_samples(got[: whole * line], page, whole, page.width, depth))
            left -= whole
        if not left:
            return np.concatenate(parts)
    raise ImageError(f"damaged or truncated: only {page.height - left} of {page.height} rows are present")


def _read_tiles(data: bytes, page: Page, offsets: list[int], mine: slice, depth: int) -> np.ndarray:
    """Return the (height, width, depth) samples of one plane, from its tiles."""
    width, height = page.get(322, 0), page.get(323, 0)
    size = height * ((width * depth * page.bits + 7) // 8)
    if width <= 0 or height <= 0 or not 0 < size <= MAX_BYTES:
        raise ImageError("damaged: its TIFF directory has no valid tile size")
    count = -(-page.height // height) * -(-page.width // width)
    if len(offsets[mine]) < count:
        raise ImageError(f"damaged or truncated: only {len(offsets[mine])} of {count} tiles are present")
    places = [(y, x) for y in range(0, page.height, height) for x in range(0, page.width, width)]
    out: np.ndarray | None = None
    for (y, x), offset in zip(places, offsets[mine], strict=False):
        got = _unpack(data, page, offset, size, size)
        if len(got) < size:
            raise ImageError(f"damaged or truncated: only {len(got)} of {size} bytes of a tile are present")
        tile = to_samples(got, page, height, width, depth)
        out = np.zeros((page.height, page.width, depth), tile.dtype) if out is None else out
        part = tile[: page.height - y, : page.width - x]
        out[y : y + part.shape[0], x : x + part.shape[1]] = part
    assert out is not None
    return out


def _unpack(data: bytes, page: Page, offset: int, size: int, maximum: int) -> bytes:
    """Return up to ``maximum`` unpacked bytes of a strip or tile at an offset; ``size`` is its length if not compressed."""
    compression = page.get(259, 1)
    if compression != 1:
        size = 2 * maximum + 1024  # no compression makes the data larger than this
    packed = data[offset : offset + size] if offset >= 0 else b""
    return CODECS[compression](reverse_bits(packed) if page.get(266, 1) == 2 else packed, maximum)
