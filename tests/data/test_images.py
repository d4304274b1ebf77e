"""Reading image files: every kind that a lab may have, by the rules stated in gricol_zoo.data.images."""

import contextlib
import time
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from helpers.pictures import blob, byte_difference, encode, lzw, packbits, png, tiff
from PIL import Image, ImageOps

from gricol_zoo import GricolZooError
from gricol_zoo.data import decode
from gricol_zoo.data.images import frames, read_crop, read_grey, size_of
from gricol_zoo.errors import ImageError

H, W = 21, 13
RANDOM = np.random.default_rng(0)
RAMP = np.linspace(0, 1, H * W).reshape(H, W)
GREY = RANDOM.integers(0, 256, (H, W), np.uint8)
RGB = RANDOM.integers(0, 256, (H, W, 3), np.uint8)
DEEP = RANDOM.integers(0, 65536, (H, W), np.uint16)
LUMA = RGB.astype(float) @ [0.299, 0.587, 0.114] / 255


def same(data, expected, atol=1e-6, notes=0):
    crop = read_crop(data)
    assert crop.grey.dtype == np.float32
    np.testing.assert_allclose(crop.grey, expected, atol=atol)
    assert len(crop.notes) == notes, crop.notes


def levels(top, dtype=np.uint16):
    return np.rint(RAMP * top).astype(dtype)


WHITES = [(200, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4095, 4095), (16383, 16383), (16384, 65535)]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("top", "white"), WHITES)
def test_the_white_of_integers_is_the_smallest_camera_depth_that_holds_them(top, white, format):
    same(encode(Image.fromarray(levels(top)), format), levels(top) / white)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_8_bits_are_always_divided_by_255(format):
    same(encode(Image.fromarray(levels(100, np.uint8)), format), levels(100, np.uint8) / 255)


@pytest.mark.parametrize("dtype", ["u4", "i4", "u8", "i8"])
@pytest.mark.parametrize(("top", "white"), [(250, 255), (4000, 4095), (60_000, 65535), (2**31 - 1, 2**32 - 1)])
def test_32_and_64_bit_integers(dtype, top, white):
    same(tiff(levels(top, dtype)), levels(top, dtype) / white)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_negative_integers_are_scaled_by_their_own_range(dtype, order):
    same(tiff(levels(120, dtype) - 20, order), levels(120, float) / 120, notes=1)
    assert "range from -20 to 100 and were scaled by that range" in read_crop(tiff(levels(120, dtype) - 20)).notes[0]


FLOATS = {
    "0..1 stays": (RAMP, RAMP, 0),
    "0..0.3 stays": (RAMP * 0.3, RAMP * 0.3, 0),
    "0..255": (RAMP * 255, RAMP, 0),
    "0..80": (RAMP * 80, RAMP * 80 / 255, 0),
    "overshoot above": (RAMP * 1.02, RAMP, 1),
    "overshoot below": (RAMP * 1.1 - 0.1, RAMP, 1),
    "a camera with an offset": (200 + RAMP * 3895, RAMP, 1),
    "negative": (RAMP * -7, 1 - RAMP, 1),
}


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("name", FLOATS)
def test_floats(name, dtype):
    values, expected, notes = FLOATS[name]
    same(tiff(values.astype(dtype)), expected, atol=2e-3 if dtype == "f2" else 1e-6, notes=notes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_refused(value):
    values = RAMP.astype(np.float32)
    values[3, 3] = value
    with pytest.raises(ImageError, match="NaN or infinite"):
        read_grey(tiff(values))


def test_doubles_too_far_apart_are_refused():
    with pytest.raises(ImageError, match="too far apart"):
        read_grey(tiff((RAMP * 2 - 1) * 1.7e308))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_1_bit(format):
    same(encode(Image.fromarray(GREY > 99), format), GREY > 99)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_colour_becomes_luma(format):
    same(encode(Image.fromarray(RGB), format), LUMA, atol=0.51 / 255)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("colours", [2, 16, 200])
def test_palette_becomes_luma(format, colours):
    image = Image.fromarray(RGB).quantize(colours)
    luma = np.asarray(image.convert("RGB")).astype(float) @ [0.299, 0.587, 0.114] / 255
    same(encode(image, format), luma, atol=0.51 / 255)


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_cmyk(format):
    inks = np.dstack([RGB * 0, GREY]) if format == "TIFF" else np.dstack([RGB * 0, np.full_like(GREY, 60)])
    inks[0, 0, 3] = 0
    expected = 1 - inks[..., 3] / 255
    same(encode(Image.fromarray(inks, "CMYK"), format), expected, atol=0.01 if format == "TIFF" else 0.25)


def test_cielab_is_its_lightness():
    same(encode(Image.fromarray(RGB, "LAB"), "TIFF"), RGB[..., 0] / 255)


def test_ycbcr_is_its_lightness():
    same(encode(Image.fromarray(RGB, "YCbCr"), "TIFF"), RGB[..., 0] / 255)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("top", "white"), [(60_000, 65535), (4000, 4095)])
