"""Readers for the layouts that chromosome sets come in; ``open_images`` picks one, or is told.

- ``manifest``: manifest.csv beside the images (columns path, label, and case, cell, sex, copy if known), or a CSV.
- ``folders``: one folder a class (``7/a.png``); a folder above it, if any, is the cell.
- ``bioimlab``: one folder a cell, files named by class and copy (``cell001/7_a.png``, ``X_a.png``), any size.
- ``cir``: a flat folder, names ending in ``.<class>.tiff``, 224x224 on black; classes from 0 or from 1 (detected, and said).
- ``fish``: one folder a class of 100x200 (width x height) images on black, as the set of Hu et al. (2019) is described.
- ``unlabelled``: any images, no labels; the folder an image lies in is taken as its cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from gricol_zoo.data.images import size_of
from gricol_zoo.data.table import MANIFEST, ImageSet, Record, Store, read_manifest
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.spec import CHROMOSOMES

CIR_NAME = re.compile(r"\.(\d{1,2})\.tiff?$", re.IGNORECASE)
CELL_NAME = re.compile(r"^(\d{1,2}|[XYxy])[_-]?([a-d])\.\w+$")


def open_images(path: str | Path, layout: str = "auto") -> ImageSet:
    """Open a data set: a zip, a folder, or a CSV with paths relative to it.

    Args:
        path: where it is.
        layout: "auto" or one of ``LAYOUTS``.

    Raises:
        GricolZooError: not found, empty, unknown layout, or a fault in it (named).
    """
    path = Path(path)
    if path.suffix.lower() == ".csv" and path.is_file():
        store = Store(path.parent)
        records = read_manifest(_text(path.read_bytes(), str(path)), str(path), store.names)
        return _checked(ImageSet(path.stem, records, store))
    store = Store(path)
    if layout == "auto":
        layout = detect_layout(store)
    if layout not in LAYOUTS:
        raise GricolZooError(f"Unknown layout {layout!r}. Known: auto, {', '.join(LAYOUTS)}.")
    images = ImageSet(path.stem, [], store)
    images.records = LAYOUTS[layout](images)
    return _checked(images)


def _checked(images: ImageSet) -> ImageSet:
    if not images.records:
        raise GricolZooError(f"{images.store.root} contains no images. Expected PNG, TIFF, BMP or JPEG files, or a {MANIFEST}.")
    return images


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GricolZooError(f"{where} is not UTF-8 text: {error}.") from error


def detect_layout(store: Store) -> str:
    """Return the layout that the names fit, "unlabelled" if none."""
    if MANIFEST in store.names:
        return "manifest"
    names = store.images()
    if names and all(CIR_NAME.search(name) for name in names):
        return "cir"
    if names and all(PurePosixPath(name).parent.name.upper() in CHROMOSOMES for name in names):
        return "folders"
    if names and all(CELL_NAME.match(PurePosixPath(name).name) and PurePosixPath(name).parent.name for name in names):
        return "bioimlab"
    return "unlabelled"


def _manifest(images: ImageSet) -> list[Record]:
    if MANIFEST not in images.store.names:
        raise GricolZooError(f"{images.store.root} has no {MANIFEST}. Add one, or choose another --layout.")
    where = f"{images.store.root}:{MANIFEST}"
    return read_manifest(_text(images.store.read(MANIFEST), where), where, images.store.names)


def _folders(images: ImageSet) -> list[Record]:
    records = []
    for name in images.store.images():
        parts = PurePosixPath(name).parts
        if len(parts) < 2:
            raise GricolZooError(f"{name!r} is not in a class folder. Expected one folder per class, such as 7/{name}.")
        folder = parts[-2]
        label = folder.upper() if folder.upper() in CHROMOSOMES else folder
        records.append(Record(name, label, cell="/".join(parts[:-2])))
    return records


def _bioimlab(images: ImageSet) -> list[Record]:
    records = []
    for name in images.store.images():
        path = PurePosixPath(name)
        match = CELL_NAME.match(path.name)
        if not match or match[1].upper() not in CHROMOSOMES:
            raise GricolZooError(
                f"The file name of {name!r} gives no class. Expected cell/<class>_<copy>.png, such as cell001/7_a.png."
            )
        cell = str(path.parent)
        records.append(Record(name, match[1].upper(), cell, case=cell, copy=match[2]))
    return records


def _cir(images: ImageSet) -> list[Record]:
    names = images.store.images()
    numbers = []
    for name in names:
        match = CIR_NAME.search(name)
        if not match:
            raise GricolZooError(f"{name!r} does not end in .<class>.tiff, as the CIR set's names do.")
        numbers.append(int(match[1]))
    first = 0 if numbers and min(numbers) == 0 else 1
    if numbers and max(numbers) - first >= len(CHROMOSOMES):
        raise GricolZooError(f"Expected class numbers 0..23 or 1..24 in CIR names, but got {min(numbers)}..{max(numbers)}.")
    if numbers and first == 1 and max(numbers) < len(CHROMOSOMES):
        images.notes.append("The CIR file names have neither class 0 nor class 24: counting classes from 1.")
    images.notes.append(
        f"CIR classes are counted from {first}: .{first}.tiff is chromosome 1. No cell ids: any split is by image."
    )
    return [Record(name, CHROMOSOMES[number - first]) for name, number in zip(names, numbers, strict=True)]


def _fish(images: ImageSet) -> list[Record]:
    records = _folders(images)
    for record in records:
        try:
            width, height = size_of(images.read(record))
        except (ImageError, OSError) as error:
            raise GricolZooError(f"{record.path!r} of {images.store.root}: {error}. Fix the file or remove it.") from error
        if (width, height) != (100, 200):
            raise GricolZooError(f"{record.path!r} is {width}x{height}; images of the FISH set are 100x200 (width x height).")
    return records


def _unlabelled(images: ImageSet) -> list[Record]:
    records = []
    for name in images.store.images():
        parent = str(PurePosixPath(name).parent)
        records.append(Record(name, cell="" if parent == "." else parent))
    return records


LAYOUTS: dict[str, Callable[[ImageSet], list[Record]]] = {
    "manifest": _manifest,
    "folders": _folders,
    "bioimlab": _bioimlab,
    "cir": _cir,
    "fish": _fish,
    "unlabelled": _unlabelled,
}
