"""Splits by cell or case, never by image: reading, making and checking them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, LeakError
from gricol_zoo.files import read_table, same_name, write_atomically

PARTS = ("train", "val", "test")
IMAGE_LEVEL = "image-level"  # how the name of a split begins that parts the images of a cell


def group_of(record: Record) -> str:
    """Return what an image must not be parted from: its case (the person) if known, else its cell, else nothing."""
    return record.case or record.cell


def cells_of(records: Sequence[Record]) -> list[str]:
    """Return each record's cell with its case, "" where it has no cell."""
    return [f"{record.case}/{record.cell}" if record.cell else "" for record in records]


def own_groups(images: ImageSet) -> ImageSet:
    """Return the set with every image a cell of its own: what an image-level split goes by.

    Its accuracies may be too good for images of a new person: homologues of one cell stand on both sides.
    """
    records = [dataclasses.replace(record, cell=record.path, case="") for record in images.records]
    return dataclasses.replace(images, records=records)


def make_split(records: Sequence[Record], seed: int, fractions: tuple[float, float] = (0.1, 0.1)) -> list[dict[str, str]]:
    """Part the groups into train, val and test at random, so that each part has both sexes in proportion.

    Args:
        records: of one set, with case or cell.
        seed: of the shuffle.
        fractions: of the groups, for val and test.

    Returns:
        One row (case, cell, part) a cell, sorted by name.

    Raises:
        GricolZooError: an image without case and cell, or too few of them to train on any.
    """
    sexes: dict[str, str] = {}
    for record in records:
        if not group_of(record):
            raise GricolZooError(f"{record.path!r} names neither a case nor a cell, so it cannot be split by them.")
        sexes[group_of(record)] = record.sex
    part_of: dict[str, str] = {}
    rng = random.Random(seed)
    for sex in sorted(set(sexes.values())):
        groups = sorted(group for group in sexes if sexes[group] == sex)
        rng.shuffle(groups)
        val, test = (max(1, round(fraction * len(groups))) for fraction in fractions)
        for index, group in enumerate(groups):
            part_of[group] = "val" if index < val else "test" if index < val + test else "train"
    if "train" not in part_of.values():
        raise GricolZooError(
            f"Expected enough cases or cells for train, val and test, but got {len(part_of)}. Add more, or write a split CSV."
        )
    return split_rows({(record.case, record.cell): part_of[group_of(record)] for record in records})


def split_rows(split: dict[tuple[str, str], str]) -> list[dict[str, str]]:
    """Return the rows of a split, (case, cell) -> part, sorted by name."""
    return [{"case": case, "cell": cell, "part": part} for (case, cell), part in sorted(split.items())]


def write_split(rows: Sequence[dict[str, str]], file: Path) -> None:
    """Write a split as CSV: case, cell, part."""
    write_atomically(file, to_csv(rows, ["case", "cell", "part"]).encode())


def read_split(file: str | Path) -> dict[tuple[str, str], str]:
    """Read a split: (case, cell) -> part.

    Raises:
        GricolZooError: not found, a column missing, an unknown part, or a cell in it twice.
        LeakError: a case stands in two parts.
    """
    path = Path(file)
    if not path.is_file():
        raise GricolZooError(f"No such split file: {path}. Expected a CSV with the columns case,cell,part.")
    parts: dict[tuple[str, str], str] = {}
    case_part: dict[str, str] = {}
    for line, row in read_table(path.read_bytes(), str(path), ("case", "cell", "part")).rows:
        row["part"] = row["part"].lower()
        if row["part"] not in PARTS:
            raise GricolZooError(
                f"{path}, line {line}: expected the part to be one of {', '.join(PARTS)}, but got {row['part']!r}."
            )
        key = (same_name(row["case"]), same_name(row["cell"]))
        if key in parts:
            raise GricolZooError(f"{path}, line {line}: cell {row['cell']!r} of case {row['case']!r} is listed twice.")
        parts[key] = row["part"]
        if row["case"] and case_part.setdefault(row["case"], row["part"]) != row["part"]:
            raise LeakError(f"{path}: case {row['case']!r} is in both {case_part[row['case']]} and {row['part']}. Choose one.")
    return parts


def check_classes(images: ImageSet) -> None:
    """Refuse to train on a set of a single class: whatever learns it answers nothing else.

    Raises:
        GricolZooError: names the class.
    """
    if len({record.label for record in images.records}) == 1:
        raise GricolZooError(
            f"Expected images of at least two classes, but all {len(images)} are of {images.records[0].label!r}. Check the "
            "labels, or add images of other classes."
        )


def apply_split(images: ImageSet, split: dict[tuple[str, str], str]) -> dict[str, ImageSet]:
    """Part a set as a split says.

    Raises:
        GricolZooError: a cell that the split does not name.
    """
    indices: dict[str, list[int]] = {part: [] for part in PARTS}
    for index, record in enumerate(images.records):
        part = split.get((record.case, record.cell))
        if part is None:
            raise GricolZooError(f"The split has no line for cell {record.cell!r} of case {record.case!r} ({record.path}).")
        indices[part].append(index)
    return {part: images.subset(keep) for part, keep in indices.items()}


def check_leaks(parts: dict[str, ImageSet]) -> None:
    """Fail if a case, a cell or an image (by its pixels) stands in two parts.

    Raises:
        LeakError: names the id or the two files.
        GricolZooError: a file that cannot be had (it is named).
    """
    groups: dict[str, str] = {}
    pixels: dict[bytes, tuple[str, str]] = {}
    for part, images in parts.items():
        for record in images.records:
            group = group_of(record)
            if group and groups.setdefault(group, part) != part:
                raise LeakError(f"{group!r} is in both {groups[group]} and {part}. Split by case or cell, not by image.")
            digest = images.pixel_hash(record)
            other = pixels.setdefault(digest, (part, record.path))
            if digest and other[0] != part:
                raise LeakError(f"{record.path} in {part} has the same pixels as {other[1]} in {other[0]}. Remove one of them.")


def split_for(images: ImageSet, seed: int) -> tuple[ImageSet, dict[tuple[str, str], str], str]:
    """Split a set that came without a split; return the set, the split and what to call it.

    By case or cell where every image has one. Otherwise each image becomes a cell of its own, and the name says
    "image-level": such a validation accuracy may be too good, for homologues of one cell stand on both sides.
    """
    if all(group_of(record) for record in images.records):
        name = f"by case or cell, 80/10/10, seed {seed}"
    else:
        images = own_groups(images)
        name = f"{IMAGE_LEVEL} (the images name no cells), 80/10/10, seed {seed}"
    rows = make_split(images.records, seed)
    return images, {(row["case"], row["cell"]): row["part"] for row in rows}, name
