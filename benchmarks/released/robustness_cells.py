"""Whole cells for the robustness benchmark: read once, changed in memory, and scored by what ``karyotype`` returns."""

from __future__ import annotations

import hashlib
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.released.robustness_conditions import CELLS, IMAGES, NEIGHBOURS, TURNS, UNTOUCHED, Files
from benchmarks.released.robustness_pixels import Pixels
from gricol_zoo.data.find import find_chromosome
from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import pose_of
from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.inference.classifier import Answers, Classifier
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.run import karyotype

SEED = 0
Cell = list[tuple[Pixels, str]]


class Memory(Store):
    """Files in memory, by name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(Path("memory"), list(files))
        self.files = files

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return self.files[name]


class Seen(NamedTuple):
    """The outcome of one cell; odd images (anything but one chromosome of the cell) are not counted in the accuracies.

    Attributes:
        images: how many.
        single: accuracy of single images, at their size in the file.
        single_scaled: the same after the cell was brought to the scale of the training.
        assigned: accuracy after assignment.
        doubtful: share of doubtful or unreadable images.
        warned: whether the cell has a warning.
        images_warned: share of images with one.
        odd: for each odd image, whether it is unassigned, doubtful, unreadable or warned of.
        named: whether a warning names other weights that fit better.
        polarity: share of images whose short arm's end is predicted correctly; None for weights without polarity.
        scale: the factor by which the crops were scaled.
    """

    images: int
    single: float
    single_scaled: float
    assigned: float
    doubtful: float
    warned: bool
    images_warned: float
    odd: tuple[bool, ...]
    named: bool
    polarity: float | None
    scale: float


def read_cells(images: ImageSet, maximum: int) -> dict[str, Cell]:
    """Return up to ``maximum`` cells of a set, evenly spread over it: (H, W) uint8 crops with their classes, by name."""
    members: dict[str, list[Record]] = {}
    for record in images.records:
        members.setdefault(f"{record.case}/{record.cell}", []).append(record)
    names = list(members)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(maximum, len(names))).round().astype(int))
    return {names[i]: [(_pixels(images.read(record)), record.label) for record in members[names[i]]] for i in chosen}


def _pixels(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "BMP", "JPEG")).convert("L"))


def draw(condition: str, key: str, index: int) -> np.random.Generator:
    """Return the generator of one image, which depends only on the seed, the condition, the cell and the place in it."""
    return np.random.default_rng([SEED, zlib.crc32(f"{condition}/{key}".encode()), index])


def change(condition: str, key: str, cells: dict[str, Cell]) -> Files:
    """Return the files of a cell after a condition's changes; unchanged for conditions that change no images."""
    cell, names = cells[key], list(cells)
    if condition in CELLS:
        return CELLS[condition](cell, cells[names[(names.index(key) + 1) % len(names)]], draw(condition, key, 0))
    draws = [draw(condition, key, index) for index in range(len(cell))]
    if condition in NEIGHBOURS:
        others = [cell[(index + int(rng.integers(1, max(2, len(cell))))) % len(cell)][0] for index, rng in enumerate(draws)]
        changed = [NEIGHBOURS[condition](crop, other, rng) for (crop, _), other, rng in zip(cell, others, draws, strict=True)]
    else:
        changed = [IMAGES.get(condition, IMAGES[UNTOUCHED])(crop, rng) for (crop, _), rng in zip(cell, draws, strict=True)]
    return [(data, label) for data, (_, label) in zip(changed, cell, strict=True)]


def arms_up(condition: str, key: str, cells: dict[str, Cell], files: Files) -> list[bool]:
    """Return whether the short arm of each image is up on the canvas, as it is in the sets' own files."""
    if condition not in TURNS:
        return [True] * len(files)
    angles = [TURNS[condition](draw(condition, key, index)) for index in range(len(files))]
    return [stays_up(crop, data, angle) for (crop, _), (data, _), angle in zip(cells[key], files, angles, strict=True)]


