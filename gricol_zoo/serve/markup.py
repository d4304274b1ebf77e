"""Pieces of the page as HTML. File names and other texts are always escaped."""

from __future__ import annotations

from gricol_zoo.files import data_url
from gricol_zoo.karyotype.bands import say_model, with_band
from gricol_zoo.karyotype.case.page import text as as_html
from gricol_zoo.karyotype.checked import checked_by
from gricol_zoo.karyotype.document import Chromosome, Karyotype
from gricol_zoo.karyotype.draft import NOTE
from gricol_zoo.karyotype.ideogram import to_svg as to_ideogram
from gricol_zoo.karyotype.layout import colour_of, percent
from gricol_zoo.karyotype.review import corrections
from gricol_zoo.serve.compare import TALL
from gricol_zoo.serve.details import Details

TEMPLATE_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "{}$`"}
TITLE = '<div class="title"><b>gricol_zoo</b><span>karyotype drafts, for research</span></div>'
MAX_WARNINGS = 8  # most that are listed above the karyogram
EMPTY = (
    '<div class="empty"><p>Drop the crops of one cell, or a zip with a folder for each cell, and press <b>Classify</b>.</p>'
    "<p>To continue with a cell, drop its saved zip, or its JSON together with its images.</p>"
    "<p>Nothing leaves this machine; uploads are deleted a minute after this tab is closed.</p></div>"
)


def text(words: str) -> str:
    """Return text escaped for HTML, without control characters; signs that Gradio's templates interpret are escaped too."""
    return as_html(words).translate(TEMPLATE_SIGNS)


def heading(karyotype: Karyotype | None) -> str:
    """Return the draft, large, with the notes and warnings that belong to it."""
    if karyotype is None:
        return EMPTY
    count = f"{len(karyotype.chromosomes)} image{'' if len(karyotype.chromosomes) == 1 else 's'}"
    edits = len(corrections(karyotype.edits))
    said = [karyotype.cell, count, say_model(karyotype)]
    said += [f"{edits} correction{'' if edits == 1 else 's'} by hand"] * bool(edits)
    by = checked_by(karyotype)
    tag = f'<span class="tag checked">checked: {text(by)}</span>' if by else '<span class="tag">draft</span>'
    return (
        f'<div class="draft"><b id="draft">{text(karyotype.draft)}</b> {tag}'
        f'<span title="{text(_fits_of(karyotype))}">{text(" · ".join(said))}</span></div>'
        f'<p class="note">{text(NOTE)}</p>{warnings_of(karyotype)}'
    )


def together(number: int) -> str:
    """Return the heading above the overview of ``number`` cells."""
    said = f"<b>{number} cell{'' if number == 1 else 's'}</b><span>Click one to work on it.</span>"
    return f'<div class="draft">{said}</div><p class="note">{text(NOTE)}</p>'


def _fits_of(karyotype: Karyotype) -> str:
    """Return how well each model fitted, for the tooltip."""
    fit = karyotype.options.get("fit")
    known = fit.items() if isinstance(fit, dict) else ()
    return ", ".join(f"{with_band(str(name))} {value:.2f}" for name, value in known if isinstance(value, float))


def warnings_of(karyotype: Karyotype) -> str:
    """Return the warnings of a cell and of its images as an HTML list; "" if there are none."""
    lines = list(karyotype.warnings)
    lines += [f"no. {item.id}: {warning}" for item in karyotype.chromosomes for warning in item.warnings]
    shown = [*lines[:MAX_WARNINGS], *[f"and {len(lines) - MAX_WARNINGS} more, in the files"] * (len(lines) > MAX_WARNINGS)]
    items = "".join(f"<li>{text(line)}</li>" for line in shown)
    return f'<ul class="warnings" id="warnings">{items}</ul>' if items else ""


def doubts(karyotype: Karyotype | None, selected: int | None) -> str:
    """Return the doubtful chromosomes as a list of buttons, least sure first, then the unreadable images."""
    if karyotype is None:
        return ""
    unread = [item for item in karyotype.chromosomes if item.error]
    rows = [_doubt(item, selected) for item in [*karyotype.doubtful(), *unread]]
    if not rows:
        return '<h4>To review</h4><p class="hint">Nothing is in doubt.</p>'
    return f'<h4>To review ({len(rows)}), least certain first</h4><div class="doubts">{"".join(rows)}</div>'


