"""Make pixels.bin, the hashes of the training images, for weights that were trained before `train` wrote it.

    python -m benchmarks.make.training_pixels NAME.TAG ... --data FOLDER

The train part of the recorded split is hashed, after checking that its number of images and its data hash are those of the
training record. The training images of the weights that these started from are checked and added in the same way. Writes
pixels.bin beside config.json, and its hash into config.json; the weights are not changed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.common.sets import open_part
from benchmarks.common.weights import HUB
from benchmarks.make.train_weights import STARTS
from gricol_zoo.data.crops import read_once
from gricol_zoo.files import write_atomically, write_json
from gricol_zoo.weights.config import CONFIG_FILE
from gricol_zoo.weights.pixels import KEY, PIXELS_FILE, describe, pack, unpack


def folder_of(sha256: str) -> Path:
    """Return the folder of staged weights, or of a start, by the hash of their file.

    Raises:
        SystemExit: no folder has weights with this hash.
    """
    for config in sorted([*HUB.glob(f"*/{CONFIG_FILE}"), *STARTS.glob(f"*/{CONFIG_FILE}")]):
        if json.loads(config.read_text(encoding="utf-8"))["gricol_zoo"]["sha256"] == sha256:
            return config.parent
    raise SystemExit(
        f"No weights in {HUB} or {STARTS} have the SHA-256 {sha256[:12]}, so what they were trained on is not known."
    )


def record_of(folder: Path) -> dict[str, Any]:
    """Return the training record of a folder."""
    return dict(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["gricol_zoo"]["training"])


def pixels_of(folder: Path, data: Path) -> bytes:
    """Return the bytes of pixels.bin for a folder's weights, from the images themselves.

    Raises:
        SystemExit: the images here are not those of the record, or the weights it started from are not here.
    """
    record = record_of(folder)
    images = read_once(open_part(record["data"], data, "train"))
    found, wanted = (len(images), images.sha256()), (record["images"], record["data_sha256"])
    if found != wanted:
        raise SystemExit(
            f"{folder.name} was trained on {wanted[0]} images ({wanted[1][:12]}), but here are {found[0]} ({found[1][:12]})."
        )
    own = [images.pixel_hash(one) for one in images.records]
    start = record["init_sha256"]
    return pack([*own, *(unpack(pixels_of(folder_of(start), data)) if start else ())])


def write(folder: Path, pixels: bytes) -> None:
    """Write pixels.bin and its entry in config.json; links in the folder are followed, not replaced."""
    config = (folder / CONFIG_FILE).resolve()
    content = json.loads(config.read_text(encoding="utf-8"))
    content["gricol_zoo"]["training"][KEY] = describe(pixels)
    write_atomically(config.parent / PIXELS_FILE, pixels)
    write_json(config, content)
    if config.parent != folder.resolve() and not (folder / PIXELS_FILE).is_symlink():
        target = Path((folder / CONFIG_FILE).readlink()).with_name(PIXELS_FILE)
        (folder / PIXELS_FILE).symlink_to(target)


def main() -> None:
    """Write pixels.bin for the named weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="staged weights")
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    options = parser.parse_args()
    for name in options.names:
        pixels = pixels_of(HUB / name, options.data)
        write(HUB / name, pixels)
        print(f"{name}: {describe(pixels)['images']} distinct images, {len(pixels)} bytes")


if __name__ == "__main__":
    main()
