"""Pieces of the page as HTML. Whatever a file's name may hold, it is text here and nothing else."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass

from gricol_zoo.data.rows import to_csv
from gricol_zoo.files import escaped
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draft import NOTE
from gricol_zoo.karyotype.draw import to_png, to_svg
from gricol_zoo.karyotype.layout import colour_of, lay_out, percent
from gricol_zoo.karyotype.rows import COLUMNS, chromosome_rows
from gricol_zoo.serve.details import Details
from gricol_zoo.serve.session import ZOOM, Cell

TEMPLATE_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "{}$`"}
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')  # in the name of a file, on one system or another
TITLE = '<div class="title"><b>gricol_zoo</b><span>karyotype drafts, for research</span></div>'
MOST_WARNINGS = 8  # that are listed above the karyogram
EMPTY = (
    '<div class="empty"><p>Drop the crops of one cell, or a zip with a folder for each cell, and press <b>Classify</b>.</p>'
    "<p>To go on with a cell, drop its JSON together with its images.</p>"
    "<p>Nothing leaves this machine; uploads are deleted when this tab is closed.</p></div>"
)


def text(words: str) -> str:
    """Return words as HTML text without control characters; also the signs that Gradio's templates read are taken from them."""
    return html.escape(escaped(words)).translate(TEMPLATE_SIGNS)


def karyogram(cell: Cell, selected: int | None) -> str:
    """Return the karyogram as SVG, each chromosome a button that carries its number as ``data-id``."""
    sheet = lay_out(cell.karyotype, cell.pictures, ZOOM, bare=True)
    drawing = to_svg(sheet, ZOOM).removesuffix("</svg>\n")
    buttons = []
    for item in cell.karyotype.chromosomes:
        x, y, width, height = sheet.boxes[item.id]
        chosen = " chosen" if item.id == selected else ""
        place = f'x="{x - 1:g}" y="{y - 5:g}" width="{width + 2:g}" height="{height + 7:g}" rx="5"'
        label = text(_title(item))
        buttons.append(
            f'<rect class="hit{chosen}" data-id="{item.id}" {place} tabindex="0" role="button" aria-label="{label}">'
            f"<title>{label}</title></rect>"
        )
    return f'<div class="karyogram">{drawing}{"".join(buttons)}</svg></div>'


def _title(item: Chromosome) -> str:
    if item.error:
        return f"no. {item.id}: could not be read: {item.error}"
    where = f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"
    if item.edited:
        where = f"{item.assigned or 'unassigned'}, by hand"
    return f"no. {item.id}: {where}"


def heading(karyotype: Karyotype | None) -> str:
    """Return the draft, large, with what must stand beside it."""
    if karyotype is None:
        return EMPTY
    count = f"{len(karyotype.chromosomes)} image{'' if len(karyotype.chromosomes) == 1 else 's'}"
    edits = f" · {len(karyotype.edits)} corrected by hand" if karyotype.edits else ""
    return (
        f'<div class="draft"><b id="draft">{text(karyotype.draft)}</b> <span class="tag">draft</span>'
        f"<span>{text(karyotype.cell)} · {count}{edits}</span></div>"
        f'<p class="note">{text(NOTE)}</p>{warnings_of(karyotype)}'
    )


def warnings_of(karyotype: Karyotype) -> str:
    """Return what should be said of a cell and of its images, as a list; nothing where nothing is."""
    lines = list(karyotype.warnings)
    lines += [f"no. {item.id}: {warning}" for item in karyotype.chromosomes for warning in item.warnings]
    shown = [*lines[:MOST_WARNINGS], *[f"and {len(lines) - MOST_WARNINGS} more, in the files"] * (len(lines) > MOST_WARNINGS)]
    items = "".join(f"<li>{text(line)}</li>" for line in shown)
    return f'<ul class="warnings" id="warnings">{items}</ul>' if items else ""


def doubts(karyotype: Karyotype | None, selected: int | None) -> str:
    """Return the doubtful as a list of buttons, least sure first, then what could not be read."""
    if karyotype is None:
        return ""
    unread = [item for item in karyotype.chromosomes if item.error]
    rows = [_doubt(item, selected) for item in [*karyotype.doubtful(), *unread]]
    if not rows:
        return '<h4>To review</h4><p class="hint">Nothing is doubtful.</p>'
    return f'<h4>To review ({len(rows)}), least certain first</h4><div class="doubts">{"".join(rows)}</div>'