def _doubt(item: Chromosome, selected: int | None) -> str:
    ranked = sorted(item.probabilities.items(), key=lambda pair: -pair[1])[:3]
    seen = ", ".join(f"{label}: {percent(value)}" for label, value in ranked if value >= 0.005)
    where = f"as {item.assigned}, {percent(item.confidence)}" if item.assigned else "unassigned"
    shown = text(item.error) if item.error else f"{text(where)} <i>on its own {text(seen)}</i>"
    chosen = " chosen" if item.id == selected else ""
    return f'<button class="doubt{chosen}" data-id="{item.id}"><b>{item.id}</b><span>{shown}</span></button>'


def details(found: Details | None, ready: bool) -> str:
    """Return one chromosome in detail; before one is selected, a hint."""
    if found is None:
        return '<p class="hint">Click a chromosome to see it in detail.</p>' if ready else ""
    item = found.item
    title = f'<h4>Chromosome no. {item.id}</h4><p class="path">{text(item.path)}</p>'
    title += "".join(f'<p class="bad">{text(warning)}</p>' for warning in item.warnings)
    if item.error:
        return f'{title}<p class="bad">Could not be read: {text(item.error)}</p>'
    figures = [
        f'<figure class="band">{to_ideogram(found.explained, TALL)}<figcaption>{text(found.explained)}</figcaption></figure>'
    ]
    figures += [_figure(found.pictures[item.id], "this one", "this")]
    figures += [_figure(found.pictures[other.id], f"no. {other.id}") for other in found.homologues]
    if found.cam is not None and found.speaks:
        figures.append(_figure(found.cam, f"Grad-CAM for {found.explained}", "cam"))
    missing = found.missing or (
        f"Grad-CAM: no position supports {found.explained}" if found.cam is not None and not found.speaks else ""
    )
    said = f'<p class="hint">{text(missing)}</p>' if missing else ""
    bars = "".join(_bar(label, value) for label, value in found.probabilities)
    return (
        f'{title}<p class="now" style="border-color:{colour_of(item)}">{text(_now(item))}</p>{_classes(found)}'
        f'<div class="figures">{"".join(figures)}</div>{said}'
        f'<p class="caption">The network on its own gives</p><div class="bars" id="probabilities">{bars}</div>'
    )


def _classes(found: Details) -> str:
    """Return a small button for each class: unlike a drop-down list, they never cover a picture."""
    now = found.item.assigned
    places = [*((label, label, f"move to {label}") for label in found.labels), ("", "none", "unassigned (U)")]
    marks = {now: ' class="now-class"'}
    buttons = [
        f'<button data-move="{text(label)}"{marks.get(label, "")} title="{text(title)}">{text(words)}</button>'
        for label, words, title in places
    ]
    return f'<div class="classes" role="group" aria-label="move to a class">{"".join(buttons)}</div>'


def _now(item: Chromosome) -> str:
    if item.edited:
        return f"{item.assigned or 'unassigned'}, by hand (automatic: {item.automatic or 'unassigned'})"
    if item.settled:
        return f"{item.assigned or 'unassigned'}, confirmed"
    return f"{item.assigned}, confidence {percent(item.confidence)}" if item.assigned else "unassigned"


def _figure(png: bytes, caption: str, kind: str = "") -> str:
    image = f'<img alt="" src="{data_url(png, "image/png")}">'
    return f'<figure class="{kind}">{image}<figcaption>{text(caption)}</figcaption></figure>'


def _bar(label: str, value: float) -> str:
    return (
        f'<div class="bar"><b>{text(label)}</b><span><i style="width:{max(100 * value, 0.5):.1f}%"></i></span>'
        f"<em>{100 * value:.1f} %</em></div>"
    )


def status(words: str, bad: bool = False) -> str:
    """Return the line with the result of the last action."""
    return f'<p id="status" class="{"bad" if bad else "good"}" role="status">{text(words)}</p>' if words else ""
