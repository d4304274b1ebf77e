"""Which images weights were trained on, by their pixels: ``pixels.bin``, which lies beside config.json.

It is the first 8 bytes of the ``pixel_hash`` of each image that the weights, and those they started from, were trained on:
sorted, each once. The hash is of pixels, so a file that was renamed or saved in another format is known again. No image can be
had back from it, but whoever holds one can test whether it was trained on; that is what it is for. ``config.json`` has its
SHA-256, under ``training.pixels``. Weights from before have none: then nothing is known, which is not the same as "not seen".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gricol_zoo.errors import CorruptWeightsError
from gricol_zoo.models.info import WeightsInfo

PIXELS_FILE = "pixels.bin"
WIDTH = 8  # bytes kept of a hash: by chance two of a million images are alike once in 37 million sets
KEY = "pixels"


def pack(hashes: Iterable[bytes]) -> bytes:
    """Return the file's bytes for hashes of pixels; an empty one, of an image that cannot be decoded, is left out."""
    return b"".join(sorted({one[:WIDTH] for one in hashes if one}))


def unpack(data: bytes) -> frozenset[bytes]:
    """Return the hashes of a file's bytes, cut to ``WIDTH``."""
    return frozenset(data[start : start + WIDTH] for start in range(0, len(data), WIDTH))


def count_known(hashes: Iterable[bytes], data: bytes | None) -> int:
    """Return how many of some hashes of pixels a file's bytes have; 0 for no file."""
    known = unpack(data or b"")
    return sum(one[:WIDTH] in known for one in hashes)


def describe(data: bytes) -> dict[str, Any]:
    """Return what config.json says of the file."""
    return {"images": len(data) // WIDTH, "sha256": hashlib.sha256(data).hexdigest()}


def read_pixels(open: Callable[[str, int, str], Path], info: WeightsInfo) -> bytes | None:
    """Return the file's bytes, for weights with a training record; None where the record or the file is not there.

    Args:
        open: the name, size and SHA-256 of a file beside config.json -> its path.
        info: of the weights.

    Raises:
        CorruptWeightsError: it is another file than config.json says.
        HubError: the Hub does not give it.
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
