"""The chromosomes of a cell as rows of a table."""

from __future__ import annotations

from typing import Any

from gricol_zoo.karyotype.document import Karyotype

COLUMNS = ["cell", "id", "path", "predicted", "probability", "automatic", "assigned", "confidence", "edited", "error"]


def chromosome_rows(karyotype: Karyotype) -> list[dict[str, Any]]:
    """Return one row a chromosome, in the order of their numbers; the columns are ``COLUMNS``.

    ``predicted`` is the likeliest class by the image alone and ``probability`` is its own, 0..1; ``automatic`` is what the
    whole cell gave and ``confidence`` that it is right, 0..1; ``assigned`` is the class now and ``edited`` is 1 where a
    person gave it. An empty class is unassigned. An image that could not be read has ``error`` and no numbers.
    """
    return [
        {
            "cell": karyotype.cell,
            "id": item.id,
            "path": item.path,
            "predicted": item.predicted,
            "probability": "" if item.error else f"{item.probabilities.get(item.predicted, 0.0):.4f}",
            "automatic": item.automatic,
            "assigned": item.assigned,
            "confidence": "" if item.error else f"{item.confidence:.4f}",
            "edited": int(item.edited),
            "error": item.error,
        }
        for item in karyotype.chromosomes
    ]
