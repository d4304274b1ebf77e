"""What a report says of made-up cases of real chromosomes (mosaics, a lost crop), compared with what should be said.

    python -m benchmarks.released.made_up_cases --data FOLDER

A case is up to 20 cells of one sex with 46 chromosomes each, from a set's test part, as if they were one person's. In some of
them a chromosome is added, from a cell that is not in the case, or left out. What should be said is derived from the labels by
the same rule; the rule itself is tested in tests/karyotype/case/test_clones.py. It is compared with what is said before a
review, and after a reviewer has corrected what is flagged for review and nothing else.

Writes results/released/made_up_cases.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common.record import write
from benchmarks.common.sets import NAMES, open_part, tag_of
from benchmarks.common.weights import create, unseen
from benchmarks.released.case_statements import USUAL, by_labels, verdict, words
from benchmarks.released.within_cell import MODELS, load
from gricol_zoo.data.scale import groups_of
from gricol_zoo.data.table import ImageSet
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.karyotype.case.clones import Proposal, propose
from gricol_zoo.karyotype.case.counted import counted
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.run import karyotype

MAX_CELLS = 20  # cells of a case
COLUMNS = {
    "set": ("cells from", ""),
    "case": ("made-up case", ""),
    "cells": ("cells", "d"),
    "should": ("should be said", ""),
    "said": ("said, nobody has looked", ""),
    "verdict": ("which is", ""),
    "left_out": ("cells left out", "d"),
    "looked_at": ("chromosomes to look at a cell", ".1f"),
    "reviewed": ("said, what is flagged was put right", ""),
    "verdict_reviewed": ("which is", ""),
}


class MadeUp(NamedTuple):
    """A made-up case: its sex, the class that is added (+1) or left out (-1), and in how many of its cells."""

    sex: str
    label: str = ""
    change: int = 0
    share: Callable[[int], int] = lambda cells: 0


CASES = {
    "nothing is changed": MadeUp("F"),
    "mosaic of 46 and 47, a third 21 in two of five cells": MadeUp("F", "21", 1, lambda cells: cells * 2 // 5),
    "a third 21 in all cells": MadeUp("M", "21", 1, lambda cells: cells),
    "mosaic of 45,X and 46,XX, one X lost in two of five cells": MadeUp("F", "X", -1, lambda cells: cells * 2 // 5),
    "a crop of 7 lost in one cell": MadeUp("F", "7", -1, lambda cells: 1),
    "a third 8 in one cell": MadeUp("F", "8", 1, lambda cells: 1),
    "a crop of 16 lost in two cells": MadeUp("M", "16", -1, lambda cells: 2),
}


def whole_cells(images: ImageSet, sex: str) -> list[list[int]]:
    """Return the indices of the images of each cell of a sex, "F" or "M", that has 46 chromosomes."""
    cells = groups_of([(record.case, record.cell) for record in images.records]).values()
    y = [sum(images.records[place].label == "Y" for place in cell) for cell in cells]
    return [cell for cell, count in zip(cells, y, strict=True) if len(cell) == USUAL and count == (sex == "M")]


def cells_of_case(images: ImageSet, made: MadeUp) -> Iterator[tuple[str, ImageSet]]:
    """Yield the cells of a made-up case by name."""
    whole = whole_cells(images, made.sex)
    count = min(MAX_CELLS, len(whole))
    strangers = [place for place, record in enumerate(images.records) if record.label == made.label]
    inside = {place for cell in whole[:count] for place in cell}
    # If a set has too few cells, the added chromosome comes from another cell of the case.
    outside = [place for place in strangers if place not in inside] or strangers
    changed = made.share(count)
    for number, cell in enumerate(whole[:count]):
        places = list(cell)
        if number < changed and made.change > 0:
            spare = [place for place in outside if place not in cell]
            places.append(spare[number % len(spare)])
        elif number < changed and made.change < 0:
            places.remove(next(place for place in places if images.records[place].label == made.label))
        yield f"c{number + 1}", images.subset(places)


def put_right(found: Karyotype) -> Karyotype:
    """Return a karyotype after a reviewer has moved each flagged chromosome to its true class, or confirmed it."""
    for item in found.doubtful():
        found = found.move(item.id, item.label).confirm(item.id)
    return found


def row_of(classifier: Classifier, cells: Sequence[tuple[str, ImageSet]]) -> dict[str, Any]:
    """Return what should be said of a case, what is said, and what is said after a review."""
    found = {name: karyotype(classifier, cell, cell=name) for name, cell in cells}
    should = propose([by_labels(name, cell) for name, cell in cells])
    said: Proposal = propose([counted(one) for one in found.values()])
    reviewed = propose([counted(put_right(one)) for one in found.values()])
    return {
        "cells": len(cells),
        "should": words(should),
        "said": words(said),
        "verdict": verdict(should, said),
        "left_out": len(said.unclear),
        "looked_at": sum(len(one.doubtful()) for one in found.values()) / len(cells),
        "reviewed": words(reviewed),
        "verdict_reviewed": verdict(should, reviewed),
    }


def main() -> None:
    """Make up the cases and record what is said of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip and pki3.zip")
    options = parser.parse_args()
    rows = []
    for name in MODELS:
        classifier, tag = load(name), tag_of(name)
        images = unseen(open_part(tag, options.data, "test"), create(name))
        for case, made in CASES.items():
            row = row_of(classifier, list(cells_of_case(images, made)))
            rows.append({"name": name, "set": NAMES[tag], "case": case, **row})
            print(f"{tag}, {case}: {row['said']}", flush=True)
    write("released/made_up_cases", rows, COLUMNS)


if __name__ == "__main__":
    main()
