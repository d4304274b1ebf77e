"""Recognise the format of a file by its first bytes: the formats that are read, and the names of those that are not."""

from __future__ import annotations

import struct
from typing import NamedTuple


class Format(NamedTuple):
    """A file format.

    Attributes:
        name: its name with an article.
        suffixes: usual suffixes of such files.
        starts: first bytes of such files; empty if ``foreign_kind`` recognises the format in another way.
        read: whether such files are read; the others are rejected with a message that names the format.
    """

    name: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...] = ()
    read: bool = False


FORMATS = (
    Format("a PNG", (".png",), (b"\x89PNG\r\n\x1a\n",), True),
    Format("a TIFF", (".tif", ".tiff", ".btf", ".tf8"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), True),
    Format("a BMP", (".bmp", ".dib"), (b"BM",), True),
    Format("a JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"), (b"\xff\xd8",), True),
    Format("a GIF", (".gif",), (b"GIF8",)),
    Format("a WebP", (".webp",)),
    Format("a HEIC", (".heic", ".heif")),
    Format("an AVIF", (".avif",)),
    Format("a JPEG 2000", (".jp2", ".j2k", ".jpx"), (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")),
    Format("a JPEG XL", (".jxl",), (b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")),
    Format("a JPEG XR", (".jxr", ".wdp"), (b"II\xbc",)),
    Format("a PPM", (".ppm", ".pgm", ".pbm", ".pnm", ".pam")),
    Format("an ICO", (".ico", ".cur"), (b"\x00\x00\x01\x00", b"\x00\x00\x02\x00\x01")),
    Format("an ICNS", (".icns",), (b"icns",)),
    Format("a PCX", (".pcx",), tuple(bytes((10, version, 1)) for version in (0, 2, 3, 4, 5))),
    Format("a TGA", (".tga",)),
    Format("an SGI", (".sgi", ".rgb"), (b"\x01\xda",)),
    Format("a Sun raster", (".ras",), (b"\x59\xa6\x6a\x95",)),
    Format("a DDS", (".dds",), (b"DDS ",)),
    Format("an OpenEXR", (".exr",), (b"\x76\x2f\x31\x01",)),
    Format("a Photoshop", (".psd",), (b"8BPS",)),
    Format("a PostScript", (".eps", ".ps"), (b"%!PS", b"\xc5\xd0\xd3\xc6")),
    Format("a PDF", (".pdf",), (b"%PDF",)),
    Format("a Windows metafile", (".wmf", ".emf"), (b"\xd7\xcd\xc6\x9a", b"\x01\x00\x00\x00\x6c\x00\x00\x00")),
    Format("an SVG", (".svg",), (b"<svg",)),
    Format("a DICOM", (".dcm",)),
    Format("a FITS", (".fits", ".fit"), (b"SIMPLE  =",)),
    Format("a Zeiss CZI", (".czi",), (b"ZISRAWFILE",)),
    Format("a Nikon ND2", (".nd2",), (b"\xda\xce\xbe\x0a",)),
    Format("an OLE (Olympus, Word)", (".oib", ".doc"), (b"\xd0\xcf\x11\xe0",)),
    Format("an HDF5", (".h5", ".ims"), (b"\x89HDF",)),
    Format("a NumPy", (".npy",), (b"\x93NUMPY",)),
    Format("a zip", (".zip",), (b"PK\x03\x04",)),
    Format("a RAR", (".rar",), (b"Rar!",)),
    Format("a 7z", (".7z",), (b"7z\xbc\xaf",)),
    Format("a gzip", (".gz",), (b"\x1f\x8b",)),
    Format("an XML", (".xml",), (b"<?xml",)),
    Format("an HTML", (".html",), (b"<!DOCTYPE", b"<html")),
    Format("a video", (".mp4", ".mov")),
)
"""All known formats, recognised by their first bytes, not by the file name; those that are read come first."""
READ = tuple(one.name.split()[1] for one in FORMATS if one.read)
TYPES = f"{', '.join(READ[:-1])} or {READ[-1]}"
"""The formats that are read, as text."""
SUFFIXES = tuple(suffix for one in FORMATS if one.read for suffix in one.suffixes)
"""Suffixes of the files in a folder or zip that are taken for images."""
COMPRESSED = (".zip", ".rar", ".7z", ".gz")
COMPANIONS = (
    *(".csv", ".tsv", ".txt", ".json", ".md", ".xml", ".yaml", ".yml", ".ini", ".log", ".html", ".xlsx", ".xls", ".ods"),
    *(".py", ".sh", "license", "readme", "thumbs.db", "icon\r"),
)
"""Suffixes and names of files next to images that are skipped without a message."""
IMAGE_SUFFIXES = tuple(
    suffix for one in FORMATS for suffix in one.suffixes if suffix not in (*COMPANIONS, *COMPRESSED, ".pdf", ".doc")
)
"""Suffixes by which a single file is taken for an image, of formats that are read or rejected."""
OPENED = {start: one.name.split()[1] for one in FORMATS if one.read for start in one.starts if "TIFF" not in one.name}
HEIF = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis"}


def opened_as(data: bytes) -> str:
    """Return the format of a file for Pillow, "PNG", "JPEG" or "BMP"; "" for any other (TIFF has its own reader)."""
    return next((name for magic, name in OPENED.items() if data.startswith(magic)), "")


def foreign_kind(data: bytes) -> str:
    """Return the name, with an article, of a known format that is not read; "" for any other file."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP"
    if data[4:8] == b"ftyp":
        return "an AVIF" if data[8:12] in (b"avif", b"avis") else "a HEIC" if data[8:12] in HEIF else "a video"
    if data[128:132] == b"DICM":
        return "a DICOM"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a PPM"
    if data[-18:-2] == b"TRUEVISION-XFILE":
        return "a TGA"
    return next((one.name for one in FORMATS if not one.read and one.starts and data.startswith(one.starts)), "")


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the header of a PNG or BMP; None for any other or a truncated file."""
    try:
        if opened_as(data) == "PNG":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if opened_as(data) == "BMP":
            width, height = struct.unpack_from("<HH" if data[14:18] == b"\x0c\0\0\0" else "<ii", data, 18)
            return abs(width), abs(height)
    except struct.error:
        pass
    return None


def jpeg_frame(data: bytes) -> tuple[int, int, int] | None:
    """Return (bits, width, height) from the frame header of a JPEG; None if there is none."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker in (0, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width = struct.unpack_from(">BHH", data, at + 4)
            return bits, width, height
        if marker in (0xD9, 0xDA):
            return None
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None
