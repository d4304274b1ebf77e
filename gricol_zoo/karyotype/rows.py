"""A karyotype as rows, one per chromosome: chromosomes.csv."""

from __future__ import annotations

from typing import Any

from gricol_zoo.karyotype.document import Karyotype

COLUMNS = [
    "cell",
    "id",
    "path",
    "predicted",
    "probability",
    "automatic",
    "assigned",
    "confidence",
    "edited",
    "doubtful",
    "label",
    "error",
    "turned",
    "warnings",
]


def chromosome_rows(karyotype: Karyotype) -> list[dict[str, Any]]:
    """Return a row (see ``COLUMNS``) for each image of the cell, in the order of the input.

    ``predicted`` and ``probability`` are those of the image on its own; ``automatic`` and ``confidence`` those from the
    assignment of the whole cell; ``assigned`` is its class now. An empty class means none.
    """
    return [
        {
            "cell": karyotype.cell,
            "id": item.id,
            "path": item.path,
            "predicted": item.predicted,
            "probability": f"{item.probabilities[item.predicted]:.4f}" if item.predicted else "",
            "automatic": item.automatic,
            "assigned": item.assigned,
            "confidence": "" if item.error else f"{item.confidence:.4f}",
            "edited": int(item.edited),
            "doubtful": int(item.doubtful),
            "label": item.label,
            "error": item.error,
            "turned": int(item.turned) if item.short_arm or item.polarity is not None or item.turned else "",
            "warnings": "; ".join(item.warnings),
        }
        for item in karyotype.chromosomes
    ]
