"""Files as a person drops them on the page."""

import io
import zipfile
import zlib

import numpy as np
from PIL import Image


def as_png(grey):
    """Return (H, W) in 0..1 as a PNG file's bytes."""
    stream = io.BytesIO()
    Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write_zip(file, members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def write_files(folder, members):
    folder.mkdir(exist_ok=True)
    for name, data in members.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in members]


def bomb(file, claimed, unpacked=2**31, name="a.png"):
    """Write a zip whose member unpacks to ``unpacked`` zeros and whose header says ``claimed`` bytes."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = pack.compress(bytes(2**24)) + pack.flush(zlib.Z_FULL_FLUSH)
    data = piece * (unpacked // 2**24) + pack.flush()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
        member = archive.getinfo(name)
        member.compress_type, member.file_size = zipfile.ZIP_DEFLATED, claimed
    return file


def encrypted(file):
    write_zip(file, {"a.png": b"x"})
    data = bytearray(file.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    file.write_bytes(data)
    return file
