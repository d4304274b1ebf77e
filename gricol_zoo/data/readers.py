"""Open a data set in one of the common layouts of chromosome sets; ``open_images`` detects the layout, or is given it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gricol_zoo.data.classes import classes_of
from gricol_zoo.data.directory import is_tiff
from gricol_zoo.data.guess import CIR_NAME, Guess, cell_name, guess_layout
from gricol_zoo.data.images import size_of
from gricol_zoo.data.kinds import IMAGE_SUFFIXES, TYPES, foreign_kind, opened_as
from gricol_zoo.data.manifest import find_manifest, read_manifest
from gricol_zoo.data.store import MANIFEST, Store, hidden, some
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.files import same_name
from gricol_zoo.spec import CHROMOSOMES

TABLES = (".csv", ".tsv", ".txt")
ARCHIVES = ("a RAR", "a 7z", "a gzip")
TARS = (".tar", ".bz2", ".xz", ".tbz", ".txz")
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
PARTS = ("train", "val", "valid", "validation", "test")  # folders above class folders with these names are not cells


def is_image(path: Path) -> bool:
    """Return whether a path is a single image, of a supported format or not: by its suffix, or by its first bytes."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return not path.is_dir()
    if not path.is_file() or path.suffix.lower() in (".zip", ".json", *TABLES, *WORKBOOKS):
        return False
    with path.open("rb") as stream:
        head = stream.read(200)
    return bool(opened_as(head) or is_tiff(head)) or foreign_kind(head) not in ("", "a zip", *ARCHIVES)


