"""Image files of kinds that Pillow does not write, and pictures to put into them."""

import io
import struct
import zlib

import numpy as np

TYPES = {"H": 3, "I": 4, "Q": 16}


def encode(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def tiff(samples, order="<", big=False, compress=lambda data: data, tile=None, rows=None, planar=False, pages=1, **tags):
    """Write a TIFF of (H, W) or (H, W, samples) in strips of ``rows`` rows, or tiles (height, width).

    Args:
        compress: compresses the bytes of a strip or tile.
        tags: ``t259=5`` sets a tag, or a list its values; None leaves it out. A function gets the default value.
    """
    values = samples if samples.ndim == 3 else samples[..., None]
    height, width, depth = values.shape
    values = values.astype(values.dtype.newbyteorder(order))
    planes = [values[..., [k]] for k in range(depth)] if planar else [values]
    parts = [compress(part) for plane in planes for part in chunks(plane, tile, rows or height)]
    base = 16 if big else 8
    offsets = [base + sum(map(len, parts[:k])) for k in range(len(parts))]
    body = b"".join(parts)
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    entries = {256: width, 257: height, 258: [8 * values.itemsize] * depth, 259: 1, 262: 2 if depth > 2 else 1, 277: depth}
    entries |= {284: 1 + planar, 339: [kind] * depth}
    if tile:
        entries |= {322: tile[1], 323: tile[0], 324: offsets, 325: list(map(len, parts))}
    else:
        entries |= {273: offsets, 278: rows or height, 279: list(map(len, parts))}
    for name, value in tags.items():
        entries[int(name[1:])] = value(entries[int(name[1:])]) if callable(value) else value
    entries = {tag: value if isinstance(value, list) else [value] for tag, value in entries.items() if value is not None}
    magic = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + ("HHH" if big else "H"), *((43, 8, 0) if big else (42,)))
    file = magic + struct.pack(order + ("Q" if big else "I"), base + len(body)) + body
    for left in reversed(range(pages)):
        file += directory(len(file), entries, order, big, last=not left)
    return file


def directory(at, entries, order, big, last=True):
    """Return a directory for an offset, followed by the values that do not fit into it."""
    inline, number = (8, "Q") if big else (4, "I")
    out = struct.pack(order + ("Q" if big else "H"), len(entries))
    after = at + len(out) + len(entries) * (20 if big else 12) + inline
    behind = b""
    for tag, values in sorted(entries.items()):
        code = "H" if max(values) < 2**16 and tag not in (273, 279, 324, 325) else "I"
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(packed) > inline:
            place, behind = struct.pack(order + number, after + len(behind)), behind + packed
        else:
            place = packed.ljust(inline, b"\0")
        out += struct.pack(f"{order}HH{number}", tag, TYPES[code], len(values)) + place
    return out + struct.pack(order + number, 0 if last else after + len(behind)) + behind


def chunks(plane, tile, rows):
    height, width, depth = plane.shape
    if not tile:
        return [plane[y : y + rows].tobytes() for y in range(0, height, rows)]
    out = []
    for y in range(0, height, tile[0]):
        for x in range(0, width, tile[1]):
            padded = np.zeros((*tile, depth), plane.dtype)
            part = plane[y : y + tile[0], x : x + tile[1]]
            padded[: part.shape[0], : part.shape[1]] = part
            out.append(padded.tobytes())
    return out


def lzw(data):
    """Pack by TIFF's LZW, in the simplest way."""
    table, code, width = {bytes([k]): k for k in range(256)}, 258, 9
    bits, word = f"{256:09b}", b""
    for byte in data:
        longer = word + bytes([byte])
        if longer in table:
            word = longer
            continue
        bits += f"{table[word]:0{width}b}"
        table[longer], code, word = code, code + 1, bytes([byte])
        width = max(9, code.bit_length())
        if code == 4094:
            bits += f"{256:0{width}b}"
            table, code, width = {bytes([k]): k for k in range(256)}, 258, 9
    bits += f"{table[word]:0{width}b}"
    width = max(9, (code + 1).bit_length())
    bits += f"{257:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def packbits(data):
    """Pack by PackBits: runs and literals."""
    out, at = b"", 0
    while at < len(data):
        run = 1
        while run < 128 and data[at + run : at + run + 1] == data[at : at + 1]:
            run += 1
        out += bytes([257 - run, data[at]]) if run > 1 else bytes([0, data[at]])
        at += run
    return out


def byte_difference(width):
    """Return a function that packs by TIFF's predictor 3: whole rows of little-endian 32-bit floats."""

    def pack(data):
        lines = np.frombuffer(data, np.uint8).reshape(-1, width, 4)[:, :, ::-1].transpose(0, 2, 1).reshape(-1, 4 * width)
        return zlib.compress(np.concatenate([lines[:, :1], np.diff(lines, axis=1)], 1).tobytes())

    return pack


def png(samples, colour, depth=None, chunks=(), width=0):
    """Write a PNG of (H, W, samples) uint8 or uint16, or of packed rows, with any chunks before its pixels."""
    height, width = len(samples), width or samples.shape[1]
    depth = depth or 8 * samples.itemsize
    lines = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        *chunks,
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def blob(light=True, height=40, width=24):
    """A chromosome-like blob with bands, lighter or darker at its rim than inside: (H, W) uint8, and its mask, bool."""
    ys, xs = np.mgrid[:height, :width]
    far = np.hypot((ys - height / 2) / (height * 0.36), (xs - width / 2) / (width * 0.3))
    level = np.clip(1.3 - far, 0, 1) ** 0.5 * (120 + 40 * np.sin(ys / 3))
    grey = np.rint(240 - level if light else 12 + level)
    return grey.astype(np.uint8), far < 1
