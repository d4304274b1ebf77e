"""Damaged image files, thousands of them: each is read to a finite grey image or refused, and nothing else happens."""

import csv
import subprocess
import sys
import warnings
import zlib
from collections import Counter

import numpy as np
import pytest
from helpers.commands import run
from helpers.models import OLD_MODEL
from helpers.pictures import blob, byte_difference, encode, lzw, packbits, png, tiff
from PIL import Image

from gricol_zoo.data.images import frames, read_crop, size_of
from gricol_zoo.data.kinds import SUFFIXES
from gricol_zoo.data.rows import read_csv
from gricol_zoo.errors import ImageError

NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def seeds():
    grey, there = blob()
    alpha, deep = (there * 255).astype(np.uint8), grey.astype(np.uint16) * 257
    image, rgb = Image.fromarray(grey), Image.fromarray(np.dstack([grey, 255 - grey, grey // 2]))
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    cut = Image.fromarray(np.dstack([grey, grey, grey, alpha]))
    return {
        "grey.png": encode(image, exif=exif),
        "16.png": encode(Image.fromarray(deep)),
        "colour16.png": png(np.dstack([deep] * 3), 2),
        "alpha16.png": png(np.dstack([deep, deep]), 4),
        "palette.png": encode(rgb.quantize(30), transparency=3),
        "cut.png": encode(cut),
        "key.png": png(grey[..., None], 0, chunks=[(b"tRNS", b"\0\6")]),
        "apng.png": encode(image, save_all=True, append_images=[image.rotate(9)]),
        "1bit.png": encode(image.convert("1")),
        "grey.bmp": encode(image, "BMP"),
        "colour.bmp": encode(rgb, "BMP"),
        "palette.bmp": encode(rgb.quantize(9), "BMP"),
        "1bit.bmp": encode(image.convert("1"), "BMP"),
        "grey.jpg": encode(image, "JPEG", exif=exif),
        "colour.jpg": encode(rgb, "JPEG", progressive=True),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "grey.tif": encode(image, "TIFF", exif=exif),
        "16.tif": tiff(deep, ">", rows=7),
        "big.tif": tiff(deep, big=True),
        "tiles.tif": tiff(deep, tile=(16, 16), compress=zlib.compress, t259=8),
        "lzw.tif": tiff(grey, compress=lzw, t259=5, rows=9),
        "packbits.tif": tiff(grey, compress=packbits, t259=32773),
        "predicted.tif": tiff(deep, compress=zlib.compress, t259=8, t317=2),
        "planes.tif": tiff(np.dstack([deep] * 3), planar=True),
        "float.tif": tiff(grey / 255),
        "float3.tif": tiff((grey / 255).astype("f4"), compress=byte_difference(24), t259=8, t317=3),
        "cut.tif": encode(cut, "TIFF"),
        "cut16.tif": tiff(np.dstack([deep, deep]), t338=1),
        "palette.tif": encode(rgb.quantize(30), "TIFF"),
        "lab.tif": encode(Image.fromarray(np.asarray(rgb), "LAB"), "TIFF"),
        "cmyk.tif": encode(rgb.convert("CMYK"), "TIFF"),
        "1bit.tif": encode(image.convert("1"), "TIFF"),
        "pages.tif": encode(image, "TIFF", save_all=True, append_images=[image.rotate(9), image]),
        "surplus.tif": tiff(grey, t273=lambda o: [*o, 10**6], t279=lambda c: [*c, 0]),
    }


def mutate(data, random):
    """Return a file damaged in one to four places: bits, bytes or header numbers changed, the file cut or made longer."""
    out = bytearray(data)
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(0, len(out))) if random.random() < 0.4 else int(random.integers(0, min(len(out), 400)))
        if random.random() < 0.3:  # the end, where a TIFF's directory is
            place = max(0, len(out) - 1 - place)
        match random.integers(0, 6):
            case 0:
                out[place] ^= 1 << int(random.integers(0, 8))
            case 1:
                out[place] = int(random.integers(0, 256))
            case 2:
                number, size = NUMBERS[random.integers(0, len(NUMBERS))], int(random.choice([2, 4, 8]))
                packed = (number % (1 << 8 * size)).to_bytes(size, "big" if random.random() < 0.5 else "little")
                out[place : place + size] = packed
            case 3:
                out[place:place] = random.bytes(int(random.integers(1, 40)))
            case 4:
                del out[place : place + int(random.integers(1, 40))]
            case 5 if random.random() < 0.3:
                del out[max(1, place) :]
        if not out:
            return b""
    return mend(bytes(out)) if random.random() < 0.5 else bytes(out)


def mend(data):
    """Repair a PNG's checksums, so that a decoder gets past them."""
    out, at = bytearray(data), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(out):
        size = int.from_bytes(out[at : at + 4], "big")
        if at + 12 + size > len(out):
            break
        out[at + 8 + size : at + 12 + size] = zlib.crc32(bytes(out[at + 4 : at + 8 + size])).to_bytes(4, "big")
        at += 12 + size
    return bytes(out)


def ask(question, data):
    """Return the answer of a reading function, or its refusal in words."""
    try:
        return question(data)
    except ImageError as error:
        return str(error)


def check(data):
    """Read a file in every way; return the outcome."""
    for question in (frames, size_of, read_crop):
        answer = ask(question, data)
        assert answer
        assert "\n" not in str(answer) or question is read_crop
    if isinstance(answer, str):
        assert "\n" not in answer
        return " ".join(answer.split()[:2])
    grey, notes = answer
    assert grey.dtype == np.float32
    assert grey.ndim == 2
    assert np.isfinite(grey).all()
    assert 0 <= grey.min() < grey.max() <= 1
    assert all("\n" not in note for note in notes)
    return "read"


def fuzz(rounds, seed):
    outcomes = Counter()
    for name, data in seeds().items():
        assert check(data) == "read", name
        for index in range(rounds):
            random = np.random.default_rng([seed, index, zlib.crc32(name.encode())])
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", module=r"PIL\.")  # as gricol_zoo.data.images has it
                outcomes[check(mutate(data, random))] += 1
    return outcomes


def test_a_hundred_damaged_files():
    outcomes = fuzz(rounds=3, seed=0)
    assert sum(outcomes.values()) >= 100
    assert outcomes["read"] > 5
    assert outcomes["damaged or"] > 5


@pytest.mark.slow
def test_thousands_of_damaged_files():
    outcomes = fuzz(rounds=150, seed=1)
    assert sum(outcomes.values()) >= 5000
    assert outcomes["read"] > 500


def predict(folder, out):
    command = [sys.executable, "-m", "gricol_zoo", "predict", str(folder), "--model", "r18half_128.pki3", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    with out.open(newline="") as stream:
        return done, {row["path"]: row for row in csv.DictReader(stream)}


def test_one_bad_file_is_one_row(tmp_path):
    folder, out = tmp_path / "crops", tmp_path / "p.csv"
    folder.mkdir()
    grey, _ = blob()
    good = {f"good{k}.png": encode(Image.fromarray(np.roll(grey, k, axis=0))) for k in range(3)}
    for name, data in good.items():
        (folder / name).write_bytes(data)
    done, before = predict(folder, out)
    assert done.returncode == 0
    exif = Image.Exif()
    exif[274] = 3
    lab, cmyk, turned, page = (np.roll(grey, k, axis=0) for k in range(3, 7))  # no two pictures are the same
    others = {
        "lab.tif": encode(Image.fromarray(np.dstack([lab] * 3), "LAB"), "TIFF"),
        "cmyk.tif": encode(Image.fromarray(np.dstack([cmyk] * 3)).convert("CMYK"), "TIFF"),
        "turned.jpg": encode(Image.fromarray(turned[::-1, ::-1]), "JPEG", exif=exif, quality=95),
        "pages.tif": encode(Image.fromarray(page), "TIFF", save_all=True, append_images=[Image.fromarray(grey)]),
        "broken.png": encode(Image.fromarray(grey))[:200],
        "broken.tif": tiff(grey)[:200],
        "broken.jpg": encode(Image.fromarray(grey), "JPEG")[:200],
        "eps.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "bomb.png": png(np.zeros((500, 9, 1), np.uint8), 0, width=50_000),
    }
    for name, data in others.items():
        (folder / name).write_bytes(data)
    done, rows = predict(folder, out)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert rows.keys() == {*good, *others}
    assert all(rows[name] == before[name] for name in good)
    bad = {"broken.png", "broken.tif", "broken.jpg", "eps.png", "bomb.png"}
    assert {name for name, row in rows.items() if row["error"]} == bad
    assert "larger than" in rows["bomb.png"]["error"]
    assert all(bool(row["prediction"]) != bool(row["error"]) for row in rows.values())


def mutants(count, seed):
    """Yield names, of every suffix whatever the content, with damaged files."""
    kinds = list(seeds().values())
    for index in range(count):
        random = np.random.default_rng([seed, index])
        data = kinds[index % len(kinds)]
        for _ in range(int(random.integers(1, 4))):
            data = mutate(data, random) if data else data
        yield f"{index:04d}{SUFFIXES[index % len(SUFFIXES)]}", data


@pytest.mark.slow
def test_a_thousand_mutants_of_every_suffix():
    outcomes, suffixes = Counter(), set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for name, data in mutants(1500, seed=2):
            suffixes.add(name[4:])
            outcomes[check(data)] += 1
    assert sum(outcomes.values()) == 1500
    assert suffixes == set(SUFFIXES)
    assert outcomes["read"] > 100


@pytest.mark.slow
def test_mutants_through_whole_commands(tmp_path, capsys):
    folder = tmp_path / "cell"
    folder.mkdir()
    names = []
    for name, data in mutants(120, seed=3):
        (folder / name).write_bytes(data)
        names.append(name)
    (folder / "good.png").write_bytes(encode(Image.fromarray(blob()[0])))
    assert run("predict", folder, "--model", OLD_MODEL, "--out", tmp_path / "p.csv") == 0
    rows = {row["path"]: row for row in read_csv(tmp_path / "p.csv")}
    assert rows.keys() == {*names, "good.png"}
    assert all(bool(row["prediction"]) != bool(row["error"]) for row in rows.values())
    assert run("karyotype", folder, "--model", OLD_MODEL, "--out", tmp_path / "k") == 0
    rows = {row["path"]: row for row in read_csv(tmp_path / "k" / "chromosomes.csv")}
    assert rows.keys() == {*names, "good.png"}
    assert run("verify", tmp_path / "k" / "karyotype.json") == 0
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