def _archive(path: Path) -> str:
    """Return the name, with an article, of an archive format that is not supported; "" for any other file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        kind = foreign_kind(stream.read(200))
    return kind if kind in ARCHIVES else "a tar" if path.suffix.lower() in TARS else ""


def open_files(paths: Sequence[Path]) -> ImageSet:
    """Open single images as one unlabelled set; each is named by its path relative to their common folder.

    Raises:
        GricolZooError: a file does not exist.
    """
    for path in paths:
        if not path.is_file():
            raise GricolZooError(f"No such file: {path}.")
    if len({path.is_absolute() for path in paths}) > 1:
        paths = [path.absolute() for path in paths]
    try:
        root = Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on several drives
        root = Path()
    names = [path.relative_to(root).as_posix() for path in paths]
    return ImageSet(str(root), [Record(name) for name in names], Store(root, names))


def open_images(path: str | Path, layout: str = "auto", labels: bool = False) -> ImageSet:
    """Open a data set: a zip, a folder, a single image, or a CSV with paths relative to it.

    Args:
        path: path of the set.
        layout: "auto" or one of ``LAYOUTS``.
        labels: whether each image must have a label. If so, a set whose layout is ambiguous is an error; else it is read
            without labels, and a note says so.

    Raises:
        GricolZooError: the set is not found, empty or faulty, the layout is unknown, or required labels are missing.
    """
    path = Path(path)
    images, guess = ImageSet(path.stem, [], Store(path.parent, [])), Guess("manifest", "")
    if layout != "auto" and layout not in LAYOUTS:
        raise GricolZooError(f"Unknown layout {layout!r}. Known: auto, {', '.join(LAYOUTS)}.")
    if path.suffix.lower() in WORKBOOKS and path.is_file():
        raise GricolZooError(f"{path} is a workbook, which is not read. Save its sheet as CSV UTF-8.")
    if (kind := _archive(path)) != "":
        raise GricolZooError(
            f"{path} is {kind} archive, which is not read. Unpack it and give the folder, or pack it as a zip."
        )
    if path.suffix.lower() in TABLES and path.is_file():
        images.store = Store(path.parent)
        images.records = read_manifest(images, path.read_bytes(), str(path), labels=labels)
    elif is_image(path):
        images = open_files([path])
    else:
        images.store = Store(path)
        guess = guess_layout(images.store) if layout == "auto" else Guess(layout, "")
        if guess.doubt and labels:
            raise GricolZooError(f"{path}: {guess.doubt}.")
        images.records = LAYOUTS[guess.layout].read(images, labels)
        images.notes += [
            note for note in (images.store.left_out(), said(guess), _not_the_manifest(images.store, guess)) if note
        ]
    if not images.records:
        others = f"; {left}" if (left := images.store.left_out()) else "."
        raise GricolZooError(f"{path} contains no images. Expected {TYPES} files, or a {MANIFEST}{others}")
    if labels:
        _check_labels(images, path, guess)
    return images


def _not_the_manifest(store: Store, guess: Guess) -> str:
    """Return a note on tables with almost the name of a manifest; "" if there are none, or if there is a manifest."""
    near = [name for name in _tables(store) if PurePosixPath(name).name.lower().startswith("manifest")]
    if guess.layout == "manifest" or not near:
        return ""
    return f"{some(near)} was not read: save it as {MANIFEST} (CSV UTF-8) at the top, or give the table as the path"


def _tables(store: Store) -> list[str]:
    return [name for name in store.names if name.lower().endswith((*TABLES, *WORKBOOKS)) and not hidden(name)]


def said(guess: Guess) -> str:
    """Return a guess and its reason as one line; "" if nothing was guessed."""
    if guess.layout == "manifest" or not (guess.reason or guess.doubt):
        return ""
    if guess.doubt:
        return f"taken as layout {guess.layout}, without labels: {guess.doubt}"
    return f"taken as layout {guess.layout}: {guess.reason} (change it with --layout)"


def _check_labels(images: ImageSet, path: Path, guess: Guess) -> None:
    missing = [record.path for record in images.records if not record.label]
    if missing:
        why = f" (taken as layout {guess.layout}: {guess.reason})" if guess.reason and guess.layout != "manifest" else ""
        tables = _tables(images.store) if guess.layout != "manifest" else []
        beside = f" Not read because of its name: {some(tables)}." if tables else ""
        raise GricolZooError(
            f"{len(missing)} of the {len(images)} images of {path} have no label, such as {missing[0]}{why}. Give a {MANIFEST} "
            f"with the columns path,label, or choose the --layout of the names (folders, bioimlab, cir).{beside}"
        )


def _manifest(images: ImageSet, labels: bool) -> list[Record]:
    name = find_manifest(images.store)
    if not name:
        raise GricolZooError(f"{images.store.root} has no {MANIFEST}. Add one, or choose another --layout.")
    if "/" in name:
        images.notes.append(f"the manifest is {name}")
    where = f"{images.store.root}:{name}"
    return read_manifest(images, images.store.read(name), where, name[: -len(MANIFEST)], labels)


def _folders(images: ImageSet, labels: bool = False) -> list[Record]:
    records = []
    for name in images.store.images():
        parts = PurePosixPath(name).parts
        if len(parts) < 2:
            raise GricolZooError(f"{name!r} is not in a class folder. Expected one folder per class, such as 7/{name}.")
        above = [part for part in parts[:-2] if part.lower() not in PARTS]
        records.append(Record(name, same_name(parts[-2]), cell=same_name("/".join(above))))
    found = classes_of({record.label for record in records})
    if found is None:
        return records
    if found.how:
        images.notes.append(f"the class folders are {found.how}")
    return [dataclasses.replace(record, label=found.label[record.label]) for record in records]


def _bioimlab(images: ImageSet, labels: bool) -> list[Record]:
    records = []
    for name in images.store.images():
        found = cell_name(name)
        if not found:
            raise GricolZooError(
                f"The file name of {name!r} gives no class. Expected cell/<class>_<copy>.png, such as cell001/7_a.png, or "
                "cell001/X.png for one without a homologue."
            )
        cell = same_name(str(PurePosixPath(name).parent))
        records.append(Record(name, found.label, cell, case=cell, copy=found.copy))
    return records


def _cir(images: ImageSet, labels: bool) -> list[Record]:
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


def _fish(images: ImageSet, labels: bool) -> list[Record]:
    records = _folders(images)
    for record in records:
        try:
            width, height = size_of(images.read(record))
        except (ImageError, OSError) as error:
            raise GricolZooError(f"{record.path!r} of {images.store.root}: {error}. Fix the file or remove it.") from error
        if (width, height) != (100, 200):
            raise GricolZooError(f"{record.path!r} is {width}x{height}; images of the FISH set are 100x200 (width x height).")
    return records


def _unlabelled(images: ImageSet, labels: bool) -> list[Record]:
    records = []
    for name in images.store.images():
        parent = str(PurePosixPath(name).parent)
        records.append(Record(name, cell="" if parent == "." else same_name(parent)))
    return records


class Layout(NamedTuple):
    """A layout: its description, the condition under which it is chosen automatically, and its reader."""

    looks: str
    taken: str
    read: Callable[[ImageSet, bool], list[Record]]


LAYOUTS: dict[str, Layout] = {
    "manifest": Layout(
        "`manifest.csv` beside the images: `path, label`, and `case, cell, sex, copy` if known; further columns are kept",
        "there is one at the top, or a single one with all images in its folder or below",
        _manifest,
    ),
    "folders": Layout(
        "one folder per class (`7/a.png`); a folder above it is the cell, unless it is called `train`, `val` or `test`",
        "the folders have names of chromosomes: numbers with X or Y, 1 to 24, 0 to 23, or with a word such as chr or class",
        _folders,
    ),
    "bioimlab": Layout(
        "one folder per cell, files named by class and copy: `cell001/7_a.png`, `cell001/X.png`",
        "all names have this form, and at least one has the letter of a copy, or X or Y occurs together with numbers",
        _bioimlab,
    ),
    "cir": Layout(
        "names ending in `.<class>.tiff`, counted from 0 or from 1 (detected and reported), 224x224 px",
        "all names have this form, without a leading 0, none above 24, and images have that size or numbers are repeated",
        _cir,
    ),
    "fish": Layout("one folder per class, images of 100x200 px", "never: only with `--layout fish`", _fish),
    "unlabelled": Layout("any images; the folder of an image is its cell", "nothing else fits", _unlabelled),
}
