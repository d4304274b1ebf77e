"""Unpack the strips of a TIFF: uncompressed, LZW, deflate, LZMA and PackBits; predictors; samples of any number of bits.

libtiff is not used because it prints messages that Python cannot catch, and rejects some files that microscopes write.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gricol_zoo.errors import ImageError

if TYPE_CHECKING:
    from gricol_zoo.data.tiff import Page

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
CLEAR, END = 256, 257  # special codes of LZW


def reverse_bits(data: bytes) -> bytes:
    """Return the bytes with the bits of each byte in reverse order."""
    return data.translate(REVERSED)


def _plain(data: bytes, maximum: int) -> bytes:
    return data[:maximum]


def _deflate(data: bytes, maximum: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, maximum)
    except zlib.error as error:
        raise ImageError(f"damaged or truncated: {error}") from error


def _lzma(data: bytes, maximum: int) -> bytes:
    try:
        return lzma.LZMADecompressor().decompress(data, maximum)
    except (lzma.LZMAError, EOFError) as error:
        raise ImageError(f"damaged or truncated: {error}") from error


def _packbits(data: bytes, maximum: int) -> bytes:
    out, at = bytearray(), 0
    while len(out) < maximum and at + 1 < len(data):
        head = data[at]
        if head < 128:
            out += data[at + 1 : at + 2 + head]
            at += 2 + head
        else:
            if head > 128:
                out += data[at + 1 : at + 2] * (257 - head)
            at += 2 if head > 128 else 1
    return bytes(out[:maximum])


def _lzw(data: bytes, maximum: int) -> bytes:
    """Unpack LZW as in TIFF 6: codes of 9 to 12 bits, highest bit first; the width grows one code early."""
    if data[:1] == b"\0" and len(data) > 1 and data[1] & 1:
        raise ImageError("is a TIFF with unsupported old-style LZW compression; save it as 8- or 16-bit grey TIFF or PNG")
    out, roots = bytearray(), [bytes([byte]) for byte in range(256)] + [b"", b""]
    table, width, last = list(roots), 9, b""
    buffer = bits = at = 0
    while len(out) < maximum:
        while bits < width:
            if at >= len(data):
                return bytes(out)
            buffer, bits, at = (buffer << 8 | data[at]) & 0xFFFFFF, bits + 8, at + 1
        bits -= width
        code = buffer >> bits & (1 << width) - 1
        if code == END:
            break
        if code == CLEAR:
            table, width, last = list(roots), 9, b""
            continue
        if code > len(table) or (code == len(table) and not last) or (not last and code > END):
            raise ImageError("damaged or truncated: undefined LZW code")
        entry = table[code] if code < len(table) else last + last[:1]
        if last and len(table) < 4096:
            table.append(last + entry[:1])
        out += entry
        last = entry
        width = min(max((len(table) + 1).bit_length(), 9), 12)
    return bytes(out[:maximum])


CODECS: dict[int, Callable[[bytes, int], bytes]] = {
    1: _plain,
    5: _lzw,
    8: _deflate,
    32946: _deflate,
    32773: _packbits,
    34925: _lzma,
}
"""Number of the compression -> function: (packed bytes, most bytes to return) -> unpacked bytes, fewer if the data ends."""


def to_samples(data: bytes, page: Page, rows: int, columns: int, depth: int) -> np.ndarray:
    """Return unpacked bytes as samples, (rows, columns, depth), with the predictor undone, in the machine's byte order."""
    predictor = page.get(317, 1) if page.get(259, 1) in (5, 8, 32946, 34925) else 1
    if page.bits not in (8, 16, 32, 64):
        return _few_bits(data, page.bits, rows, columns * depth).reshape(rows, columns, depth)
    dtype = np.dtype(f"{page.order}{page.kind}{page.bits // 8}")
    if predictor == 3:
        return _float_differences(data, dtype, rows, columns, depth)
    values = np.frombuffer(data, dtype).reshape(rows, columns, depth).astype(dtype.newbyteorder("="))
    if predictor == 2:
        whole = values.view(f"u{dtype.itemsize}")
        values = np.cumsum(whole, axis=1, dtype=whole.dtype).view(values.dtype)
    return values


def _few_bits(data: bytes, bits: int, rows: int, columns: int) -> np.ndarray:
    """Return (rows, columns) samples of 1 to 15 bits; each row begins at a byte boundary."""
    lines = np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1)[:, : columns * bits]
    weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
    values = lines.reshape(rows, columns, bits) @ weights
    return values.astype(np.uint8) if bits < 8 else values


def _float_differences(data: bytes, dtype: np.dtype, rows: int, columns: int, depth: int) -> np.ndarray:
    """Undo the floating-point predictor: byte differences, with the highest bytes of a row first."""
    size = dtype.itemsize
    lines = np.frombuffer(data, np.uint8).reshape(rows, -1, depth)
    planes = np.cumsum(lines, axis=1, dtype=np.uint8).reshape(rows, size, columns * depth)
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}")
    return values.reshape(rows, columns, depth).astype(f"f{size}")
