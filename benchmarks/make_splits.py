"""Make the committed splits: 80/10/10 by case (Pki-3) or cell (Q-band), seed 0, both sexes in each part.

python benchmarks/make_splits.py --data qband.zip --out benchmarks/splits/qband.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import apply_split, check_leaks, make_split, read_split, write_split


def main() -> None:
    """Make one split, check it and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images = open_images(options.data)
    write_split(make_split(images.records, options.seed), options.out)
    parts = apply_split(images, read_split(options.out))
    check_leaks(parts)
    for part, subset in parts.items():
        print(part, len(subset), "images,", len({record.cell for record in subset.records}), "cells")


if __name__ == "__main__":
    main()
