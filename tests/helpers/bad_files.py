"""Files whose image cannot be read."""

import zlib

import numpy as np
from PIL import Image

from helpers.pictures import encode


def nan_tiff():
    values = np.ones((4, 4), np.float32)
    values[1, 1] = np.nan
    return encode(Image.fromarray(values), "TIFF")


def huge_png():
    data = bytearray(encode(Image.new("1", (8, 8))))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


BAD_FILES = {
    "empty": (b"", "empty"),
    "text": (b"hello", "not a readable image"),
    "cut": (encode(Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99), np.uint8)))[:3000], "truncated"),
    "huge": (huge_png(), "larger than"),
    "nan": (nan_tiff(), "NaN"),
    "blank": (encode(Image.new("L", (9, 9), 7)), "blank"),
}
