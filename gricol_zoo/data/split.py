"""Splits by case or cell: read, make and check them; a set without cases and cells is split by image."""

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
IMAGE_LEVEL = "image-level"  # beginning of the name of a split that separates images of the same cell


def group_of(record: Record) -> str:
    """Return the group that must stay together with an image: its case (the person) if known, else its cell, else ""."""
    return record.case or record.cell


def cells_of(records: Sequence[Record]) -> list[str]:
    """Return each record's cell as "case/cell", "" if it has no cell."""
    return [f"{record.case}/{record.cell}" if record.cell else "" for record in records]


def own_groups(images: ImageSet) -> ImageSet:
    """Return the set with each image as its own cell, for an image-level split.

    Accuracies on such a split may be too high for images of a new person: homologues of one cell are on both sides.
    """
    records = [dataclasses.replace(record, cell=record.path, case="") for record in images.records]
    return dataclasses.replace(images, records=records)


def make_split(records: Sequence[Record], seed: int, fractions: tuple[float, float] = (0.1, 0.1)) -> list[dict[str, str]]:
    """Split the groups into train, val and test at random, so that each part has both sexes in proportion.

    Args:
        records: of one set, with case or cell.
        seed: of the shuffle.
        fractions: fraction of the groups for val and for test.

    Returns:
        One row (case, cell, part) per cell, sorted by name.

    Raises:
        GricolZooError: an image has neither a case nor a cell, or there are too few groups to leave any for training.
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
        GricolZooError: the file is not found, a column is missing, a part is unknown, or a cell is listed twice.
        LeakError: a case is in two parts.
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
    """Check that a training set has more than one class: a model trained on one class always predicts it.

    Raises:
        GricolZooError: there is only one class (the message names it).
    """
    if len({record.label for record in images.records}) == 1:
        raise GricolZooError(
            f"Expected images of at least two classes, but all {len(images)} are of {images.records[0].label!r}. Check the "
            "labels, or add images of other classes."
        )


def apply_split(images: ImageSet, split: dict[tuple[str, str], str]) -> dict[str, ImageSet]:
    """Divide a set into the parts of a split: part -> its images.

    Raises:
        GricolZooError: a cell is not in the split.
    """
    indices: dict[str, list[int]] = {part: [] for part in PARTS}
    for index, record in enumerate(images.records):
        part = split.get((record.case, record.cell))
        if part is None:
            raise GricolZooError(f"The split has no line for cell {record.cell!r} of case {record.case!r} ({record.path}).")
        indices[part].append(index)
    return {part: images.subset(keep) for part, keep in indices.items()}


def check_leaks(parts: dict[str, ImageSet]) -> None:
    """Check that no case, cell or image (by its pixels) is in two parts.

    Raises:
        LeakError: one is (the message names the case or cell, or the two files).
        GricolZooError: a file cannot be read (the message names it).
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
    """Split a set that came without a split; return the set, the split and a name for it.

    The split is by case or cell if every image has one. Otherwise each image becomes its own cell, and the name begins with
    "image-level": a validation accuracy on such a split may be too high, because homologues of one cell are on both sides.

    Raises:
        GricolZooError: there are too few cases or cells to leave any for training.
    """
    if all(group_of(record) for record in images.records):
        name = f"by case or cell, 80/10/10, seed {seed}"
    else:
        images = own_groups(images)
        name = f"{IMAGE_LEVEL} (the images name no cells), 80/10/10, seed {seed}"
    rows = make_split(images.records, seed)
    return images, {(row["case"], row["cell"]): row["part"] for row in rows}, name
