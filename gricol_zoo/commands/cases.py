"""Functions shared by `karyotype` and `report`: the overview of the cells in a folder, and the proposed result of each case."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.common import count_of
from gricol_zoo.files import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gricol_zoo.karyotype.case.folder import CaseFolder
    from gricol_zoo.karyotype.case.summary import Case

MAX_SAID = 20  # at most this many cases are printed on the terminal


def write_overview(folder: CaseFolder, out: Path) -> None:
    """Write the HTML overview of the cells of a run, and print the proposed result of each case."""
    from gricol_zoo.files import write_atomically
    from gricol_zoo.karyotype.case.batch import OVERVIEW_FILE
    from gricol_zoo.karyotype.case.overview import overview_html
    from gricol_zoo.karyotype.case.summary import cases_of
    from gricol_zoo.karyotype.case.table import CELLS_FILE

    cases = cases_of(folder.cells, folder.failed)
    write_atomically(out / OVERVIEW_FILE, overview_html(cases, folder.karyogram).encode())
    say_cases(cases)
    count = count_of(len(folder.cells), "cell")
    print(f"{count} in {out}; summary in {out / CELLS_FILE}, pictures in {out / OVERVIEW_FILE}", file=sys.stderr)


def say_cases(cases: Sequence[Case]) -> None:
    """Print the proposed result of each case that has several cells, one line per case."""
    from gricol_zoo.karyotype.case.summary import in_a_line

    several = [case for case in cases if len(case.cells) + len(case.failed) > 1]
    for case in several[:MAX_SAID]:
        print(f"case {escaped(case.name) or '(not named)'}: {escaped(in_a_line(case))}")
    if len(several) > MAX_SAID:
        print(f"and {count_of(len(several) - MAX_SAID, 'case')} more")
