"""What could be altered consistently in an unsigned record without ``verify`` detecting it. A signature covers it all."""

from __future__ import annotations

from gricol_zoo.karyotype.rerun import MARGIN, Terms

UNPROTECTED = {
    "time": "when the run was",
    "source": "where the images were; each is known by its hash",
    "versions": "of the libraries; a note says which are others now",
    "model.name": "what the weights were loaded by; they are known by their hash",
    "options.layout": "how the images were read; each is known by its hash",
    "options.costs": "where others give the same classes and confidences",
    "options.within_cell": "where another one gives the same classes and confidences",
    "options.ground": "where another one gives the same results",
    "scale": "where another one gives the same results",
    "chromosomes.assigned": "with an edit that fits",
    "chromosomes.turned": "with an edit that fits",
    "chromosomes.confirmed": "with an edit that fits",
    "options.fit": "how well each model fitted, by which one was chosen: the others are not run again",
    "edits": "who moved what and when, as long as they fit the classes now; a cell that was checked has a seal over all of it",
    "warnings": "of a scale that could not be told, and of other weights that fit better: these are not run again",
}
"""Fields of every record, and the extent."""
SLIGHTLY = {
    "chromosomes.probabilities": "by at most {rounding:g}",
    "chromosomes.confidence": "by at most {margin:g}",
    "chromosomes.polarity": "by at most {margin:g}",
    "chromosomes.path": "in another spelling of the same file's name",
    "cell": "to another name that it goes by, such as its folder's",
}
"""Fields that are compared with a tolerance."""
WHERE_MOVED = ("cell", "case", "chromosomes.label", "chromosomes.short_arm", "model.hub_ref")
"""Fields that depend on where images or weights are, so they cannot be compared if these are somewhere else."""
FROM_BEFORE = ("case", "warnings", "chromosomes.warnings", "chromosomes.polarity", "options")
"""Fields that a record without a noted preparation may lack: their removal is not detected."""
NUMBERS = ("chromosomes.probabilities", "chromosomes.confidence", "chromosomes.polarity", "options.dtype", "options.runtime")
"""Fields that are not compared if a run is repeated for its classes only."""


def unprotected(terms: Terms) -> list[str]:
    """Return the fields, with the extent, of which a consistent alteration of an unsigned record would not be detected."""
    place = [name for name in WHERE_MOVED if (terms.renamed if name.startswith("model") else terms.moved)]
    before = [f"{name} taken out" for name in FROM_BEFORE] if terms.from_before else []
    numbers = NUMBERS if terms.classes_only else ()
    bounds = {"rounding": terms.rounding, "margin": MARGIN * terms.rounding}
    slightly = [f"{name} {how.format(**bounds)}" for name, how in SLIGHTLY.items() if name not in numbers]
    return [*UNPROTECTED, *place, *before, *numbers, *slightly]
