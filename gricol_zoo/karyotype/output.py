"""The files of a karyotype: karyotype.json, karyogram.png, karyogram.svg and chromosomes.csv in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.store import DOCUMENT, PICTURE
from gricol_zoo.data.table import ImageSet
from gricol_zoo.files import write_atomically
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.draw import to_png, to_svg
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.pictures import draw_chromosomes, open_greys
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows

MOST_NAME = 60  # characters of a folder's name; a file system has 255 bytes
FILES = (DOCUMENT, f"{PICTURE}.png", f"{PICTURE}.svg", "chromosomes.csv")


def karyotype_files(karyotype: Karyotype, pictures: Mapping[int, np.ndarray]) -> dict[str, bytes]:
    """Return the files of a cell by their names.

    Args:
        karyotype: of the cell.
        pictures: of its chromosomes, by id (``draw_chromosomes``).
    """
    sheet = lay_out(karyotype, pictures)
    rows = to_csv(chromosome_rows(karyotype), COLUMNS)
    contents = (karyotype.to_json().encode(errors="backslashreplace"), to_png(sheet), to_svg(sheet).encode(), rows.encode())
    return dict(zip(FILES, contents, strict=True))


def write_karyotype(karyotype: Karyotype, images: ImageSet, folder: Path) -> None:
    """Draw a cell and write all of its files.

    Args:
        karyotype: of the cell.
        images: where its images are.
        folder: made if need be.

    Raises:
        GricolZooError: an image is gone, or another than it was; then nothing is written.
        OSError: a file cannot be written.
    """
    files = karyotype_files(karyotype, draw_chromosomes(karyotype, open_greys(karyotype, images)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(folder / name, data)


def folder_names(cells: Iterable[str]) -> list[str]:
    """Return a folder's name for each cell: its own, without what a file system or a shell may stumble over, and unlike."""
    names: dict[str, str] = {}  # by the name in small letters, for some file systems know no others
    counts: dict[str, int] = {}
    for cell in cells:
        plain = re.sub(r"[^\w.\- ]+", "_", cell)[:MOST_NAME].strip(" .") or "cell"
        name, count = plain, counts.get(plain.lower(), 2)
        while name.lower() in names:
            name, count = f"{plain}_{count}", count + 1
        names[name.lower()], counts[plain.lower()] = name, count
    return [*names.values()]
