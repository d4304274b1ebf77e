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
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.draw import PRINT_ZOOM, to_png, to_svg
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.pictures import Straighten, draw_chromosomes, open_greys
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows

MAX_NAME = 60  # characters of a folder's name; a file system has 255 bytes
FILES = (DOCUMENT, f"{PICTURE}.png", f"{PICTURE}.svg", "chromosomes.csv")


def karyotype_files(
    karyotype: Karyotype, pictures: Mapping[int, np.ndarray], zoom: int = 2, bright: bool = False
) -> dict[str, bytes]:
    """Return the files of a cell by their names.

    Args:
        karyotype: karyotype of the cell.
        pictures: pictures of its chromosomes, by id (``draw_chromosomes``).
        zoom: zoom of the pictures.
        bright: draw bright bands on black.
    """
    sheet = lay_out(karyotype, pictures, zoom, checked=checked_by(karyotype))
    rows = to_csv(chromosome_rows(karyotype), COLUMNS)
    drawn = (to_png(sheet, zoom, bright), to_svg(sheet, zoom, bright).encode())
    contents = (karyotype.to_json().encode(errors="backslashreplace"), *drawn, rows.encode())
    return dict(zip(FILES, contents, strict=True))


def write_karyotype(
    karyotype: Karyotype, images: ImageSet, folder: Path, straighten: Straighten | None = None, bright: bool = False
) -> None:
    """Draw a cell and write all of its files.

    Args:
        karyotype: karyotype of the cell.
        images: where its images are.
        folder: created if it does not exist.
        straighten: as for ``draw_chromosomes``.
        bright: draw bright bands on black.

    Raises:
        GricolZooError: an image is missing or has changed; then nothing is written.
        OSError: a file cannot be written.
    """
    pictures = draw_chromosomes(karyotype, open_greys(karyotype, images), PRINT_ZOOM, straighten)
    files = karyotype_files(karyotype, pictures, PRINT_ZOOM, bright)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(folder / name, data)


def folder_names(cells: Iterable[str]) -> list[str]:
    """Return a different folder name for each cell: its own name, without characters that a file system or shell may reject."""
    names: dict[str, str] = {}  # by the name in lower case, because some file systems ignore case
    counts: dict[str, int] = {}
    for cell in cells:
        plain = re.sub(r"[^\w.\- ]+", "_", cell)[:MAX_NAME].strip(" .") or "cell"
        name, count = plain, counts.get(plain.lower(), 2)
        while name.lower() in names:
            name, count = f"{plain}_{count}", count + 1
        names[name.lower()], counts[plain.lower()] = name, count
    return [*names.values()]
