"""Read the directories of a TIFF, classic or BigTIFF, in either byte order; an EXIF block has the same structure."""

from __future__ import annotations

import struct

import numpy as np

from gricol_zoo.errors import ImageError

BIG = {b"II*\0": False, b"MM\0*": False, b"II+\0": True, b"MM\0+": True}  # first four bytes -> whether it is a BigTIFF
INTEGERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
MAX_PAGES = 2000
MAX_TAGS = 512

Tags = dict[int, np.ndarray]


def is_tiff(data: bytes) -> bool:
    """Return whether a file begins like a TIFF."""
    return data[:4] in BIG


def first(tags: Tags, tag: int, default: int) -> int:
    """Return the first value of a tag, or the default if it is missing or empty."""
    values = tags.get(tag)
    return default if values is None or not len(values) else int(values[0])


def read_directory(data: bytes, at: int = 0) -> tuple[Tags, int]:
    """Return the integer tags of the directory at an offset (0 for the first one), and the offset of the next directory.

    An entry whose values lie beyond the end of the file is left out.

    Raises:
        ImageError: the directory lies beyond the end of the file, or has too many entries.
    """
    order, big = "<" if data[:2] == b"II" else ">", BIG.get(data[:4], False)
    try:
        at = at or struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
        at += 8 if big else 2
        size, inline = (20, 8) if big else (12, 4)
        if count > MAX_TAGS or at + count * size > len(data):
            raise ImageError("damaged or truncated: its TIFF directory lies beyond the end of the file")
        tags: Tags = {}
        for place in range(at, at + count * size, size):
            tag, type_, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, place)
            if type_ not in INTEGERS:
                continue
            dtype = np.dtype(order + INTEGERS[type_])
            where = place + size - inline
            if number * dtype.itemsize > inline:
                (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
            if where + number * dtype.itemsize <= len(data):
                tags.setdefault(tag, np.frombuffer(data, dtype, number, where))
        end = at + count * size
        following = data[end : end + inline]
        return tags, int.from_bytes(following, "little" if order == "<" else "big") if len(following) == inline else 0
    except (struct.error, OverflowError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError("damaged or truncated: its TIFF directory lies beyond the end of the file") from error


def count_pages(data: bytes) -> int:
    """Return the number of pages, without reduced copies of other pages; counting stops at the first damaged page.

    Raises:
        ImageError: the first directory lies beyond the end of the file.
    """
    tags, following = read_directory(data)
    count, seen = 1, {0}
    while following not in seen and len(seen) < MAX_PAGES:
        seen.add(following)
        try:
            tags, following = read_directory(data, following)
        except ImageError:
            break
        if 256 not in tags or 257 not in tags:
            break
        count += not first(tags, 254, 0) & 1
    return count