def test_16_bit_colour_keeps_its_lower_bytes(top, white, order):
    deep = (DEEP[..., None] * [1, 1, 1] * (top / 65535)).astype(np.uint16)
    same(tiff(deep, order), deep[..., 0] / white)
    same(png(deep, 2), deep[..., 0] / white)
    same(png(np.dstack([deep, np.full_like(DEEP, 65535)]), 6), deep[..., 0] / white)
    same(png(np.dstack([deep[..., :1], np.full_like(DEEP, 65535)]), 4), deep[..., 0] / white)


def turned(array, orientation):
    """Return the pixels as a file with this EXIF orientation stores them (by Pillow's own rules), and the orientation."""
    exif = Image.Exif()
    exif[274] = {6: 8, 8: 6}.get(orientation, orientation)
    image = Image.fromarray(array)
    image.info["exif"] = exif.tobytes()
    image._exif = exif
    return np.asarray(ImageOps.exif_transpose(image)), orientation


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(format, orientation):
    shown = np.zeros((H, W), np.uint8)
    shown[:4] = 200
    shown[:, :5] += 50
    stored, _ = turned(shown, orientation)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"quality": 100} if format == "JPEG" else {}
    same(encode(Image.fromarray(stored), format, exif=exif, **options), shown / 255, atol=0.05)
    if format == "TIFF":
        same(tiff(stored, t274=orientation), shown / 255)
        same(encode(Image.fromarray(stored), format, exif=exif, compression="jpeg", quality=100), shown / 255, atol=0.05)


@pytest.mark.parametrize("block", [b"", b"Exif", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 40])
def test_damaged_exif_is_passed_over(block):
    same(encode(Image.fromarray(GREY), "PNG", exif=block), GREY / 255)


def rgba(grey, alpha):
    return np.dstack([grey, grey, grey, alpha])


def cut_outs(light, hidden):
    """Files of one cut-out blob, in every way that a file can mark transparency; ``hidden`` is the grey below it."""
    grey, there = blob(light)
    grey, alpha = np.where(there, grey, hidden).astype(np.uint8), (there * 255).astype(np.uint8)
    deep, deep_alpha = grey.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257
    odd = np.where(there, grey | 1, 6).astype(np.uint16)  # 6 is in no pixel of the blob, so that it can be the transparent one
    yield "RGBA", encode(Image.fromarray(rgba(grey, alpha))), 0
    yield "LA", encode(Image.fromarray(np.dstack([grey, alpha]), "LA")), 0
    yield "TIFF", encode(Image.fromarray(rgba(grey, alpha)), "TIFF"), 0
    yield "TIFF, LA", encode(Image.fromarray(np.dstack([grey, alpha]), "LA"), "TIFF"), 0
    yield "TIFF, premultiplied", tiff(rgba(grey * there, alpha), t338=1), 0
    yield "TIFF, 16 bits", tiff(np.dstack([deep, deep_alpha]), t338=2), 0
    yield "TIFF, 12 bits", tiff(np.dstack([deep >> 4, deep_alpha >> 4]), t338=2), 1
    yield "TIFF, floats", tiff(np.dstack([np.where(there, grey / 255, np.nan), there]).astype("f4"), t338=2), 0
    yield "PNG, 16-bit LA", png(np.dstack([deep, deep_alpha]), 4), 0
    yield "PNG, 16-bit RGBA", png(rgba(deep, deep_alpha), 6), 0
    yield "tRNS of grey", png(odd.astype(np.uint8), 0, chunks=[(b"tRNS", b"\0\6")]), 1
    yield "tRNS of 16 bits", png(odd * 257, 0, chunks=[(b"tRNS", b"\6\6")]), 1
    yield "tRNS of RGB", png(np.dstack([odd] * 3).astype(np.uint8), 2, chunks=[(b"tRNS", b"\0\6" * 3)]), 1
    yield "tRNS of 16-bit RGB", png(np.dstack([odd * 257] * 3), 2, chunks=[(b"tRNS", b"\6\6" * 3)]), 1
    table = bytes(k for level in range(256) for k in (level, level, level))
    palette = [(b"PLTE", table[:18] + bytes([hidden % 256] * 3) + table[21:])]
    opacities = [*palette, (b"tRNS", b"\xff" * 6 + b"\0" + b"\xfe" * 249)]
    yield "palette of many opacities", png(odd.astype(np.uint8), 3, chunks=opacities), 2
    yield "palette", png(odd.astype(np.uint8), 3, chunks=[*palette, (b"tRNS", b"\xff" * 6 + b"\0")]), 1