def stays_up(crop: Pixels, data: bytes, angle: float) -> bool:
    """Return whether the end that is up on a crop's canvas is also up on the canvas of a file that shows it turned.

    Both canvases are upright by the axis of their own image, so the turn that remains after both decides.

    Args:
        crop: (H, W) uint8.
        data: the file.
        angle: of the turn, in degrees counter-clockwise.
    """
    before, after = (pose_of(find_chromosome(grey).mask) for grey in (crop.astype(np.float32) / 255, read_grey(data)))
    left = 0.0 if before is None or after is None else before.angle - after.angle
    return math.cos(math.radians(angle) + left) > 0


def as_set(key: str, files: Files) -> ImageSet:
    """Return a cell's files as a set of images without labels."""
    named = {f"{index:03d}": data for index, (data, _) in enumerate(files)}
    return ImageSet(key, [Record(name, cell=key) for name in named], Memory(named))


def look(condition: str, key: str, cells: dict[str, Cell], classifier: Classifier, rival: Classifier | None = None) -> Seen:
    """Return the outcome of a cell under a condition.

    Args:
        condition: its name.
        key: the cell's name.
        cells: all cells, by name.
        classifier: classifies it.
        rival: other weights, tried where the result for the cell is not trusted.
    """
    files = change(condition, key, cells)
    images = as_set(key, files)
    found = karyotype(classifier, images, rivals=lambda: [] if rival is None else [rival])
    as_large = found if found.scale == 1 else karyotype(classifier, images, scale="none")
    labels = [label for _, label in files]
    ups = [] if all(one.polarity is None for one in found.chromosomes) else arms_up(condition, key, cells, files)
    return look_at(found, labels, ups, right([one.predicted for one in as_large.chromosomes], labels))


def look_at(found: Karyotype, labels: Sequence[str], ups: Sequence[bool], single: float) -> Seen:
    """Return the outcome of a karyotype.

    Args:
        found: of one cell.
        labels: the true classes, "" for odd images.
        ups: whether each short arm is up; empty for weights without polarity.
        single: accuracy without rescaling.
    """
    items = found.chromosomes
    arms = [
        (one.polarity > 0.5) == up
        for one, up, label in zip(items, ups, labels, strict=False)
        if label and not one.error and one.polarity is not None
    ]
    open_to = [one.doubtful or bool(one.error) for one in items]
    return Seen(
        images=len(items),
        single=single,
        single_scaled=right([one.predicted for one in items], labels),
        assigned=right([one.assigned for one in items], labels),
        doubtful=float(np.mean(open_to)),
        warned=bool(found.warnings),
        images_warned=float(np.mean([bool(one.warnings) for one in items])),
        odd=tuple(doubt or bool(one.warnings) for one, doubt, label in zip(items, open_to, labels, strict=True) if not label),
        named=any("fits these images better" in warning for warning in found.warnings),
        polarity=float(np.mean(arms)) if arms else None,
        scale=found.scale,
    )


def right(answers: Sequence[str], labels: Sequence[str]) -> float:
    """Return the share of labelled images that got their label."""
    return float(np.mean([answer == label for answer, label in zip(answers, labels, strict=True) if label]))


def remembering(classifier: Classifier) -> Classifier:
    """Return a classifier that computes each canvas only once: many conditions leave most canvases unchanged."""
    known: dict[bytes, tuple[Any, Any]] = {}

    def answer(prepared: Sequence[Any], cells: Sequence[str]) -> Answers:
        keys = [hashlib.blake2b(one.canvas.tobytes(), digest_size=16).digest() for one in prepared]
        new = {key: one for key, one in zip(keys, prepared, strict=True) if key not in known}
        if new:
            logits, up = classifier.answer(list(new.values()), cells[: len(new)])
            known.update(zip(new, zip(logits, [None] * len(new) if up is None else up, strict=True), strict=True))
        rows, ups = zip(*(known[key] for key in keys), strict=True)
        return np.stack(rows), None if ups[0] is None else np.array(ups)

    return classifier._replace(answer=answer)
