"""The crops of one cell: read once, brought to one scale, and checked for warnings."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gricol_zoo.data.crops import read_once
from gricol_zoo.data.preprocess import Prepared
from gricol_zoo.data.quality import SAME, Measures, Said, cell_warnings, image_warnings, measure, same_pictures
from gricol_zoo.data.scale import MIN_CROPS, check_factor, factor_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.document import Chromosome

SHORT_ARMS = ("up", "down")
TWO_CELLS = 60  # images; no diploid cell has that many
HALF = 0.55  # fraction of its homologue's area below which a chromosome may be a piece
FITS_BETTER = 0.1  # mean probability by which another model must be surer
MAX_NAMED = 4  # images with a serious warning that the cell's warnings list
Greys = dict[int, np.ndarray]
"""The readable images of a cell, (H, W) float32 in 0..1, by the chromosome's id."""


def read_cell(images: ImageSet, ground: str = "auto") -> tuple[list[Chromosome], Greys]:
    """Read the images of a cell: return a ``Chromosome`` without a class for each, and the readable grey images by id.

    Args:
        images: of the cell.
        ground: "auto", "light" or "dark".

    Raises:
        GricolZooError: a `short_arm` in the manifest that is neither up nor down.
    """
    images = read_once(images, ground)
    items, greys, pixels = [], {}, []
    for id, record in enumerate(images.records, start=1):
        found, error = images.look(record), ""
        try:
            greys[id] = images.grey(record, ground)
        except (ImageError, OSError) as failure:  # errors of the file
            error = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
        items.append(
            dataclasses.replace(_identify(id, record), sha256=found.file.hex(), error=error, warnings=list(found.notes))
        )
        pixels.append(found.pixels.hex())
    for index, warning in same_pictures(pixels, [item.path for item in items]).items():
        items[index] = dataclasses.replace(items[index], warnings=[*items[index].warnings, warning])
    return items, greys


def _identify(id: int, record: Record) -> Chromosome:
    arm = record.extra.get("short_arm", "").strip().lower()
    if arm and arm not in SHORT_ARMS:
        raise GricolZooError(f"{record.path}: expected `short_arm` to be up, down or empty, but got {arm!r}.")
    return Chromosome(id, record.path, "", label=record.label, short_arm=arm, turned=arm == "down")


def scale_of(
    classifier: Classifier, greys: Greys, scale: str | float, of_case: Callable[[], float | None] = lambda: None
) -> tuple[float, list[str]]:
    """Return the scale factor of a cell's crops, and warnings about it.

    Args:
        classifier: classifier of the cell.
        greys: grey images of the cell.
        scale: "auto", "none" or a number.
        of_case: returns the factor of the cell's case, None if it is not known; called if the cell itself gives none.

    Raises:
        GricolZooError: a number that no camera has.
    """
    if not isinstance(scale, str):
        return check_factor(scale), []
    how = classifier.preprocess
    if scale == "none" or how is None or not how.length or not greys:
        return 1.0, []
    lengths = np.array([classifier.length(grey) for grey in greys.values()])
    factor = factor_of(lengths, how.length)
    factor = of_case() if factor is None else factor
    if factor is None:
        return 1.0, [
            f"scale taken as 1: too few crops to estimate it ({np.count_nonzero(lengths > 0)}, needs at least {MIN_CROPS} of "
            "one cell or case); give `--scale NUMBER` if they come from another camera"
        ]
    return factor, []


def prepare_cell(
    items: Sequence[Chromosome], greys: Greys, classifier: Classifier, factor: float
) -> tuple[list[Chromosome], list[Any]]:
    """Prepare the crops of a cell for its classifier; return the chromosomes, with an error if one fails, and n prepared."""
    out, prepared = [], []
    for item in items:
        if item.id in greys:
            try:
                prepared.append(classifier.prepare(greys[item.id], factor))
            except ImageError as failure:
                item = dataclasses.replace(item, error=str(failure).splitlines()[0])
        out.append(item)
    return out, prepared


