"""Which images weights were trained on, by their pixels: ``pixels.bin``, a file beside config.json.

It has the first 8 bytes of the ``pixel_hash`` of each image that the weights, and those they started from, were trained on,
sorted and without duplicates. The hash is of pixels, so a file that was renamed or saved in another format is recognised. No
image can be reconstructed from it, but anyone who has an image can test whether it was used in training; that is its purpose.
``config.json`` has its SHA-256, under ``training.pixels``. Older weights have no such file: then nothing is known, which is
not the same as "not seen".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gricol_zoo.errors import CorruptWeightsError
from gricol_zoo.models.info import WeightsInfo

PIXELS_FILE = "pixels.bin"
WIDTH = 8  # bytes kept of a hash: two of a million images collide by chance in one of 37 million sets
KEY = "pixels"


def pack(hashes: Iterable[bytes]) -> bytes:
    """Return the file's bytes for hashes of pixels; the empty hash of an image that cannot be decoded is left out."""
    return b"".join(sorted({one[:WIDTH] for one in hashes if one}))


def unpack(data: bytes) -> frozenset[bytes]:
    """Return the hashes in a file's bytes, ``WIDTH`` bytes each."""
    return frozenset(data[start : start + WIDTH] for start in range(0, len(data), WIDTH))


def count_known(hashes: Iterable[bytes], data: bytes | None) -> int:
    """Return how many of these hashes of pixels are in a file's bytes; 0 without a file."""
    known = unpack(data or b"")
    return sum(one[:WIDTH] in known for one in hashes)


def describe(data: bytes) -> dict[str, Any]:
    """Return what config.json records about the file."""
    return {"images": len(data) // WIDTH, "sha256": hashlib.sha256(data).hexdigest()}


def read_pixels(open: Callable[[str, int, str], Path], info: WeightsInfo) -> bytes | None:
    """Return the file's bytes, for weights that record one; None if the record or the file is missing.

    Args:
        open: function from the name, size and SHA-256 of a file beside config.json to its path.
        info: info of the weights.

    Raises:
        CorruptWeightsError: it is not the file that config.json records.
        HubError: the Hub does not deliver it.
    """
    about = info.training.get(KEY)
    if about is None:
        return None
    file = open(PIXELS_FILE, about["images"] * WIDTH, about["sha256"])
    if not file.is_file():
        return None
    data = file.read_bytes()
    found = describe(data)
    if found != about or len(data) % WIDTH:
        raise CorruptWeightsError(
            f"{file} is not the file that its config describes (SHA-256 {found['sha256'][:12]}, "
            f"expected {about['sha256'][:12]}). "
            "Get it from where the weights are from, or delete it: which images they were trained on is then not known."
        )
    return data
