"""The ideogram of a class: its arms and major bands as a drawing to compare a picture with.

``assets/ideograms.csv`` has the length of each chromosome, its centromere and its dark and variable bands, in megabases. The
positions are those of the human assembly hg19 in UCSC's table ``cytoBand`` (Furey and Haussler, 2003), whose names and shades
are ISCN's; neighbouring bands that a light microscope does not separate at 400 bands are left out or joined.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent.parent / "assets" / "ideograms.csv"
WHOLE, CENTROMERE = "pter-qter", "acen"
SHADES = {
    "gpos25": "#c9c9c9",
    "gpos50": "#8e8e8e",
    "gpos75": "#4f4f4f",
    "gpos100": "#111111",
    "gvar": "#b7a98c",
    "stalk": "#ffffff",
}
WIDTH, WAIST = 15.0, 4.0  # of a chromosome and of its centromere and stalks, in the units of the drawing
EDGE = "#555555"


@dataclass(frozen=True)
class Band:
    """A band: its ISCN name, its start and end in megabases from the end of the short arm, and its stain."""

    name: str
    start: float
    end: float
    stain: str


@dataclass(frozen=True)
class Ideogram:
    """A chromosome's bands.

    Attributes:
        length: in megabases.
        centromere: its position, in megabases from the end of the short arm.
        bands: all except the light ones, from the end of the short arm on.
    """

    length: float
    centromere: float
    bands: tuple[Band, ...]


@cache
def ideograms() -> dict[str, Ideogram]:
    """Return the table by class: "1" to "22", "X" and "Y"."""
    rows: dict[str, list[Band]] = {}
    with TABLE.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            band = Band(row["band"], float(row["start"]), float(row["end"]), row["stain"])
            rows.setdefault(row["chromosome"], []).append(band)
    found = {}
    for label, bands in rows.items():
        whole = next(band for band in bands if band.name == WHOLE)
        middle = next(band.end for band in bands if band.stain == CENTROMERE)
        found[label] = Ideogram(whole.end, middle, tuple(band for band in bands if band.name != WHOLE))
    return found


def to_svg(label: str, height: float) -> str:
    """Return the ideogram of a class as SVG, short arm up and ``height`` units long; "" for a class that has none."""
    one = ideograms().get(label)
    if one is None:
        return ""
    unit = height / one.length
    shapes = [_arm(0, one.centromere * unit), _arm(one.centromere * unit, height)]
    shapes += [_band(band, unit) for band in one.bands if band.stain != CENTROMERE]
    shapes += _centromere(one, unit)
    return (
        f'<svg class="ideogram" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="ideogram of {label}" '
        f'width="{WIDTH + 2:g}" height="{height + 2:g}" viewBox="-1 -1 {WIDTH + 2:g} {height + 2:g}">{"".join(shapes)}</svg>'
    )


def _arm(top: float, foot: float) -> str:
    return f'<rect x="0" y="{top:.1f}" width="{WIDTH:g}" height="{foot - top:.1f}" rx="4" fill="#ffffff" stroke="{EDGE}"/>'


def _band(band: Band, unit: float) -> str:
    y, tall = band.start * unit, (band.end - band.start) * unit
    cut = (WIDTH - WAIST) / 2
    title = f"<title>{band.name}</title>"
    if band.stain == "stalk":
        sides = "".join(f'<rect x="{x:g}" y="{y:.1f}" width="{cut:g}" height="{tall:.1f}"/>' for x in (-0.6, WIDTH - cut + 0.6))
        return f'<g fill="#ffffff">{title}{sides}</g>'
    return (
        f'<rect x="0.5" y="{y:.1f}" width="{WIDTH - 1:g}" height="{tall:.1f}" rx="1.5" '
        f'fill="{SHADES[band.stain]}">{title}</rect>'
    )


def _centromere(one: Ideogram, unit: float) -> list[str]:
    """Draw the waist: two triangles that meet at the centromere, on a cleared background."""
    ends = [band for band in one.bands if band.stain == CENTROMERE]
    top, middle, foot = ends[0].start * unit, one.centromere * unit, ends[-1].end * unit
    left, right = (WIDTH - WAIST) / 2, (WIDTH + WAIST) / 2
    points = f"0,{top:.1f} {WIDTH:g},{top:.1f} {right:g},{middle:.1f} {WIDTH:g},{foot:.1f} 0,{foot:.1f} {left:g},{middle:.1f}"
    clear = f'<rect x="-1" y="{top:.1f}" width="{WIDTH + 2:g}" height="{foot - top:.1f}" fill="#ffffff"/>'
    return [clear, f'<polygon points="{points}" fill="#d9d0c3" stroke="{EDGE}"/>']