@pytest.mark.parametrize("light", [True, False])
def test_what_is_transparent_is_the_ground_beyond_the_rim(light):
    grey, there = blob(light)
    expected = grey / 255
    extreme = expected[there].max() if light else expected[there].min()
    for hidden in (0, 255, 128):
        for name, data, steps in cut_outs(light, hidden):
            crop = read_crop(data)
            np.testing.assert_allclose(crop.grey[there], expected[there], atol=(steps + 0.51) / 255, err_msg=name)
            ground = np.unique(crop.grey[~there])
            assert len(ground) == 1, name
            assert 0.01 < (ground[0] - extreme) * (1 if light else -1) < 0.2, (name, ground, extreme)
            assert crop.notes == (f"transparent pixels were taken as a {'light' if light else 'dark'} background",), name


@pytest.mark.parametrize("light", [True, False])
def test_what_lies_below_the_transparency_does_not_matter(light):
    for files in zip(*(list(cut_outs(light, hidden)) for hidden in (0, 77, 255)), strict=True):
        first, *others = [read_grey(data) for _, data, _ in files]
        assert all((first == other).all() for other in others), files[0][0]


def test_the_ground_can_be_said():
    grey, there = blob(light=True)
    data = encode(Image.fromarray(rgba(grey, (there * 255).astype(np.uint8))))
    assert read_crop(data, "dark").grey[0, 0] == pytest.approx(grey[there].min() / 255)
    assert read_crop(data, "light").grey[0, 0] > grey[there].max() / 255
    assert "a dark background" in read_crop(data, "dark").notes[0]
    with pytest.raises(GricolZooError, match="one of auto, light, dark"):
        read_crop(data, "grey")


@pytest.mark.parametrize("light", [True, False])
def test_partly_transparent_pixels_are_blended(light):
    grey, there = blob(light)
    alpha = (there * 255).astype(np.uint8)
    edge = there & ~np.roll(there, 1, axis=0)
    alpha[edge] = 180
    crop = read_grey(encode(Image.fromarray(rgba(grey, alpha))))
    ground = crop[0, 0]
    expected = grey[edge] / 255 * (180 / 255) + ground * (1 - 180 / 255)
    np.testing.assert_allclose(crop[edge], expected, atol=1e-5)


@pytest.mark.parametrize("light", [True, False])
def test_premultiplied_colours_are_divided_by_their_opacity(light):
    grey, there = blob(light)
    alpha = np.where(there, np.where(np.arange(len(grey))[:, None] % 2, 255, 190), 0)
    deep = grey.astype(float) * 257 * (alpha / 255)
    times = tiff(np.dstack([np.rint(deep), alpha * 257]).astype(np.uint16), t338=1)
    plain = tiff(np.dstack([grey * 257.0, alpha * 257]).astype(np.uint16), t338=2)
    np.testing.assert_allclose(read_grey(times), read_grey(plain), atol=1e-4)


