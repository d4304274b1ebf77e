"""What a file is by its first bytes: those that are opened, and the names of those that are not."""

from __future__ import annotations

import struct

OPENED = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8": "JPEG", b"BM": "BMP"}  # TIFF has a reader of its own
MAGIC = {
    b"GIF8": "a GIF",
    b"8BPS": "a Photoshop",
    b"%PDF": "a PDF",
    b"%!PS": "a PostScript",
    b"\xc5\xd0\xd3\xc6": "a PostScript",
    b"\x00\x00\x01\x00": "an ICO",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL",
    b"\xff\x0a": "a JPEG XL",
    b"II\xbc": "a JPEG XR",
    b"ZISRAWFILE": "a Zeiss CZI",
    b"\xda\xce\xbe\x0a": "a Nikon ND2",
    b"\xd0\xcf\x11\xe0": "an OLE (Olympus, Word)",
    b"\x89HDF": "an HDF5",
    b"SIMPLE  =": "a FITS",
    b"\x93NUMPY": "a NumPy",
    b"PK\x03\x04": "a zip",
    b"Rar!": "a RAR",
    b"7z\xbc\xaf": "a 7z",
    b"\x1f\x8b": "a gzip",
    b"<svg": "an SVG",
    b"<?xml": "an XML",
    b"<!DOCTYPE": "an HTML",
    b"<html": "an HTML",
}
HEIF = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis"}


def opened_as(data: bytes) -> str:
    """Return the format of a file that Pillow is asked to open, "PNG", "JPEG" or "BMP"; "" of any other."""
    return next((name for magic, name in OPENED.items() if data.startswith(magic)), "")


def foreign_kind(data: bytes) -> str:
    """Return the name of a kind of file that is not opened, with its article; "" of an unknown one."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP"
    if data[4:8] == b"ftyp":
        return "an AVIF" if data[8:12] in (b"avif", b"avis") else "a HEIC" if data[8:12] in HEIF else "a video"
    if data[128:132] == b"DICM":
        return "a DICOM"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return "a PPM"
    return next((name for magic, name in MAGIC.items() if data.startswith(magic)), "")


def announced_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) as a PNG or BMP says in its header; None of any other file, or a cut one."""
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
    """Return (bits, width, height) as a JPEG's frame header says; None where there is none."""
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