def _doubt(item: Chromosome, selected: int | None) -> str:
    ranked = sorted(item.probabilities.items(), key=lambda pair: -pair[1])[:3]
    seen = ", ".join(f"{label}: {percent(value)}" for label, value in ranked if value >= 0.005)
    where = f"as {item.assigned}, {percent(item.confidence)}" if item.assigned else "unassigned"
    shown = text(item.error) if item.error else f"{text(where)} <i>on its own {text(seen)}</i>"
    chosen = " chosen" if item.id == selected else ""
    return f'<button class="doubt{chosen}" data-id="{item.id}"><b>{item.id}</b><span>{shown}</span></button>'


def details(found: Details | None, ready: bool) -> str:
    """Return one chromosome in detail; before one is chosen, what to do."""
    if found is None:
        return '<p class="hint">Click a chromosome to see it in detail.</p>' if ready else ""
    item = found.item
    title = f'<h4>Chromosome no. {item.id}</h4><p class="path">{text(item.path)}</p>'
    title += "".join(f'<p class="bad">{text(warning)}</p>' for warning in item.warnings)
    if item.error:
        return f'{title}<p class="bad">Could not be read: {text(item.error)}</p>'
    figures = [_figure(found.pictures[item.id], "this one", "this")]
    figures += [_figure(found.pictures[other.id], f"no. {other.id}") for other in found.homologues]
    if found.cam is not None:
        caption = f"Grad-CAM for {found.explained}" if found.speaks else f"nothing speaks for {found.explained}"
        figures.append(_figure(found.cam, caption, "cam"))
    missing = f'<p class="hint">{text(found.missing)}</p>' if found.missing else ""
    bars = "".join(_bar(label, value) for label, value in found.probabilities)
    return (
        f'{title}<p class="now" style="border-color:{colour_of(item)}">{text(_now(item))}</p>'
        f'<div class="figures">{"".join(figures)}</div>{missing}'
        f'<p class="caption">The network on its own gives</p><div class="bars" id="probabilities">{bars}</div>'
    )


def _now(item: Chromosome) -> str:
    if item.edited:
        return f"{item.assigned or 'unassigned'}, by hand (automatic: {item.automatic or 'unassigned'})"
    return f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"


def _figure(png: bytes, caption: str, kind: str = "") -> str:
    return (
        f'<figure class="{kind}"><img alt="" src="{as_url(png, "image/png")}"><figcaption>{text(caption)}</figcaption></figure>'
    )


def _bar(label: str, value: float) -> str:
    return (
        f'<div class="bar"><b>{text(label)}</b><span><i style="width:{max(100 * value, 0.5):.1f}%"></i></span>'
        f"<em>{100 * value:.1f} %</em></div>"
    )


@dataclass(frozen=True)
class Download:
    """A file to take away: its name, MIME type and bytes."""

    name: str
    kind: str
    data: bytes


def files_of(cell: Cell) -> list[Download]:
    """Return a cell's files: CSV (one row a chromosome), JSON (karyotype.json), PNG and SVG (the karyogram)."""
    name = UNSAFE.sub("_", cell.karyotype.cell).strip(" .") or "cell"
    sheet = lay_out(cell.karyotype, cell.pictures, ZOOM)
    table = to_csv(chromosome_rows(cell.karyotype), COLUMNS)
    return [
        Download(f"{name}.csv", "text/csv", table.encode()),
        Download(f"{name}.json", "application/json", cell.karyotype.to_json().encode(errors="backslashreplace")),
        Download(f"{name}.png", "image/png", to_png(sheet, ZOOM)),
        Download(f"{name}.svg", "image/svg+xml", to_svg(sheet, ZOOM).encode()),
    ]


def downloads(cell: Cell | None) -> str:
    """Return links that hold their files: nothing is written for them on the server's side."""
    if cell is None:
        return ""
    links = [
        f'<a class="get" download="{text(file.name)}" href="{as_url(file.data, file.kind)}">{kind}</a>'
        for kind, file in zip(("CSV", "JSON", "PNG", "SVG"), files_of(cell), strict=True)
    ]
    return f'<div class="downloads">Download {"".join(links)}</div>'


def as_url(data: bytes, kind: str) -> str:
    """Return a file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def status(words: str, bad: bool = False) -> str:
    """Return the line that says what became of the last click."""
    return f'<p id="status" class="{"bad" if bad else "good"}" role="status">{text(words)}</p>' if words else ""
