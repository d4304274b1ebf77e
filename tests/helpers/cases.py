"""Made-up cells of a case: karyotypes without a run, and their files."""

import io

import numpy as np
from PIL import Image

from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.spec import CHROMOSOMES

FEMALE = {**{str(number): 2 for number in range(1, 23)}, "X": 2, "Y": 0}
MALE = {**FEMALE, "X": 1, "Y": 1}
SURE, DOUBTFUL = 0.999, 0.6


def counts(start=FEMALE, **changes):
    """The number of chromosomes of each class in a cell, with changes: ``counts(c21=3, cX=1)``."""
    return {**start, **{name.removeprefix("c"): number for name, number in changes.items()}}


def made_up(name, numbers=FEMALE, case="p1", doubtful=(), loose=0, unread=0, warnings=()):
    """A cell with these numbers of each class; one chromosome of each class in ``doubtful`` is uncertain."""
    items = []
    open_ = list(doubtful)
    labels = [label for label in CHROMOSOMES for _ in range(numbers[label])]
    for label in [*labels, *[""] * (loose + unread)]:
        id = len(items) + 1
        error = "damaged" if id > len(labels) + loose else ""
        sure = SURE
        if label in open_:
            open_.remove(label)
            sure = DOUBTFUL
        probabilities = {label or "1": 0.99} if not error else {}
        items.append(
            Chromosome(id, f"{id}.png", "", probabilities, label or "1", label, label, 0.0 if error else sure, error=error)
        )
    model = {"name": "r18half_192.qband", "weights_sha256": "ab" * 32, "hub_ref": ""}
    return Karyotype(name, items, list(CHROMOSOMES), model=model, case=case, warnings=list(warnings))


def png(width=900, height=700, seed=0):
    """A picture in place of a karyogram."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[50:-50:40, 50:-50] = np.random.default_rng(seed).integers(0, 255, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
