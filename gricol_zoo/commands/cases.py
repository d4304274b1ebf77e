"""What `karyotype` and `report` share: the overview of the cells in a folder, and what their cases propose."""

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

MOST_SAID = 20  # cases that are named on the terminal


def write_overview(folder: CaseFolder, out: Path) -> None:
    """Write the overview of the cells of a run, and say what their cases propose."""
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
    """Print what each case of several cells proposes, a line each."""
    from gricol_zoo.karyotype.case.summary import in_a_line

    several = [case for case in cases if len(case.cells) + len(case.failed) > 1]
    for case in several[:MOST_SAID]:
        print(f"case {escaped(case.name) or '(not named)'}: {escaped(in_a_line(case))}")
    if len(several) > MOST_SAID:
        print(f"and {count_of(len(several) - MOST_SAID, 'case')} more")
