"""Small pictures of karyograms."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from gricol_zoo.errors import GricolZooError

MAX_PIXELS = 100_000_000  # of a karyogram; a usual one has about five million


def open_karyogram(data: bytes, where: str) -> Image.Image:
    """Return a karyogram's PNG as an RGB image.

    Args:
        data: content of the file.
        where: what to call it in messages.

    Raises:
        GricolZooError: not a PNG, damaged, or larger than any karyogram.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=["PNG"])
        if image.width * image.height > MAX_PIXELS:
            raise GricolZooError(f"{where} has {image.width}x{image.height} pixels, which no karyogram has. Draw it again.")
        return image.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise GricolZooError(f"{where} is not a valid PNG: {error}. Draw it again with `gricol-zoo karyotype`.") from error


def shrink(image: Image.Image, width: int) -> Image.Image:
    """Return an image that is at most ``width`` pixels wide."""
    if image.width <= width:
        return image
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)


def to_small_png(image: Image.Image, width: int, colours: int = 64) -> bytes:
    """Return an image as a PNG of at most ``width`` pixels, with few colours: a karyogram has grey and four others."""
    stream = io.BytesIO()
    few = shrink(image, width).quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(stream, "PNG", optimize=True)
    return stream.getvalue()