@pytest.mark.parametrize("opacity", [255, 120, 3])
def test_equal_opacity_all_over_changes_nothing(opacity):
    same(encode(Image.fromarray(rgba(GREY, np.full_like(GREY, opacity)))), GREY / 255)


@pytest.mark.parametrize("maximum", [0, 100])
def test_nothing_opaque_is_blank(maximum):
    alpha = np.where(RAMP > 0.5, maximum, 0).astype(np.uint8)
    with pytest.raises(ImageError, match="blank: every pixel is transparent"):
        read_grey(encode(Image.fromarray(rgba(GREY, alpha))))


@pytest.mark.parametrize("light", [True, False])
def test_painted_ground_is_replaced_on_request(light):
    grey, there = blob(light)
    grey[15, 11] = 0 if light else 255  # the grey of the paint, but inside the chromosome
    data = encode(Image.fromarray(np.where(there, grey, 0 if light else 255).astype(np.uint8)))
    side, other = ("light", "dark") if light else ("dark", "light")
    crop = read_crop(data, side)
    assert "uniform grey" in crop.notes[0]
    np.testing.assert_allclose(crop.grey[there], grey[there] / 255, atol=1e-6)
    assert (crop.grey[0, 0] - grey[there][5] / 255) * (1 if light else -1) > 0
    for ground in ("auto", other):
        untouched = read_crop(data, ground)
        assert (untouched.grey[0, 0], untouched.notes) == (0 if light else 1, ())


def test_a_ground_that_is_not_flat_or_not_at_the_border_is_left_alone():
    grey, there = blob(light=True)
    noisy = np.where(there, grey, RANDOM.integers(0, 4, grey.shape)).astype(np.uint8)
    assert not read_crop(encode(Image.fromarray(noisy)), "light").notes
    hole = np.where(there, np.uint8(0), grey)
    assert not read_crop(encode(Image.fromarray(hole)), "light").notes


def test_pages_beyond_the_first_are_counted_and_said():
    pages = [Image.fromarray(RANDOM.integers(0, 256, (H, W), np.uint8)) for _ in range(46)]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    crop = read_crop(data)
    np.testing.assert_array_equal(crop.grey, np.asarray(pages[0]).astype(np.float32) / 255)
    assert crop.notes == ("only the first of 46 pages was used",)
    assert frames(data) == 46
    assert frames(encode(pages[0])) == frames(tiff(GREY)) == 1
    assert frames(encode(pages[0], "PNG", save_all=True, append_images=pages[1:3])) == 3


def test_an_empty_first_channel_says_that_there_are_others():
    empty = Image.new("L", (W, H))
    data = encode(empty, "TIFF", save_all=True, append_images=[empty, Image.fromarray(GREY)])
    with pytest.raises(ImageError, match="pixel of the first page has the same value; the other pages were not used"):
        read_grey(data)


def test_pages_of_any_byte_order_are_counted_and_a_ring_of_them_ends():
    for order in "<>":
        for big in (False, True):
            assert frames(tiff(GREY, order, big, pages=3)) == 3
    data = bytearray(tiff(GREY, pages=2))
    data[-4:] = data[4:8]  # the last page leads back to the first
    assert frames(bytes(data)) <= 3
    assert frames(tiff(GREY, pages=3, t254=1)) == 1  # reduced copies


