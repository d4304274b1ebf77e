"""The content of a case's report, as data: the HTML and the PDF are both written from it, so they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gricol_zoo import __version__
from gricol_zoo.karyotype.case.clones import GAIN, LOSS
from gricol_zoo.karyotype.case.summary import Case, sentences
from gricol_zoo.karyotype.checked import CHECKED, checked_by
from gricol_zoo.karyotype.document import Edit, Karyotype, now

RESEARCH = "Research, not a finding"
KARYOGRAMS = 2  # most karyograms in a report
MAX_EDITS, MAX_WARNINGS = 200, 100  # most that are listed; the rest is in each karyotype.json
NOTE = "A draft by software that counts whole chromosomes, for a person to check; not made by a medical device."
RULE = (
    f"A proposal by ISCN's rule for clones: the same gain in at least {GAIN} cells, the same loss in at least {LOSS}. Whole "
    "chromosomes were counted by software; structural changes are not looked for."
)
MEANING = (
    "Counted: all images of the cell could be read. Analysed: every chromosome also has a class, no class is in doubt and "
    "there are no warnings, or a person checked the cell. Karyotyped: a person also checked the karyogram."
)


@dataclass(frozen=True)
class Heading:
    """The title of a section."""

    words: str


@dataclass(frozen=True)
class Paragraph:
    """Sentences; ``strong`` is for what must not be missed."""

    words: str
    strong: bool = False


@dataclass(frozen=True)
class Grid:
    """A table; ``shares`` are the columns' fractions of its width. Without ``columns`` it has no header."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    shares: Sequence[float]


@dataclass(frozen=True)
class Karyogram:
    """The place of a cell's karyogram."""

    cell: str
    caption: str


Block = Heading | Paragraph | Grid | Karyogram


@dataclass(frozen=True)
class Report:
    """A report: its title, the footer of each page, and its blocks in their order."""

    title: str
    footer: str
    blocks: Sequence[Block]


def report_of(case: Case, time: str = "") -> Report:
    """Return the report of a case, made at ``time`` (default: now; ISO 8601, UTC)."""
    time = time or now()
    name = case.name or "no case named"
    blocks: list[Block] = [Paragraph(f"{RESEARCH}. {NOTE}", strong=True)]
    blocks += _proposed(case)
    blocks += _looked_at(case)
    blocks += _karyograms(case)
    blocks += _cells(case)
    blocks += _warnings(case)
    blocks += _edits(case)
    blocks += _made_with(case, time)
    blocks += _checked(case)
    return Report(f"Karyotype report, draft: {name}", f"{RESEARCH} · {name} · {time}", blocks)


def _proposed(case: Case) -> list[Block]:
    proposal = case.proposal
    text = proposal.text or f"none: {proposal.reason}"
    clones = [[clone.text, str(len(clone.cells)), ", ".join(clone.cells)] for clone in proposal.clones]
    return [
        Heading("Proposed karyotype"),
        Paragraph(text, strong=True),
        Paragraph(RULE),
        *[Paragraph(sentence) for sentence in sentences(case)],
        *([Grid(["clone", "cells", "which"], clones, [0.3, 0.1, 0.6])] if clones else []),
        *([Grid(["left out", "because"], [*map(list, proposal.unclear)], [0.3, 0.7])] if proposal.unclear else []),
    ]


def _looked_at(case: Case) -> list[Block]:
    totals = case.totals
    rows = [[name, str(number)] for name, number in totals._asdict().items()]
    return [Heading("Cells"), Grid([], rows, [0.3, 0.7]), Paragraph(MEANING)]


def chosen(case: Case) -> list[Karyotype]:
    """Return the cells whose karyograms a report shows: one of each clone, with checked cells and the surest ones first."""
    ranked = sorted(case.cells, key=lambda cell: (not checked_by(cell), len(cell.doubtful()), len(cell.warnings)))
    by_clone = [[cell for cell in ranked if cell.cell in clone.cells] for clone in case.proposal.clones]
    first = [cells[0] for cells in by_clone if cells]
    rest = [cell for cells in [*by_clone, ranked] for cell in cells]
    return list({id(cell): cell for cell in [*first, *rest]}.values())[:KARYOGRAMS]


def _karyograms(case: Case) -> list[Block]:
    shown = [Karyogram(cell.cell, f"{cell.cell}: {cell.draft} (draft)") for cell in chosen(case)]
    return [Heading("Karyograms"), *shown] if shown else []


def _cells(case: Case) -> list[Block]:
    if not case.cells:
        return []
    rows = [
        [
            cell.cell,
            cell.draft,
            str(len(cell.chromosomes)),
            str(len(cell.doubtful())),
            str(len(cell.edits)),
            checked_by(cell) or "no",
        ]
        for cell in case.cells
    ]
    return [
        Heading("Cell by cell"),
        Grid(["cell", "draft", "images", "in doubt", "edits", "checked"], rows, [0.2, 0.27, 0.1, 0.1, 0.07, 0.26]),
    ]


def _warnings(case: Case) -> list[Block]:
    rows = [[cell.cell, warning] for cell in case.cells for warning in cell.warnings]
    return [Heading("Warnings"), *_listed(["cell", "warning"], rows, [0.24, 0.76], MAX_WARNINGS)]


def _edits(case: Case) -> list[Block]:
    rows = [[cell.cell, edit.time, edit.by or "not named", _changed(edit)] for cell in case.cells for edit in cell.edits]
    return [Heading("Edits by hand"), *_listed(["cell", "time", "by", "change"], rows, [0.22, 0.25, 0.18, 0.35], MAX_EDITS)]


def _changed(edit: Edit) -> str:
    if edit.what == CHECKED:
        return "the cell checked" if edit.after else "the cell opened again"
    what = "" if edit.what in ("assigned", "turned") else f"{edit.what} "
    return f"no. {edit.id}: {what}{edit.before or 'unassigned'} to {edit.after or 'unassigned'}"


def _listed(columns: list[str], rows: list[list[str]], shares: list[float], maximum: int) -> list[Block]:
    if not rows:
        return [Paragraph("None.")]
    more = [Paragraph(f"And {len(rows) - maximum} more, in each cell's karyotype.json.")] if len(rows) > maximum else []
    return [Grid(columns, rows[:maximum], shares), *more]


def _made_with(case: Case, time: str) -> list[Block]:
    weights = list(dict.fromkeys((cell.model.get("name", ""), cell.model.get("weights_sha256", "")) for cell in case.cells))
    rows = [["report made", f"{time} by gricol_zoo {__version__}"]]
    for name, sha256 in weights:
        rows += [["weights", name or "unknown"], ["their SHA-256", sha256 or "unknown"]]
    made = sorted({cell.versions.get("gricol_zoo", "unknown") for cell in case.cells})
    rows += [["cells karyotyped by", f"gricol_zoo {', '.join(made)}"]] if made else []
    return [Heading("Made with"), Grid([], rows, [0.24, 0.76])]


def _checked(case: Case) -> list[Block]:
    rows = [[cell.cell, by] for cell in case.cells if (by := checked_by(cell))]
    said: list[Block] = [Paragraph("No cell was checked by a person.")]
    if rows:
        said = [Grid(["cell", "checked by"], rows, [0.4, 0.6])]
    if len(rows) < len(case.cells):
        said.append(Paragraph(f"Not checked: {len(case.cells) - len(rows)} of {len(case.cells)} cells."))
    line = "_" * 28
    return [Heading("Who checked"), *said, Paragraph(f"Name {line}  Date {line}")]
