"""Choose the model that fits a cell's images best: the one with the highest mean of its best probabilities.

A model for another banding, or for another camera, is unsure of almost every chromosome. For what is measured and how often
the choice is right, see docs/explanation/decisions/karyotype.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import ImageError
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.cell_images import Greys, read_cell, scale_of

SAMPLE = 16  # most chromosomes of a cell that are classified for it, spread over the cell


def fits(
    classifiers: Iterable[Classifier],
    greys: Greys,
    scale: str | float = "auto",
    of_case: Callable[[], float | None] = lambda: None,
) -> dict[str, float]:
    """Return how well each model fits a cell's images, 0..1, by the model's name, in their order.

    Args:
        classifiers: models with the same classes.
        greys: grey images of the cell; a sample of at most ``SAMPLE`` is used.
        scale: as for ``karyotype``.
        of_case: as for ``karyotype``.
    """
    keys = list(greys)
    sample = [greys[key] for key in keys[:: max(1, -(-len(keys) // SAMPLE))]]
    first: tuple[float, float] | None = None
    found = {}
    for one in classifiers:
        unit = one.preprocess.length if one.preprocess else 0.0
        if first is None:
            first = scale_of(one, greys, scale, of_case)[0], unit
        # The lengths are measured once: another model only needs the crops at another size.
        step = first[0] * unit / first[1] if unit and first[1] and scale == "auto" else first[0]
        prepared = [value for grey in sample if (value := _prepare(one, grey, step)) is not None]
        found[one.name] = round(float(one.classify(prepared)[0].max(1).mean()), 4) if prepared else 0.0
    return found


def best(found: dict[str, float]) -> str:
    """Return the name of the model that fits best; the first one if several are equal."""
    return max(found, key=lambda name: found[name])


def choose(
    classifiers: Sequence[Classifier],
    images: ImageSet,
    scale: str | float = "auto",
    of_case: Callable[[], float | None] = lambda: None,
) -> tuple[Classifier, dict[str, float]]:
    """Return the classifier that fits a cell best, and how well each does; a single one is returned untested.

    Args:
        classifiers: at least one, with the same classes; the first is taken if none of the images can be read.
        images: of the cell, read once.
        scale: as for ``karyotype``.
        of_case: as for ``karyotype``.

    Raises:
        GricolZooError: as ``read_cell``.
    """
    if len(classifiers) < 2:
        return classifiers[0], {}
    greys = read_cell(images, classifiers[0].ground)[1]
    if not greys:
        return classifiers[0], {}
    found = fits(classifiers, greys, scale, of_case)
    return next(one for one in classifiers if one.name == best(found)), found


def _prepare(classifier: Classifier, grey: np.ndarray, factor: float) -> Any:
    """Return a crop as a classifier takes it; None if it cannot be prepared."""
    try:
        return classifier.prepare(grey, factor)
    except ImageError:
        return None
