r"""What a report says of cells with 45 or 47 chromosomes, compared with what their labels say.

    python -m benchmarks.released.case_statements --data FOLDER [--model NAME]

The odd cells are those of Pki-3 that do not have 46 chromosomes; the other cells of the same cases are used with them. Each is
karyotyped as a user's cell is, without a review, and the report's statements are recorded: the draft of the cell, whether the
cell is clear, and what is proposed for its case. What should be said is derived from the labels by the same rule; the rule
itself is tested on made-up cases in tests/karyotype/case/test_clones.py. Cases have one to three cells here, so in most of them
the odd cell is not a clone, and no clone should be proposed.

Most of these cells are in the train part of the released weights, so the results are too good; the table gives the part.

Writes results/released/case_statements.csv, one row per odd cell, and case_statements_summary.csv.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.record import write
from benchmarks.common.sets import open_set, split_file
from benchmarks.common.weights import create
from gricol_zoo.data.split import read_split
from gricol_zoo.data.table import ImageSet
from gricol_zoo.inference.classifier import Classifier, of_network
from gricol_zoo.inference.fast import optimize
from gricol_zoo.karyotype.case.clones import Proposal, propose
from gricol_zoo.karyotype.case.counted import Counted, counted
from gricol_zoo.karyotype.case.iscn import written
from gricol_zoo.karyotype.run import cells_of, karyotype
from gricol_zoo.spec import CHROMOSOMES

MODEL = "r18half_192.pki3"
USUAL = 46
COLUMNS = {
    "cell": ("cell", ""),
    "part": ("part of the weights", ""),
    "labelled": ("by its labels", ""),
    "draft": ("draft", ""),
    "unclear": ("left out, for", ""),
    "should": ("should be said of the case", ""),
    "said": ("said of the case", ""),
    "verdict": ("the case's statement", ""),
}
SUMMARY = {
    "part": ("cells", ""),
    "cells": ("number", "d"),
    "drafts_right": ("drafts right", "d"),
    "clear": ("clear, without a person", "d"),
    "clear_right": ("of these right", "d"),
    "same": ("case: as it should be", "d"),
    "silent": ("case: nothing proposed", "d"),
    "fewer": ("case: fewer cells", "d"),
    "wrong": ("case: something else", "d"),
}


def odd_cases(images: ImageSet) -> dict[str, dict[str, ImageSet]]:
    """Return the cases that have a cell without exactly 46 chromosomes: case -> cell name -> images."""
    cases: dict[str, dict[str, ImageSet]] = {}
    for name, cell in cells_of(images).items():
        cases.setdefault(cell.records[0].case, {})[name] = cell
    return {case: cells for case, cells in cases.items() if any(len(cell) != USUAL for cell in cells.values())}


def by_labels(name: str, cell: ImageSet) -> Counted:
    """Return the number of chromosomes of each class in a cell, by its labels."""
    found = Counter(record.label for record in cell.records)
    return Counted(name, {label: found[label] for label in CHROMOSOMES})


def rows_of(classifier: Classifier, cells: dict[str, ImageSet], parts: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    """Return one row per odd cell of a case."""
    found = {name: karyotype(classifier, cell, cell=name) for name, cell in cells.items()}
    truth = {name: by_labels(name, cell) for name, cell in cells.items()}
    told = {name: counted(one) for name, one in found.items()}
    should, said = propose(list(truth.values())), propose(list(told.values()))
    rows = []
    for name, cell in cells.items():
        if len(cell) == USUAL:
            continue
        record = cell.records[0]
        rows.append(
            {
                "cell": name,
                "part": parts[record.case, record.cell],
                "images": len(cell),
                "labelled": written(truth[name].counts),
                "draft": found[name].draft,
                "right": int(told[name].counts == truth[name].counts),
                "unclear": told[name].unclear,
                "should": words(should),
                "said": words(said),
                "verdict": verdict(should, said),
            }
        )
    return rows


def words(proposal: Proposal) -> str:
    """Return what a proposal says: its clones, and the cells that are in none."""
    alone = ", ".join(text for _, text in proposal.alone)
    return (proposal.text or "none") + (f"; in no clone: {alone}" if alone else "")


def verdict(should: Proposal, said: Proposal) -> str:
    """Compare what was said with what should be said: "same", "silent", "fewer" cells with none wrong, or "wrong"."""
    if words(should) == words(said):
        return "same"
    if not said.text:
        return "silent"
    return "fewer" if by_cell(said).items() <= by_cell(should).items() else "wrong"


def by_cell(proposal: Proposal) -> dict[str, str]:
    """Return what a proposal says of each cell that is not left out."""
    return {cell: clone.text for clone in proposal.clones for cell in clone.cells} | dict(proposal.alone)


def summary_of(rows: Sequence[dict[str, Any]], part: str) -> dict[str, Any]:
    """Return the summary row of some odd cells."""
    clear = [row for row in rows if not row["unclear"]]
    verdicts = Counter(row["verdict"] for row in rows)
    return {
        "part": part,
        "cells": len(rows),
        "drafts_right": sum(row["right"] for row in rows),
        "clear": len(clear),
        "clear_right": sum(row["right"] for row in clear),
        **{name: verdicts[name] for name in ("same", "silent", "fewer", "wrong")},
    }


def summaries(rows: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield a summary row for each part of the weights' split, then for all cells."""
    for part in ("train", "val", "test"):
        inside = [row for row in rows if row["part"] == part]
        if inside:
            yield summary_of(inside, f"{part} part of the weights")
    yield summary_of(rows, "all")


def main() -> None:
    """Karyotype the cells and record what would be reported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with pki3.zip")
    parser.add_argument("--model", default=MODEL, help=f"weights (default: {MODEL})")
    options = parser.parse_args()
    classifier = of_network(optimize(create(options.model), "fp32"))
    parts = read_split(split_file("pki3"))
    rows = []
    for case, cells in odd_cases(open_set("pki3", options.data)).items():
        rows += rows_of(classifier, cells, parts)
        print(f"{case}: should be {rows[-1]['should']}; said {rows[-1]['said']}", flush=True)
    weights = {"name": options.model, "weights_sha256": classifier.weights_sha256}
    write("released/case_statements", [{**weights, **row} for row in rows], COLUMNS)
    write("released/case_statements_summary", [{**weights, **row} for row in summaries(rows)], SUMMARY)


if __name__ == "__main__":
    main()
