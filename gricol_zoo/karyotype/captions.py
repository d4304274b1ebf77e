"""The text of a karyogram: the heading above the chromosomes, and the list of what to review below them."""

from __future__ import annotations

from textwrap import wrap

from gricol_zoo.karyotype.bands import band_of
from gricol_zoo.karyotype.document import DOUBTFUL, Karyotype
from gricol_zoo.karyotype.doubts import describe_doubt, odd_counts, of_class, of_count, say_counts
from gricol_zoo.karyotype.draft import NOTE
from gricol_zoo.karyotype.shapes import (
    DOUBTFUL_COLOUR,
    EDITED,
    FAIR,
    GREY,
    LINE,
    MARGIN,
    SURE,
    Bar,
    Sheet,
    Text,
    shortened,
    width_of,
)

SURE_FROM = 0.99
WIDTH = 752.0  # of a line of text; the sheet is wider by the margins
LETTERS = 88  # characters per line of a warning
MAX_LISTED = 12
ALIGNED = "All at one scale, short arm up where it is known, centromeres on the grey line as software found them."
TO_SIGN = "_" * 24


def heading(sheet: Sheet, karyotype: Karyotype, checked: str) -> float:
    """Write the description of the cell and its warnings; return the y where the heading ends.

    Args:
        sheet: sheet to write on.
        karyotype: karyotype of the cell.
        checked: who checked it, and when; "" leaves a line for a signature.
    """
    y = _title(sheet, f"{karyotype.draft}   (draft)")
    for words in (_about(karyotype), _made_by(karyotype, checked)):
        sheet.shapes.append(Text(MARGIN, y, shortened(words, 12, WIDTH), 12, colour=GREY))
        y += LINE
    y += 2
    for warning in karyotype.warnings:
        y = _lines(sheet, y, f"Warning: {warning}", DOUBTFUL_COLOUR)
    return legend(sheet, y)


def _title(sheet: Sheet, words: str) -> float:
    """Write the karyotype; a long one is smaller, in several lines broken at its commas. Return where it ends."""
    size, lines = 24, [words]
    if width_of(words, size) > WIDTH:
        size = 16
        lines = [line.replace(", ", ",") for line in wrap(words.replace(",", ", "), int(WIDTH / width_of("m", size)))]
    for number, line in enumerate(lines):
        sheet.shapes.append(Text(MARGIN, 34 + number * 22, line, size))
    return 36 + 22.0 * len(lines)


def _about(karyotype: Karyotype) -> str:
    count = len(karyotype.chromosomes)
    name = karyotype.cell if len(karyotype.cell) < 50 else karyotype.cell[:48] + "…"
    parts = [f"Case {karyotype.case}"] * bool(karyotype.case) + [f"Cell {name}"] * bool(name)
    parts += [band_of(str(karyotype.model.get("name", ""))), karyotype.time[:10], f"{count} image{'' if count == 1 else 's'}"]
    return " · ".join(filter(None, parts))


def _made_by(karyotype: Karyotype, checked: str) -> str:
    name, sha = karyotype.model.get("name", ""), karyotype.model.get("weights_sha256", "")
    weights = f"Weights {name or 'without a name'}" + f" (sha256 {sha[:12]})" * bool(sha)
    return f"{weights} · Checked by: {checked or TO_SIGN}"


def legend(sheet: Sheet, y: float) -> float:
    """Write what the colours mean, on the baseline y; return where the legend ends."""
    x = float(MARGIN)
    for colour, words in (
        (SURE, f"sure (from {SURE_FROM:.0%})"),
        (FAIR, f"from {DOUBTFUL:.0%}"),
        (DOUBTFUL_COLOUR, "doubtful"),
        (EDITED, "edited by hand"),
    ):
        sheet.shapes += [Bar(x, y - 8, 18, 6, fill=colour), Text(x + 24, y, words, 12, colour=GREY)]
        x += 46 + 6.4 * len(words)
    return y + 17


def review_list(sheet: Sheet, y: float, karyotype: Karyotype) -> float:
    """Write the counts to confirm, the classes to review, what could not be read and warnings; return where it ends."""
    counts, classes = say_counts(karyotype), of_class(karyotype)
    odd = odd_counts(karyotype)
    alone = [item for item in karyotype.doubtful() if of_count(item, odd)]
    unread = [item for item in karyotype.chromosomes if item.error]
    warnings = [f"no. {item.id}: {warning}" for item in karyotype.chromosomes for warning in item.warnings]
    warnings = [warning for warning in warnings if warning not in karyotype.warnings]  # shown in the heading
    if alone:
        counts += f" (no. {', '.join(str(item.id) for item in alone)} {'is' if len(alone) == 1 else 'are'} marked for it alone)"
    parts = [
        ("Counts to confirm", [counts] if counts else [], ""),
        ("Classes to review, least certain first", [describe_doubt(item) for item in classes], "in karyotype.json"),
        ("Not readable", [f"no. {item.id}: {item.error}" for item in unread], "that could not be read"),
        ("Image warnings", warnings, "warnings, in karyotype.json"),
    ]
    y += 6
    for title, lines, rest in parts:
        if lines:
            more = [f"and {len(lines) - MAX_LISTED} more {rest}"] if len(lines) > MAX_LISTED else []
            y = _part(sheet, y, title, [*lines[:MAX_LISTED], *more])
    if not any(lines for _, lines, _ in parts):
        y = _part(sheet, y, "Nothing doubtful", [])
    return y


def closing(sheet: Sheet, y: float) -> float:
    """Write how the chromosomes are arranged, and that it is a draft; return where it ends."""
    for words in (ALIGNED, NOTE):
        sheet.shapes.append(Text(MARGIN, y, words, 11, colour=GREY))
        y += 16
    return y


def _part(sheet: Sheet, y: float, title: str, lines: list[str]) -> float:
    sheet.shapes.append(Text(MARGIN, y, title, 15))
    y += LINE
    for line in lines:
        y = _lines(sheet, y, line)
    return y + 8


def _lines(sheet: Sheet, y: float, words: str, colour: str = "#000000") -> float:
    """Write text in as many lines as it needs; return where it ends."""
    for line in wrap(words, LETTERS) or [""]:
        sheet.shapes.append(Text(MARGIN, y, shortened(line, 13, WIDTH), 13, colour=colour))
        y += LINE
    return y
