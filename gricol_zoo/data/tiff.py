"""Read the first page of a TIFF to its samples: classic and BigTIFF, either byte order, strips and tiles.

Files that other programs read are read here too, though they break the rules: strip lists with surplus entries, byte counts
that are wrong or missing, rows per strip that are missing, zero or far too many. A strip gives the rows that its bytes
hold, and the next one goes on from there, until the page is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gricol_zoo.data.directory import Tags, first, read_directory
from gricol_zoo.data.unpack import CODECS, reverse_bits, to_samples
from gricol_zoo.errors import ImageError

MOST_BYTES = 8 * 4096 * 4096  # that a page may unpack to
MOST_TILES = 65536  # of a plane: 4096x4096 pixels in tiles of 16x16, the smallest that there may be


class Page(NamedTuple):
    """What the directory of a page says, the file's faults corrected.

    Attributes:
        order: "<" or ">", the byte order.
        width, height: in pixels.
        samples: of a pixel.
        bits: of a sample.
        kind: of the samples, "u", "i" or "f"; "" of any other.
        tags: the directory's integers by their number.
    """

    order: str
    width: int
    height: int
    samples: int
    bits: int
    kind: str
    tags: Tags

    def get(self, tag: int, default: int) -> int:
        """Return the first value of a tag, or the default where it is missing."""
        return first(self.tags, tag, default)


def read_page(data: bytes) -> Page:
    """Read the first directory.

    Raises:
        ImageError: damaged, or its samples differ in depth or kind.
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
    """Say whether ``read_samples`` reads a page's compression and samples."""
    depths = (16, 32, 64) if page.kind == "f" else (*range(1, 17), 32, 64)
    return page.get(259, 1) in CODECS and page.bits in depths and page.kind != "" and page.get(317, 1) in (1, 2, 3)


def read_samples(data: bytes, page: Page) -> np.ndarray:
    """Return the samples of a page that ``can_unpack``, (height, width, samples), of the smallest fitting type.

    Raises:
        ImageError: damaged, cut off, or larger than a crop can be.
    """
    planes = page.samples if page.get(284, 1) == 2 else 1
    depth = page.samples // planes
    if page.height * page.width * page.samples * max(page.bits, 8) // 8 > MOST_BYTES:
        raise ImageError(f"unpacks to more than {MOST_BYTES // 2**20} MiB, larger than the limit for a crop")
    tiled = 324 in page.tags
    most = planes * (MOST_TILES if tiled else page.height)  # a strip has a row at least; what is listed beyond is surplus
    offsets = page.tags.get(324 if tiled else 273, np.zeros(0, int))[:most].tolist()
    if not offsets:
        raise ImageError("damaged or truncated: its TIFF directory lists no pixel data")
    read = _read_tiles if tiled else _read_strips
    each = len(offsets) // planes if tiled else _strips_of_a_plane(page, len(offsets), planes)
    return np.concatenate([read(data, page, offsets, slice(k * each, (k + 1) * each), depth) for k in range(planes)], axis=2)


def _rows_of_a_strip(page: Page) -> int:
    rows = page.get(278, page.height)
    return rows if 0 < rows < page.height else page.height


def _strips_of_a_plane(page: Page, listed: int, planes: int) -> int:
    """Return how many strips belong to a plane: what its rows ask for of several planes, all that are listed of one."""
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
        # A byte count is believed only where it is too small for the rows and the bytes go on elsewhere.
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
    if width <= 0 or height <= 0 or not 0 < size <= MOST_BYTES:
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


def _unpack(data: bytes, page: Page, offset: int, size: int, most: int) -> bytes:
    """Return up to ``most`` bytes of a strip or tile that begins at an offset; uncompressed, ``size`` of them."""
    compression = page.get(259, 1)
    if compression != 1:
        size = 2 * most + 1024  # none of the compressions makes more of it
    packed = data[offset : offset + size] if offset >= 0 else b""
    return CODECS[compression](reverse_bits(packed) if page.get(266, 1) == 2 else packed, most)
