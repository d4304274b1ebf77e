"""Guess the layout of a data set from its file names, with the reason. An ambiguous set is reported as such, never guessed."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from gricol_zoo.data.classes import NUMBER, WORDS, Classes, classes_of
from gricol_zoo.data.images import size_of
from gricol_zoo.data.manifest import find_manifest
from gricol_zoo.data.store import MANIFEST, Store, hidden, some
from gricol_zoo.errors import ImageError
from gricol_zoo.spec import CHROMOSOMES

CIR_NAME = re.compile(r"\.(\d{1,2})\.tiff?$", re.IGNORECASE)
CIR_SIZE = (224, 224)
CELL_NAME = re.compile(rf"^(?:{'|'.join(WORDS)})?{NUMBER}(?:[ _-]?([a-d]))?\.\w+$", re.IGNORECASE)
WHOLE_CELL, ABOUT_A_CELL = range(44, 49), range(40, 51)  # images of a cell: in each of a few folders; in the median of many
MAJORITY = 0.8  # if at least this fraction of the names fits a layout, the others are taken for mistakes


class Guess(NamedTuple):
    """A layout and the reason for it.

    Attributes:
        layout: a name of ``gricol_zoo.data.readers.LAYOUTS``.
        reason: why this layout was chosen.
        doubt: what else it may be, and how to decide; "" if the guess is certain.
    """

    layout: str
    reason: str
    doubt: str = ""


class CellName(NamedTuple):
    """The class in a file's name, and the letter of its copy ("" if there is none)."""

    label: str
    copy: str


def guess_layout(store: Store) -> Guess:
    """Return the layout that the names in a store fit; "unlabelled", with a doubt, if they may also fit another one."""
    if find_manifest(store):
        return Guess("manifest", f"there is a {MANIFEST}")
    names = store.images()
    found = (_cir(names, store) or _bioimlab(names) or _folders(names)) if names else None
    return found or _no_layout(store)


def _no_layout(store: Store) -> Guess:
    lists = [name for name in store.names if PurePosixPath(name).name.lower() == MANIFEST and not hidden(name)]
    if lists:
        return _doubt(f"no {MANIFEST} is at the top, and {some(lists)} is not of all images; give each as a path of its own")
    return Guess("unlabelled", "no name gives a class; the folder of an image is its cell")


def _doubt(words: str) -> Guess:
    return Guess("unlabelled", "", words)


def cell_name(name: str) -> CellName | None:
    """Parse the name of a BioImLab file; None if it is not one."""
    match = CELL_NAME.match(PurePosixPath(name).name)
    if not match:
        return None
    label = match[1].upper()
    return CellName(label, (match[2] or "").lower()) if label in CHROMOSOMES else None


def _cir(names: Sequence[str], store: Store) -> Guess | None:
    found = [(name[: match.start()], match[1]) for name in names if (match := CIR_NAME.search(name))]
    if len(found) < len(names):
        return None
    numbers = [int(number) for _, number in found]
    last = 23 if min(numbers) == 0 else 24
    if max(numbers) > last or any(len(number) == 2 and number[0] == "0" for _, number in found):
        return Guess("unlabelled", f"the numbers before the suffix, {found[0][1]} to {found[-1][1]}, are running numbers")
    by_stem = defaultdict(set)
    for stem, number in found:
        by_stem[stem].add(int(number))
    runs = all(len(own) > 1 and own == set(range(min(own), max(own) + 1)) for own in by_stem.values())
    if _first_size(names, store) == CIR_SIZE or (not runs and len(set(numbers)) < len(numbers)):
        return Guess("cir", "all names end in .<class>.tiff")
    return _doubt(
        f"the numbers {min(numbers)} to {max(numbers)} before the suffix may be classes (--layout cir) or running numbers "
        "(--layout unlabelled)"
    )


def _first_size(names: Sequence[str], store: Store) -> tuple[int, int] | None:
    try:
        return size_of(store.read(names[0]))
    except (ImageError, OSError):
        return None


def _bioimlab(names: Sequence[str]) -> Guess | None:
    found = {name: cell_name(name) for name in names}
    others = [name for name in names if not found[name] or str(PurePosixPath(name).parent) == "."]
    classes = [one for one in found.values() if one]
    sexed = {one.label in "XY" for one in classes} == {True, False}  # a single x.png may be anything
    if len(others) > (1 - MAJORITY) * len(names) or not (sexed or any(one.copy for one in classes)):
        return None
    folders = classes_of({PurePosixPath(name).parent.name for name in names})
    if folders and all(one and folders.label[PurePosixPath(name).parent.name] == one.label for name, one in found.items()):
        return None  # 7/7_a.png: the folder says the same
    if others:
        good = next(name for name in names if name not in others)
        return _doubt(
            f"all names but {some(others)} are a class and a copy, such as {good}. Rename or remove the others and "
            "give --layout bioimlab, or give --layout unlabelled"
        )
    return Guess("bioimlab", "all names are a class and a copy in a folder for each cell")


def _folders(names: Sequence[str]) -> Guess | None:
    counts = Counter(PurePosixPath(name).parent.name for name in names)
    others = [folder for folder in counts if classes_of([folder]) is None]
    inside = sum(count for folder, count in counts.items() if folder not in others)
    if inside < MAJORITY * len(names):
        return None
    found = classes_of(counts)
    if found is None:
        there = sorted(set(counts) - set(others), key=lambda name: (len(name), name))
        stray = (
            f"there are images outside of them ({some([folder or 'the top folder' for folder in others])})" if others else ""
        )
        return _doubt(
            f"the folders {some(there)} look like classes, but {stray or 'not all are named in one way, or from 1 or 0 on'}: "
            "--layout folders takes each folder's name as the label, --layout unlabelled as the cell"
        )
    return _classes_or_cells(counts, found)


def _classes_or_cells(counts: Counter[str], found: Classes) -> Guess:
    """Decide whether folders with names of chromosomes are classes or cells."""
    folders = some(sorted(counts, key=lambda name: (len(name), name)))
    bare = all(folder.isdigit() for folder in counts)
    whole = bare and statistics.median_low(counts.values()) in ABOUT_A_CELL
    if whole and len(counts) < 22 and all(count in WHOLE_CELL for count in counts.values()):
        return Guess("unlabelled", f"each of the folders {folders} has about 46 images, so it is a cell")
    if found.certain and not whole:
        return Guess("folders", f"the folders {folders} are named as chromosomes are")
    return _doubt(f"the folders {folders} may be classes (--layout folders) or cells (--layout unlabelled)")