def look_over(
    chromosomes: Sequence[Chromosome],
    prepared: Sequence[Any],
    classifier: Classifier,
    factor: float,
    scaled: bool,
    unsure: float,
) -> tuple[list[Chromosome], list[str]]:
    """Return a cell's classified chromosomes with the warnings of each, and the warnings of the cell.

    Args:
        chromosomes: chromosomes of the cell.
        prepared: the prepared crops of those without an error, in their order.
        classifier: classifier that prepared and classified them.
        factor: scale factor of the crops.
        scaled: whether the scale was estimated or given.
        unsure: fraction of them, 0..1, of which the network is not sure.
    """
    readable = [item for item in chromosomes if not item.error]
    if not readable:
        return list(chromosomes), ["none of its images could be read: use the original files"]
    found = [f"{len(readable)} images: two cells in one heap, or a cell of more than two sets?"] * (len(readable) > TWO_CELLS)
    said: dict[int, list[Said]] = {item.id: [] for item in readable}
    measures: list[Measures] = []
    reference, light = classifier.reference, []
    if isinstance(prepared[0], Prepared):  # otherwise a system that measures crops in its own way
        unit = classifier.preprocess.length if classifier.preprocess else 0.0
        measures = [measure(one, unit, factor) for one in prepared]
        for item, one, values in zip(readable, prepared, measures, strict=True):
            said[item.id] = image_warnings(one, values, reference)
        light = [one.light for one in prepared]
    if any(values.length for values in measures):
        for id, warning in halves(readable, measures).items():
            said[id].append(Said(warning, True))
    else:  # preparation 1 measures nothing, so there is nothing to compare
        measures, reference, light = [], None, []
    found += cell_warnings(measures, unsure, reference, light, scaled)
    grave = [f"no. {item.id}: {one.text}" for item in readable for one in said[item.id] if one.serious]
    grave += [f"no. {item.id}: {text}" for item in readable for text in item.warnings if text.startswith(SAME)]
    found += [*grave[:MAX_NAMED], *[f"and {len(grave) - MAX_NAMED} more such images"] * (len(grave) > MAX_NAMED)]
    return [
        dataclasses.replace(item, warnings=[*item.warnings, *(one.text for one in said.get(item.id, []))])
        for item in chromosomes
    ], found


def halves(readable: Sequence[Chromosome], measures: Sequence[Measures]) -> dict[int, str]:
    """Return a warning, by id, for each chromosome that is much smaller than the other one of its class."""
    pairs = defaultdict(list)
    for item, values in zip(readable, measures, strict=True):
        if item.assigned:
            pairs[item.assigned].append((values.area, item.id))
    found = {}
    for members in pairs.values():
        if len(members) == 2:
            (small, id), (large, other) = sorted(members)
            if small < HALF * large:
                found[id] = (
                    f"has {small / large:.0%} of the size of its homologue (no. {other}): half a chromosome, or another class?"
                )
    return found


def better(
    classifier: Classifier, probabilities: np.ndarray, rivals: Callable[[], Iterable[Classifier]], greys: Greys, factor: float
) -> list[str]:
    """Return a warning for each other model that is surer of a cell's images.

    Args:
        classifier: the classifier that was used.
        probabilities: (n, classes) that it gave.
        rivals: returns the other classifiers.
        greys: grey images of the cell.
        factor: scale factor of the crops.
    """
    if not len(probabilities):
        return []
    ours, said = float(probabilities.max(1).mean()), []
    for rival in rivals():
        unit, own = (one.preprocess.length if one.preprocess else 0.0 for one in (rival, classifier))
        step = factor * unit / own if unit and own else factor
        theirs, _ = rival.classify([rival.prepare(grey, step) for grey in greys.values()])
        sure = float(theirs.max(1).mean())
        if sure > ours + FITS_BETTER:
            said.append(f"{rival.name} fits these images better (mean probability {sure:.2f} against {ours:.2f}): try it")
    return said
