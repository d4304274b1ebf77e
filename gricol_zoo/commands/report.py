"""``gricol-zoo report``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.cases import say_cases
from gricol_zoo.commands.common import count_of
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.karyotype.document import Karyotype

MAX_NAMED = 5  # a message names at most this many cases
HELP = "write the table, overview and report of each case from an output folder of `karyotype`"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("source", type=Path, metavar="FOLDER", help="an output folder of `karyotype`, reviewed or not")
    command.add_argument("--out", type=Path, metavar="DIR", help="folder for the files (default: FOLDER)")
    command.add_argument("--case", default=None, metavar="NAME", help="report only this case (default: all cases)")
    command.add_argument("--zip", type=Path, metavar="FILE", help="write everything, including each cell's files, into a zip")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.files import write_atomically
    from gricol_zoo.karyotype.case.batch import can_pdf, case_files, cell_files, to_zip
    from gricol_zoo.karyotype.case.folder import read_folder
    from gricol_zoo.karyotype.case.summary import cases_of

    if options.zip and options.out:
        raise GricolZooError("Expected --out or --zip, but got both. A zip holds everything.")
    found = read_folder(options.source)
    cells, failed = found.cells, found.failed
    if options.case is not None:
        cells, failed = of_case(options.case, found.cells), [one for one in found.failed if one.case == options.case]
    pdf = can_pdf()
    if not pdf:
        print("no PDF written. To write reports also as PDF, run: pip install 'gricol_zoo[viz]'", file=sys.stderr)
    files = case_files(cells, failed, found.files, pdf=pdf)
    say_cases(cases_of(cells, failed))
    if options.zip:
        write_atomically(options.zip, to_zip([*files, *cell_files(cells, found.files)]))
        print(f"{count_of(len(cells), 'cell')} in {options.zip}", file=sys.stderr)
        return 0
    out = options.out or options.source
    out.mkdir(parents=True, exist_ok=True)
    for name, data in files:
        write_atomically(out / name, data)
        print(out / name)
    return 0


def of_case(name: str, cells: Sequence[Karyotype]) -> list[Karyotype]:
    """Return the cells of a case.

    Raises:
        GricolZooError: there is no such case (the message names some of the cases).
    """
    found = [cell for cell in cells if cell.case == name]
    if not found:
        names = list(dict.fromkeys(cell.case or "(not named)" for cell in cells))
        more = " ..." if len(names) > MAX_NAMED else ""
        raise GricolZooError(f"No case {name!r} among {len(names)}. Cases: {', '.join(names[:MAX_NAMED])}{more}.")
    return found
