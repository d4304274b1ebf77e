"""The files of a karyotype: karyotype.json, karyogram.png, karyogram.svg and chromosomes.csv in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.store import DOCUMENT, PICTURE
from gricol_zoo.data.table import ImageSet
from gricol_zoo.files import write_atomically
from gricol_zoo.karyotype.document import Karyotype
from gricol_zoo.karyotype.draw import PRINT_ZOOM, to_png, to_svg
from gricol_zoo.karyotype.layout import lay_out
from gricol_zoo.karyotype.pictures import Straighten, draw_chromosomes, open_greys
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows

MOST_NAME = 60  # characters of a folder's name; a file system has 255 bytes
CELLS = ["case", "cell", "draft", "images", "unassigned", "unreadable", "doubtful", "scale", "warnings", "checked"]


def write_karyotype(
    karyotype: Karyotype, images: ImageSet, folder: Path, straighten: Straighten | None = None, bright: bool = False
) -> None:
    """Draw a cell and write all of its files.

    Args:
        karyotype: of the cell.
        images: where its images are.
        folder: made if need be.
        straighten: as for ``draw_chromosomes``.
        bright: draw bright bands on black.

    Raises:
        GricolZooError: an image is gone, or another than it was; then nothing is written.
        OSError: a file cannot be written.
    """
    pictures = draw_chromosomes(karyotype, open_greys(karyotype, images), PRINT_ZOOM, straighten)
    sheet = lay_out(karyotype, pictures, PRINT_ZOOM)
    folder.mkdir(parents=True, exist_ok=True)
    karyotype.write(folder / DOCUMENT)
    write_atomically(folder / f"{PICTURE}.png", to_png(sheet, PRINT_ZOOM, bright))
    write_atomically(folder / f"{PICTURE}.svg", to_svg(sheet, PRINT_ZOOM, bright).encode())
    write_atomically(folder / "chromosomes.csv", to_csv(chromosome_rows(karyotype), COLUMNS).encode())


def folder_names(cells: Iterable[str]) -> list[str]:
    """Return a folder's name for each cell: its own, without what a file system or a shell may stumble over, and unlike."""
    names: list[str] = []
    for cell in cells:
        plain = re.sub(r"[^\w.\- ]+", "_", cell)[:MOST_NAME].strip(" .") or "cell"
        name, count = plain, 2
        while name.lower() in {other.lower() for other in names}:
            name, count = f"{plain}_{count}", count + 1
        names.append(name)
    return names


def cells_table(karyotypes: Sequence[Karyotype], file: Path, failed: Mapping[str, str] | None = None) -> None:
    """Write one row a cell: its draft, and how much of it a person should look at; or why it failed, as its warning."""
    rows: list[dict[str, object]] = [
        {
            "case": item.case,
            "cell": item.cell,
            "draft": item.draft,
            "images": len(item.chromosomes),
            "unassigned": sum(not one.assigned and not one.error for one in item.chromosomes),
            "unreadable": sum(bool(one.error) for one in item.chromosomes),
            "doubtful": len(item.doubtful()),
            "scale": f"{item.scale:g}",
            "warnings": "; ".join(item.warnings),
            "checked": "",
        }
        for item in karyotypes
    ]
    rows += [{"cell": cell, "warnings": f"failed: {why}"} for cell, why in (failed or {}).items()]
    write_atomically(file, to_csv(rows, CELLS).encode())
