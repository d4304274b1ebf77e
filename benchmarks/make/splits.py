"""Make the committed splits: 80/10/10 by case (Pki-3) or cell (Q-band), seed 0, both sexes in each part.

    python -m benchmarks.make.splits --data qband.zip --out benchmarks/splits/qband.csv
    python -m benchmarks.make.splits --data pki3.zip --out benchmarks/splits/pki3_counts.csv --test-not-46

With ``--test-not-46`` the test part is every case that has a cell without exactly 46 chromosomes, to test copy numbers on.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, check_leaks, make_split, read_split, write_split
from gricol_zoo.data.table import Record


def split_by_counts(records: Sequence[Record], seed: int) -> list[dict[str, str]]:
    """Return split rows: cases with a cell that does not have 46 chromosomes are test, the others train and val."""
    sizes = Counter((record.case, record.cell) for record in records)
    kept = {case for (case, _), size in sizes.items() if size != 46}
    rest = make_split([record for record in records if record.case not in kept], seed)
    rows = [{**row, "part": "val" if row["part"] == "val" else "train"} for row in rest]
    rows += [{"case": case, "cell": cell, "part": "test"} for case, cell in sizes if case in kept]
    return sorted(rows, key=lambda row: (row["case"], row["cell"]))


def main() -> None:
    """Make one split, check it and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-not-46", action="store_true", help="test on the cases with a cell without 46 chromosomes")
    options = parser.parse_args()
    images = open_images(options.data)
    split = split_by_counts if options.test_not_46 else make_split
    write_split(split(images.records, options.seed), options.out)
    parts = apply_split(images, read_split(options.out))
    check_leaks(parts)
    for part, subset in parts.items():
        print(part, len(subset), "images,", len({record.cell for record in subset.records}), "cells")


if __name__ == "__main__":
    main()
