"""Which formats are opened, and that others are refused with the name of the format, whatever the file is called."""

import io
import re
import subprocess

import numpy as np
import pytest
from helpers import ROOT
from helpers.pictures import encode
from PIL import Image, ImageFile, PngImagePlugin

from gricol_zoo.data.images import frames, read_crop, read_grey, size_of
from gricol_zoo.data.kinds import FORMATS, SUFFIXES, foreign_kind, opened_as
from gricol_zoo.data.readers import is_image
from gricol_zoo.errors import ImageError

RAMP = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)
WRITTEN = ("GIF", "WEBP", "PPM", "ICO", "PCX", "TGA", "SGI", "JPEG2000", "DDS", "PDF", "EPS", "ICNS")


@pytest.mark.parametrize("format", WRITTEN)
def test_other_formats_are_refused_by_their_name(format, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("another program was started")

    image = Image.fromarray(RAMP).resize((64, 64)).convert("RGB" if format in ("EPS", "ICNS", "PDF") else "L")
    data = encode(image, format)
    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    for read in (read_grey, size_of, frames):
        with pytest.raises(ImageError, match=r"^is (an? [\w ]+) file; save it as PNG or TIFF$") as caught:
            read(data)
    name = re.match("is an? (.*) file", str(caught.value))[1].upper().replace(" ", "")
    assert {"EPS": "POSTSCRIPT"}.get(format, format) == name


def test_pillow_is_never_left_to_choose():
    for file in (ROOT / "gricol_zoo").rglob("*.py"):
        for call in re.findall(r"Image\.open\(.*", file.read_text()):
            assert "formats=" in call, f"{file}: {call}"


@pytest.mark.parametrize("format", [one for one in FORMATS if one.starts], ids=lambda one: one.name)
def test_the_table_says_what_a_file_is(format):
    for start in format.starts:
        data = start + bytes(200)
        if format.read:
            assert foreign_kind(data) == ""
            assert opened_as(data) == format.name.split()[1] or "TIFF" in format.name
        else:
            assert foreign_kind(data) == format.name


def test_no_suffix_stands_for_two_formats():
    every = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len(every) == len(set(every))
    assert set(SUFFIXES) == {suffix for one in FORMATS if one.read for suffix in one.suffixes}


@pytest.mark.parametrize(
    ("suffix", "format"), [("jfif", "JPEG"), ("jpe", "JPEG"), ("dib", "DIB"), ("btf", "TIFF"), ("TIF", "TIFF")]
)
def test_less_common_suffixes_are_read(suffix, format, tmp_path):
    file = tmp_path / f"a.{suffix}"
    file.write_bytes(encode(Image.fromarray(RAMP), "BMP" if format == "DIB" else format))
    assert is_image(file)
    assert file.name.lower().endswith(SUFFIXES)
    assert np.abs(read_grey(file.read_bytes()) - RAMP / 255).max() < 0.1


def test_a_file_without_a_suffix_is_known_by_its_first_bytes(tmp_path):
    (tmp_path / "scan").write_bytes(encode(Image.fromarray(RAMP)))
    (tmp_path / "words").write_bytes(b"words")
    assert is_image(tmp_path / "scan")
    assert not is_image(tmp_path / "words")


@pytest.mark.parametrize("where", ["before the pixels", "after the pixels", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_followed_wherever_it_stands(where, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    shown = np.repeat(np.repeat(RAMP, 8, 0), 8, 1)
    back = {1: (), 2: (0,), 3: (3,), 4: (1,), 5: (5,), 6: (2,), 7: (6,), 8: (4,)}[orientation]
    stored = Image.fromarray(shown)
    for step in back:
        stored = stored.transpose(Image.Transpose(step))
    if where == "after the pixels":
        plain = encode(stored)
        end = plain.index(b"IEND") - 4
        extra = io.BytesIO()
        PngImagePlugin.putchunk(extra, b"eXIf", exif.tobytes()[6:])
        data = plain[:end] + extra.getvalue() + plain[end:]
    else:
        data = encode(stored, where if where.isupper() else "PNG", exif=exif)
    assert np.abs(read_crop(data).grey - shown / 255).mean() < 0.02
