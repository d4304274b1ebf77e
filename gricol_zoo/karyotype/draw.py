"""A laid-out karyogram as PNG (by Pillow) or SVG (text with embedded pictures)."""

from __future__ import annotations

import io
from functools import cache
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gricol_zoo.files import data_url
from gricol_zoo.karyotype.shapes import BLACK, DOUBTFUL_COLOUR, EDITED, GREY, PALE, SURE, Bar, Picture, Sheet, Text

ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # Pillow's names; s: y is the baseline, as in SVG
PRINT_ZOOM, DPI = 3, 300  # of the file: a row of seven classes fills the width of an A4 page
WHITE = "white"
ON_BLACK = {
    BLACK: WHITE,
    GREY: "#b0b0b0",
    PALE: "#444444",
    SURE: "#67a9cf",
    DOUBTFUL_COLOUR: "#ff6f61",
    EDITED: "#c9a0dc",
}
"""Colours of the white sheet -> those that can be read on a black one."""


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def to_image(sheet: Sheet, zoom: int = 2, bright: bool = False) -> Image.Image:
    """Return the karyogram as an RGB image, ``zoom`` pixels per unit, so that its pictures are not resampled.

    Args:
        sheet: the karyogram.
        zoom: zoom of its pictures.
        bright: bright bands on black, as a fluorescent stain appears in the microscope.
    """
    ground, colours = _paint(bright)
    image = Image.new("RGB", (round(sheet.width * zoom), round(sheet.height * zoom)), ground)
    pen = ImageDraw.Draw(image)
    for shape in sheet.shapes:
        if isinstance(shape, Text):
            place, font = (shape.x * zoom, shape.y * zoom), _font(shape.size * zoom)
            pen.text(place, shape.words, colours.get(shape.colour, shape.colour), font, anchor=ANCHORS[shape.anchor])
        elif isinstance(shape, Bar):
            left, top = shape.x * zoom, shape.y * zoom
            corner = (max(left, left + shape.width * zoom - 1), max(top, top + shape.height * zoom - 1))
            fill, outline = (colours.get(colour, colour) or None for colour in (shape.fill, shape.outline))
            pen.rectangle((left, top, *corner), fill=fill, outline=outline)
        else:
            height, width = shape.pixels.shape
            pixels = 255 - shape.pixels if bright else shape.pixels
            image.paste(Image.fromarray(pixels), (round(shape.x * zoom - width / 2), round(shape.y * zoom) - height))
    return image


def _paint(bright: bool) -> tuple[str, dict[str, str]]:
    """Return the colour of the background, and the replacements of the colours of a white sheet."""
    return (BLACK, ON_BLACK) if bright else (WHITE, {})


def to_png(sheet: Sheet, zoom: int = 2, bright: bool = False) -> bytes:
    """Return the karyogram as a PNG file to be printed at ``DPI``; arguments as for ``to_image``."""
    stream = io.BytesIO()
    to_image(sheet, zoom, bright).save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def to_svg(sheet: Sheet, zoom: int = 2, bright: bool = False) -> str:
    """Return the karyogram as a self-contained SVG file; each chromosome's picture has the id ``chromosome-<n>``."""
    width, height = round(sheet.width), round(sheet.height)
    ground, colours = _paint(bright)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="100%" height="100%" fill="{ground}"/>',
    ]
    return "\n".join([*lines, *(_element(shape, zoom, bright, colours) for shape in sheet.shapes), "</svg>\n"])


def _element(shape: Text | Bar | Picture, zoom: int, bright: bool, colours: dict[str, str]) -> str:
    if isinstance(shape, Text):
        # XML does not allow control characters, which a file's name may contain.
        words = escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shape.words))
        colour = colours.get(shape.colour, shape.colour)
        style = f'font-size="{shape.size}" text-anchor="{shape.anchor}" fill="{colour}"'
        return f'<text x="{shape.x:g}" y="{shape.y:g}" {style}>{words}</text>'
    if isinstance(shape, Bar):
        fill, outline = (colours.get(colour, colour) or "none" for colour in (shape.fill, shape.outline))
        paint = f'fill="{fill}" stroke="{outline}"'
        return f'<rect x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" height="{shape.height:g}" {paint}/>'
    height, width = (side / zoom for side in shape.pixels.shape)
    box = f'x="{shape.x - width / 2:g}" y="{shape.y - height:g}" width="{width:g}" height="{height:g}"'
    pixels = 255 - shape.pixels if bright else shape.pixels
    return f'<image id="chromosome-{shape.id}" {box} href="{data_url(_encode(pixels), "image/png")}"/>'


def _encode(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
