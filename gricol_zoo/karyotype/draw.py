"""A laid-out karyogram as PNG (Pillow) or SVG (text with the pictures inside)."""

from __future__ import annotations

import base64
import io
from functools import cache
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gricol_zoo.karyotype.layout import Bar, Picture, Sheet, Text

ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # Pillow's names; s: y is the baseline, as in SVG


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def to_image(sheet: Sheet, zoom: int = 2) -> Image.Image:
    """Return the karyogram as an RGB image, ``zoom`` pixels a unit: that of the pictures, which are then not resampled."""
    image = Image.new("RGB", (round(sheet.width * zoom), round(sheet.height * zoom)), "white")
    pen = ImageDraw.Draw(image)
    for shape in sheet.shapes:
        if isinstance(shape, Text):
            place = (shape.x * zoom, shape.y * zoom)
            pen.text(place, shape.words, shape.colour, _font(shape.size * zoom), anchor=ANCHORS[shape.anchor])
        elif isinstance(shape, Bar):
            corner = ((shape.x + shape.width) * zoom - 1, (shape.y + shape.height) * zoom - 1)
            box = (shape.x * zoom, shape.y * zoom, *corner)
            pen.rectangle(box, fill=shape.fill or None, outline=shape.outline or None)
        else:
            height, width = shape.pixels.shape
            image.paste(Image.fromarray(shape.pixels), (round(shape.x * zoom - width / 2), round(shape.y * zoom) - height))
    return image


def to_png(sheet: Sheet, zoom: int = 2) -> bytes:
    """Return the karyogram as a PNG file."""
    stream = io.BytesIO()
    to_image(sheet, zoom).save(stream, "PNG")
    return stream.getvalue()


def to_svg(sheet: Sheet, zoom: int = 2) -> str:
    """Return the karyogram as an SVG file that needs no other; each chromosome's picture has the id ``chromosome-<n>``."""
    width, height = round(sheet.width), round(sheet.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    return "\n".join([*lines, *(_element(shape, zoom) for shape in sheet.shapes), "</svg>\n"])


def _element(shape: Text | Bar | Picture, zoom: int) -> str:
    if isinstance(shape, Text):
        # XML has no place for control characters, which a file's name may hold.
        words = escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shape.words))
        style = f'font-size="{shape.size}" text-anchor="{shape.anchor}" fill="{shape.colour}"'
        return f'<text x="{shape.x:g}" y="{shape.y:g}" {style}>{words}</text>'
    if isinstance(shape, Bar):
        paint = f'fill="{shape.fill or "none"}" stroke="{shape.outline or "none"}"'
        return f'<rect x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" height="{shape.height:g}" {paint}/>'
    height, width = (side / zoom for side in shape.pixels.shape)
    box = f'x="{shape.x - width / 2:g}" y="{shape.y - height:g}" width="{width:g}" height="{height:g}"'
    return f'<image id="chromosome-{shape.id}" {box} href="data:image/png;base64,{_encode(shape.pixels)}"/>'


def _encode(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
