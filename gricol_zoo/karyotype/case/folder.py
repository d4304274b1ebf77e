"""A case from the folder that ``karyotype`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.store import DOCUMENT, PICTURE
from gricol_zoo.errors import GricolZooError
from gricol_zoo.karyotype.case.summary import Failed
from gricol_zoo.karyotype.case.table import CELLS_FILE, FAILED
from gricol_zoo.karyotype.document import Karyotype, signature_file
from gricol_zoo.karyotype.output import FILES
from gricol_zoo.karyotype.reading import read_karyotype


@dataclass(frozen=True)
class CaseFolder:
    """Cells that were written into a folder.

    Attributes:
        cells: their current karyotypes.
        places: the folder of each, in the same order.
        failed: cells without a karyotype, according to cells.csv.
    """

    cells: Sequence[Karyotype]
    places: Sequence[Path]
    failed: Sequence[Failed] = ()

    def karyogram(self, cell: Karyotype) -> bytes:
        """Return the PNG of a cell's karyogram, b"" if there is none.

        Raises:
            OSError: it cannot be read.
        """
        return self.files(cell).get(f"{PICTURE}.png", b"")

    def files(self, cell: Karyotype) -> dict[str, bytes]:
        """Return the files of a cell, by their names, including its signature if there is one.

        Raises:
            OSError: one cannot be read.
        """
        place = self.places[[one.cell for one in self.cells].index(cell.cell)]
        names = (*FILES, signature_file(place / DOCUMENT).name)
        return {name: (place / name).read_bytes() for name in names if (place / name).is_file()}


def read_folder(folder: Path) -> CaseFolder:
    """Read each karyotype.json in a folder and in its subfolders, and from cells.csv the cells without one.

    Raises:
        GricolZooError: there is no karyotype.json; one is damaged, or was edited but not drawn again; two are of one cell.
        OSError: a file cannot be read.
    """
    records = sorted([*folder.glob(DOCUMENT), *folder.glob(f"*/{DOCUMENT}")])
    if not records:
        raise GricolZooError(f"{folder} has no {DOCUMENT}. Expected a folder that `gricol-zoo karyotype` wrote.")
    cells: dict[str, Karyotype] = {}
    for record in records:
        cell = read_karyotype(record)
        if cell.note_edits().edits != list(cell.edits):
            raise GricolZooError(f"{record} has edits that are not drawn. Redraw it with `gricol-zoo karyotype` first.")
        if cell.cell in cells:
            raise GricolZooError(f"{record} is of the same cell as another {DOCUMENT}: {cell.cell!r}. Move one of them.")
        cells[cell.cell] = cell
    return CaseFolder(list(cells.values()), [record.parent for record in records], _failed(folder / CELLS_FILE))


def _failed(table: Path) -> list[Failed]:
    if not table.is_file():
        return []
    rows = [row for row in read_csv(table) if row.get("warnings", "").startswith(FAILED)]
    return [Failed(row.get("cell", ""), row["warnings"].removeprefix(FAILED), row.get("case", "")) for row in rows]