def two_halves(offsets):
    return [offsets[0], offsets[0] + H // 2 * W]


STRIPS = {
    "a second one that is empty, at the end of the pixels": {"t273": lambda o: [*o, 8 + H * W], "t279": lambda c: [*c, 0]},
    "a second one of the same length": {"t273": lambda o: [*o, 8 + H * W], "t279": lambda c: [*c, *c]},
    "a second one beyond the end": {"t273": lambda o: [*o, 10**9], "t279": lambda c: [*c, 5]},
    "ten too many": {"t273": lambda o: [*o, *o * 10], "t279": lambda c: [*c, *c * 10]},
    "a count larger than the file": {"t279": [10**9]},
    "a count of zero": {"t279": [0]},
    "a count too small": {"t279": [7]},
    "no counts": {"t279": None},
    "no rows per strip": {"t278": None},
    "endless rows per strip": {"t278": 2**32 - 1},
    "no rows in a strip": {"t278": 0},
    "one row in the only strip": {"t278": 1},
    "two strips that each claim all rows": {"t273": two_halves, "t279": [H // 2 * W, (H - H // 2) * W]},
    "more offsets than counts": {"t273": lambda o: [*o, *o]},
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", STRIPS)
def test_strip_lists_that_break_the_rules(name, order):
    same(tiff(GREY, order, **STRIPS[name]), GREY / 255)


@pytest.mark.parametrize("rows", [1, 4, 20])
@pytest.mark.parametrize("compress", [5, 8, 32773])
def test_surplus_strips_of_packed_pixels(rows, compress):
    pack = {5: lzw, 8: zlib.compress, 32773: packbits}[compress]
    surplus = {"t273": lambda offsets: [*offsets, *offsets[:2]], "t279": lambda counts: [*counts, 0, 3]}
    for values in (GREY, GREY // 100):  # without runs of one value, and with
        same(tiff(values, compress=pack, rows=rows, t259=compress, **surplus), values / 255)


def test_packed_strips_without_their_rows():
    same(tiff(GREY, compress=zlib.compress, rows=5, t259=8, t278=None), GREY / 255)


def test_strips_that_lie_apart_without_their_rows():
    counts = {"t279": lambda counts: [count - 3 for count in counts]}
    same(tiff(GREY, rows=5, compress=lambda data: data + b"gap", t278=None, **counts), GREY / 255)
    same(tiff(GREY, rows=5, t278=0), GREY / 255)
    same(tiff(RGB, planar=True, t278=0), LUMA, atol=0.51 / 255)


def difference(dtype, line):
    """Return a function that packs by TIFF's predictor 2, for strips of whole rows."""

    def pack(data):
        values = np.frombuffer(data, dtype).reshape(-1, *line)
        return zlib.compress(np.concatenate([values[:, :1], np.diff(values, axis=1)], 1).astype(dtype).tobytes())

    return pack


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("shape", [{}, {"rows": 4}, {"tile": (16, 16)}])
def test_tiffs_of_every_layout(order, big, shape):
    deep = np.dstack([DEEP, 65535 - DEEP, DEEP // 2])
    luma = (deep.astype(float) @ [0.299, 0.587, 0.114]) / 65535
    same(tiff(DEEP, order, big, **shape), DEEP / 65535)
    same(tiff(deep, order, big, planar=True, **shape), luma, atol=1e-5)
    same(tiff(DEEP, order, big, compress=lzw, t259=5, **shape), DEEP / 65535)
    same(tiff(deep, order, big, compress=zlib.compress, t259=8, **shape), luma, atol=1e-5)
    if "tile" not in shape:
        same(tiff(DEEP, order, big, compress=difference(order + "u2", (W,)), t259=8, t317=2, **shape), DEEP / 65535)
        same(tiff(deep, order, big, compress=difference(order + "u2", (W, 3)), t259=8, t317=2, **shape), luma, atol=1e-5)


@pytest.mark.parametrize("rows", [None, 4])
def test_floating_point_predictor(rows):
    same(tiff(RAMP.astype("<f4"), rows=rows, compress=byte_difference(W), t259=8, t317=3), RAMP)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_camera_depths(bits):
    values = levels((1 << bits) - 1)
    lines = ((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(H, -1).astype(np.uint8)
    packed = np.packbits(lines, axis=1)
    same(tiff(packed, t256=W, t258=bits), values / ((1 << bits) - 1))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white", [0, 1])
def test_few_bits(bits, white):
    values = (GREY % (1 << bits)).astype(np.uint8)
    lines = ((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(H, -1).astype(np.uint8)
    packed = np.packbits(lines, axis=1)
    expected = values / ((1 << bits) - 1)
    same(tiff(packed, t256=W, t258=bits, t262=1 - white), 1 - expected if white else expected)
    same(png(packed, 0, bits, width=W), expected)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_transparent_grey_of_few_bits(bits):
    values = np.full((H, 16), (1 << bits) - 2, np.uint8)
    values[5:9, 4:8] = (1 << bits) - 1  # transparent
    values[:3] = 0
    lines = ((values[..., None] >> np.arange(bits)[::-1]) & 1).reshape(H, -1).astype(np.uint8)
    data = png(np.packbits(lines, axis=1), 0, bits, [(b"tRNS", bytes([0, (1 << bits) - 1]))], width=16)
    if bits == 1:  # nothing is left but one grey
        with pytest.raises(ImageError, match="blank"):
            read_crop(data)
        return
    crop = read_crop(data)
    assert "transparent" in crop.notes[0]
    np.testing.assert_allclose(crop.grey[9:], values[9:] / ((1 << bits) - 1), atol=1e-6)


@pytest.mark.parametrize(("values", "white"), [(GREY, 255), (DEEP, 65535), (DEEP >> 4, 4095), (RAMP.astype("f4"), 1)])
def test_white_is_zero(values, white):
    same(tiff(values, t262=0), 1 - values / white)
    if white == 255:  # to the bit, as Pillow inverts
        np.testing.assert_array_equal(read_grey(tiff(values, t262=0)), (255 - values).astype(np.float32) / 255)


def test_channels_beyond_the_first_are_said():
    assert read_crop(tiff(np.dstack([GREY, GREY * 0]))).notes == ("only the first of 2 channels was used",)


def test_fill_order():
    bits = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)
    same(tiff(bits[GREY], t266=2), GREY / 255)


REFUSED = {
    "complex": (
        tiff(RAMP.astype("f4"), t339=6),
        r"TIFF with 1 32-bit complex sample per pixel, which is not supported; save it as",
    ),
    "24-bit float": (tiff(GREY, t258=24, t339=3), "TIFF with 1 24-bit float sample"),
    "JPEG 2000 in TIFF": (tiff(GREY, t259=34712), "compressed with JPEG 2000"),
    "an unknown compression": (tiff(GREY, t259=999), "compressed with method 999"),
    "colours of a camera": (tiff(GREY, t262=32803), "the colours 32803"),
    "subsampled YCbCr": (tiff(RGB, t262=6), "subsampled YCbCr"),
    "mixed depths": (tiff(RGB, t258=[5, 6, 5]), "differ in depth"),
    "GIF": (encode(Image.fromarray(GREY), "GIF"), "is a GIF file; save it as PNG or TIFF"),
    "PPM": (encode(Image.fromarray(GREY), "PPM"), "is a PPM"),
    "ICO": (encode(Image.fromarray(GREY), "ICO"), "is an ICO"),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 99, "is a WebP"),
    "HEIC": (b"\0\0\0\x18ftypheic" + b"\0" * 99, "is a HEIC"),
    "DICOM": (b"\0" * 128 + b"DICM" + b"\0" * 99, "is a DICOM"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a PostScript"),
    "PDF": (b"%PDF-1.7\n", "is a PDF"),
    "Photoshop": (b"8BPS\0\1" + b"\0" * 99, "is a Photoshop"),
    "CZI": (b"ZISRAWFILE" + b"\0" * 99, "is a Zeiss CZI"),
    "ND2": (b"\xda\xce\xbe\x0a" + b"\0" * 99, "is a Nikon ND2"),
    "text": (b"hello", "not a readable image"),
    "empty": (b"", "empty"),
    "a TIFF's head alone": (tiff(GREY)[:8], "truncated"),
    "half of a TIFF": (tiff(GREY)[:99], "truncated"),
    "a TIFF without its last rows": (tiff(GREY, t257=H + 30), r"\d+ of 51 rows"),
    "a TIFF without pixels": (tiff(GREY, t273=None), "no pixel data"),
    "a TIFF without a size": (tiff(GREY, t256=None), "no width"),
    "a huge TIFF": (tiff(GREY, t256=60_000, t257=60_000), "60000x60000 px is larger than"),
    "a deep and wide TIFF": (tiff(np.dstack([RAMP] * 3), t256=4096, t257=4096), "unpacks to more than"),
    "a bomb of a PNG": (png(GREY[..., None], 0, width=2**20), "1048576x21 px is larger than"),
    "a bomb of a TIFF": (tiff(GREY, t256=4096, t257=4097), "larger than"),
    "a 12-bit JPEG": (
        encode(Image.fromarray(GREY), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c"),
        "is a 12-bit JPEG",
    ),
    "a bad LZW": (tiff(GREY, compress=lambda data: b"\x80\x3f\xff\xff" + data, t259=5), "undefined LZW code"),
    "a wrong checksum": (tiff(GREY, compress=lambda data: zlib.compress(data)[:-4] + b"abcd", t259=8), "incorrect data check"),
    "a bad deflate": (tiff(GREY, compress=lambda data: b"\x78\x9c" + data, t259=8), "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_in_one_line_without_a_warning(name):
    data, message = REFUSED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=message) as caught:
            read_grey(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "JPEG"])
def test_size_of(format):
    assert size_of(encode(Image.fromarray(RGB), format)) == (W, H)


def test_size_of_refuses_what_is_no_image():
    for data in (b"", b"hello", b"BM", b"\xff\xd8\xff", b"II*\0", encode(Image.fromarray(GREY))[:17]):
        with pytest.raises(ImageError):
            size_of(data)


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (1, 2), (2, 1)])
def test_one_pixel_high(shape):
    values = RANDOM.integers(0, 256, shape, np.uint8)
    values.flat[:2] = 0, 255
    for format in ("PNG", "TIFF", "BMP"):
        same(encode(Image.fromarray(values), format), values / 255)


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), OverflowError("a\nb"), RuntimeError(), AssertionError()])
def test_whatever_a_decoder_raises_is_the_files_fault(monkeypatch, error):
    def fail(*args, **options):
        raise error

    data = encode(Image.fromarray(GREY))
    monkeypatch.setattr(Image, "open", fail)
    monkeypatch.setattr(Image, "frombytes", fail)
    with pytest.raises(ImageError, match=r"^damaged or truncated: \S.*$"):
        read_grey(data)


def outcome(data):
    try:
        return read_grey(data).tolist()
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize(
    ("start", "change"),
    [(0, b""), (19, b"\x01"), (23, b"\x01"), (28, b"\x01"), (29, b"!"), (33, b"\xff"), (45, b"!!!!"), (-20, b""), (-1, b"!")],
)
def test_a_plain_png_is_read_as_pillow_reads_it(monkeypatch, start, change):
    """The file is whole, or has another byte at some place, or is cut there."""
    whole = encode(Image.fromarray(RANDOM.integers(0, 256, (30, 20), np.uint8)))
    assert decode._plain_png(whole) is not None
    data = whole[:start] + change + whole[start:][len(change) :] if change or not start else whole[:start]
    quickly = outcome(data)
    monkeypatch.setattr(decode, "_plain_png", lambda data: None)
    assert outcome(data) == quickly


def seconds(action):
    """Return the processor time that an answer or a refusal takes, in seconds."""
    start = time.process_time()
    with contextlib.suppress(ImageError):
        action()
    return time.process_time() - start


def test_a_few_bytes_do_not_ask_for_millions_of_tiles():
    data = tiff(np.zeros((16, 16), np.uint8), tile=(16, 16), t256=4096, t257=4096, t322=1, t323=1)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="only 1 of 16777216 tiles"):
            read_crop(data)
        assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    finally:
        tracemalloc.stop()


def test_many_strips_take_no_longer_than_they_are_many():
    count = 100_000  # one row each, though a strip may have two
    places = {"t273": lambda offsets: [offsets[0] + row for row in range(count)], "t279": [1] * count, "t278": 2}
    data = tiff(np.zeros((count, 1), np.uint8), **places)
    assert seconds(lambda: read_crop(data)) < 5


def test_a_strip_that_is_listed_millions_of_times_is_read_as_often_as_there_are_rows():
    strip = zlib.compress(bytes(10**6 - 1))  # a byte less than a row
    data = tiff(np.zeros((1, 10**6), np.uint8), t259=8, compress=lambda _: strip, t273=lambda o: o * 10**5, t279=[9] * 10**5)
    assert seconds(lambda: read_crop(data)) < 5


def with_scans(data, count):
    """Repeat the last scan of a progressive JPEG, which decoders accept: a few bytes each, and the whole image again."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused():
    data = encode(Image.fromarray(GREY), "JPEG", progressive=True)
    assert read_crop(with_scans(data, 20)).grey.shape == (H, W)
    with pytest.raises(ImageError, match=r"a JPEG with 20\d\d scans, where a usual one has at most 100"):
        read_crop(with_scans(data, 2000))
