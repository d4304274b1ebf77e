"""From the images of one cell and a model to a ``Karyotype``."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gricol_zoo.data.readers import open_images
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.files import on_another_machine, same_name
from gricol_zoo.inference.classifier import Classifier, to_classifier
from gricol_zoo.karyotype.assign import DEFAULT_COSTS, MAX_CHROMOSOMES, UNASSIGNED, Costs, assign, confidences
from gricol_zoo.karyotype.cell_images import better, look_over, prepare_cell, read_cell, scale_of
from gricol_zoo.karyotype.document import Chromosome, Karyotype, now
from gricol_zoo.karyotype.versions import versions
from gricol_zoo.karyotype.within import WEIGHT, in_the_cell
from gricol_zoo.models.deployed import DeployedModel

UNSURE = 0.9  # confidence, by the network alone, below which a chromosome counts against the cell


def cells_of(images: ImageSet) -> dict[str, ImageSet]:
    """Return the cells of a set by name, in their order; images without a cell form one cell, named after the set."""
    indices: dict[tuple[str, str], list[int]] = {}
    for index, record in enumerate(images.records):
        indices.setdefault((record.case, record.cell), []).append(index)
    names = [cell or images.name for _, cell in indices]
    # Two cases may number their cells alike.
    if len(set(names)) < len(names):
        names = ["/".join(filter(None, key)) or images.name for key in indices]
    return {name: images.subset(members) for name, members in zip(names, indices.values(), strict=True)}


def pick_cell(cells: Mapping[str, ImageSet], name: str) -> ImageSet:
    """Return a cell by its name.

    Raises:
        GricolZooError: there is no cell of that name; the message lists similar names.
    """
    name = same_name(name)
    if name not in cells:
        near = difflib.get_close_matches(name, cells, 3) or list(cells)[:5]
        raise GricolZooError(
            f"No cell {name!r} among {len(cells)}. Cells: {', '.join(near)}{' ...' if len(cells) > len(near) else ''}."
        )
    return cells[name]


def find_cell(karyotype: Karyotype, place: Path | None = None, layout: str = "") -> ImageSet:
    """Return the images of a karyotype's cell, from the recorded place or another, in the recorded layout or another.

    Raises:
        GricolZooError: they are not there; the message says how to give the place.
    """
    if place is None and on_another_machine(karyotype.source):  # the record may come from someone who wants a connection
        raise GricolZooError(f"The record says that the images are at {karyotype.source!r:.200}. If so, name it with --images.")
    where = place or Path(karyotype.source)
    if (place is None and not karyotype.source) or not where.exists():
        raise GricolZooError(f"The images of {karyotype.cell} are not at {where}. Give their location with --images.")
    images = open_images(where, layout or str(karyotype.options.get("layout", "auto")))
    cells = cells_of(images)
    if len(cells) == 1:  # a folder or zip may have been renamed
        return next(iter(cells.values()))
    return pick_cell(cells, karyotype.cell)


def _check_size(name: str, count: int) -> None:
    if count > MAX_CHROMOSOMES:
        raise GricolZooError(
            f"Expected about 46 images per cell, at most {MAX_CHROMOSOMES}, but {name} has {count}. "
            "Put each cell's images into a folder of its own, or name their cells in a manifest.csv."
        )


def karyotype(
    model: GridModel | DeployedModel | Classifier,
    images: ImageSet,
    *,
    cell: str = "",
    name: str = "",
    costs: Costs = DEFAULT_COSTS,
    dtype: str = "fp32",
    source: str = "",
    layout: str = "auto",
    scale: str | float = "auto",
    of_case: Callable[[], float | None] = lambda: None,
    rivals: Callable[[], Iterable[Classifier]] = tuple,
    fit: Mapping[str, float] | None = None,
    within: float = WEIGHT,
) -> Karyotype:
    """Classify the chromosomes of one cell, and assign them together. Unreadable images are kept, with their error.

    Args:
        model: a network of either form with weights, whose lower branch classifies, or any ``Classifier``.
        images: images of one cell. If it reads each image once (``read_once``), it can also be used for drawing afterwards.
        cell: its name; "" takes the set's.
        name: name of the model, with which it can be loaded again (default: its registered name).
        costs: costs of departures from two of each.
        dtype: dtype of a network: "auto", "fp32" or "bf16".
        source: where the images are, and
        layout: how they were read, to find them again.
        scale: scale factor of the crops; "auto" finds it from the lengths of the chromosomes if there are enough of them
            (``gricol_zoo.data.scale``), "none" is 1.
        of_case: returns the factor of the cell's whole case; called if the cell has too few chromosomes.
        rivals: returns other models, to see if one of them fits better; called only for a cell with warnings.
        fit: how well each model fitted, if this one was chosen by it (``gricol_zoo.karyotype.fit``); recorded in the options.
        within: weight, 0..1, of the evidence from the whole cell (``gricol_zoo.karyotype.within``), if there is a table for
            the weights; then recorded in the options.

    Raises:
        GricolZooError: too many images for a cell, a scale that no camera has, a weight outside 0..1, or a `short_arm` in the
            manifest that is neither up nor down.
    """
    _check_size(cell or images.name, len(images))
    classifier = to_classifier(model, dtype)
    items, greys = read_cell(images, classifier.ground)
    factor, notes = scale_of(classifier, greys, scale, of_case)
    items, prepared = prepare_cell(items, greys, classifier, factor)
    readable = [item for item in items if not item.error]
    probabilities, up = classifier.classify(prepared) if readable else (np.zeros((0, len(classifier.labels))), None)
    together, noted = in_the_cell(probabilities, prepared if readable else [], classifier, within)
    classified, sex = _classify(readable, probabilities, together, up, costs, classifier.labels)
    chromosomes = [classified.get(item.id, item) for item in items]
    # By the network alone: sizes also fit a cell of another stain, and would hide that the network does not know that stain.
    unsure = _unsure_share(probabilities, costs, classifier.labels)
    chromosomes, found = look_over(chromosomes, prepared, classifier, factor, scale != "none", unsure)
    if found:
        notes += [*found, *better(classifier, probabilities, rivals, greys, factor)]
    return Karyotype(
        cell=cell or images.name,
        chromosomes=chromosomes,
        labels=list(classifier.labels),
        sex=sex,
        model=_described(classifier, name),
        options=_options(classifier, costs, layout) | ({"fit": dict(fit)} if fit else {}) | noted,
        versions=versions(classifier.runtime),
        source=source,
        time=now(),
        case=next((record.case for record in images.records), ""),
        scale=factor,
        warnings=notes,
    )


def _options(classifier: Classifier, costs: Costs, layout: str) -> dict[str, Any]:
    other = {} if classifier.runtime == "torch" else {"runtime": classifier.runtime.split()[0]}
    options = {"dtype": classifier.dtype, **other, "costs": dataclasses.asdict(costs), "layout": layout}
    return options | dict(classifier.preparation)


def _described(classifier: Classifier, name: str) -> dict[str, str]:
    return {
        "name": name or classifier.name,
        "weights_sha256": classifier.weights_sha256,
        "hub_ref": classifier.hub_ref,
    }


def _classify(
    readable: Sequence[Chromosome],
    probabilities: np.ndarray,
    together: np.ndarray,
    up: np.ndarray | None,
    costs: Costs,
    labels: Sequence[str],
) -> tuple[dict[int, Chromosome], str]:
    """Return the n chromosomes with their classes, by id, and the sex.

    Args:
        readable: the n chromosomes.
        probabilities: (n, classes) of each on its own.
        together: (n, classes) with the evidence from the whole cell, by which they are assigned.
        up: (n,) the probability that the short arm is up; None if the model does not predict it.
        costs: costs of departures.
        labels: the classes.
    """
    assignment = assign(together, costs, labels)
    sure = confidences(together, assignment, costs, labels)
    classified = {}
    for row, item in enumerate(readable):
        chosen = int(assignment.classes[row])
        class_ = "" if chosen == UNASSIGNED else labels[chosen]
        polarity = None if up is None else round(float(up[row]), 4)
        classified[item.id] = dataclasses.replace(
            item,
            probabilities={label: round(float(value), 6) for label, value in zip(labels, probabilities[row], strict=True)},
            predicted=labels[int(probabilities[row].argmax())],
            automatic=class_,
            assigned=class_,
            confidence=round(float(sure[row]), 4),
            polarity=polarity,
            turned=item.turned if item.short_arm or polarity is None else polarity < 0.5,
        )
    return classified, assignment.sex


def _unsure_share(probabilities: np.ndarray, costs: Costs, labels: Sequence[str]) -> float:
    """Return the fraction, 0..1, of a cell's chromosomes whose class (n, classes) probabilities leave open."""
    assignment = assign(probabilities, costs, labels)
    open_ = (assignment.classes == UNASSIGNED) | (confidences(probabilities, assignment, costs, labels) < UNSURE)
    return float(open_.mean()) if len(open_) else 0.0
