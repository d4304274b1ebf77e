"""Draw docs/images/architecture.svg: the rooms (top-level folders and modules) of the package, each above all that it imports.

    python -m benchmarks.make.architecture

An arrow is left out where a path of other arrows connects the same two rooms. Private rooms (``_moved``) are left out too.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

from benchmarks.make.rooms import PACKAGE, arrows, floors

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "architecture.svg"

SAYS = {
    "benchmark": "speed and memory",
    "bulk": "columns, Ray Data",
    "classical": "before deep learning",
    "cli": "gricol-zoo",
    "commands": "one file per command",
    "data": "files, canvases, splits",
    "errors": "one line for each mistake",
    "evaluation": "scores and reports",
    "explain": "what a model looks at",
    "export": "ONNX, pt2, int8",
    "factory": "create_model",
    "files": "written whole or not at all",
    "inference": "images to classes",
    "karyotype": "a metaphase cell together",
    "models": "parts, two forms, names",
    "progress": "output, clean stop",
    "registry": "a name to a part",
    "runtimes": "engines beside torch",
    "serve": "the page in the browser",
    "spec": "what describes a model",
    "testing": "checks of the contracts",
    "timm_bridge": "the door for timm",
    "training": "losses, recipes, loop",
    "weights": "found, checked, loaded",
}
"""A few words on each room."""

WIDE, HIGH, GAP, FLOOR, LANE = 176, 44, 26, 92, 12
"""Pixels: a room's width and height, the gap between two, from floor to floor, and the lane of an arrow that passes a floor."""

Stop = str | tuple[str, str, int]
"""What stands on a floor: a room, or where the arrow from one room to another passes that floor."""


def needed(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the arrows of an acyclic graph that no path of other arrows replaces (its transitive reduction)."""

    @cache
    def below(room: str) -> frozenset[str]:
        return frozenset(graph.get(room, ())).union(*(below(other) for other in graph.get(room, ())))

    return [
        (one, two)
        for one in sorted(graph)
        for two in sorted(graph[one])
        if not any(two in below(other) for other in graph[one] - {two})
    ]


def ways(floor: dict[str, int], kept: list[tuple[str, str]]) -> list[list[Stop]]:
    """Return each arrow as its stops, one per floor, from the upper room to the lower one."""
    return [[one, *((one, two, number) for number in range(floor[one] - 1, floor[two], -1)), two] for one, two in kept]


def places(floor: dict[str, int], paths: list[list[Stop]]) -> dict[Stop, float]:
    """Return the x coordinate of the middle of each stop, in pixels: near the stops that it has arrows to."""
    rows: dict[int, list[Stop]] = defaultdict(list)
    beside: dict[Stop, list[Stop]] = defaultdict(list)
    for room in sorted(floor):
        rows[floor[room]].append(room)
    for path in paths:
        for stop in path[1:-1]:
            rows[int(stop[2])].append(stop)
        for upper, lower in pairwise(path):
            beside[upper].append(lower)
            beside[lower].append(upper)
    across: dict[Stop, float] = {}

    def spread(row: list[Stop]) -> None:
        widths = [WIDE if isinstance(stop, str) else LANE for stop in row]
        left = -(sum(widths) + GAP * (len(row) - 1)) / 2
        for stop, width in zip(row, widths, strict=True):
            across[stop] = left + width / 2
            left += width + GAP

    for number in sorted(rows):
        spread(rows[number])
    for number in [*sorted(rows), *sorted(rows, reverse=True)] * 4:
        rows[number].sort(key=lambda stop: (sum(across[other] for other in beside[stop]) / len(beside[stop]), str(stop)))
        spread(rows[number])
    left = min(across.values()) - WIDE / 2 - GAP
    return {stop: middle - left for stop, middle in across.items()}


def curve(points: list[tuple[float, float, float]]) -> str:
    """Return an SVG path through (middle, upper edge, lower edge) of stops: straight beside rooms, bent between floors."""
    x, _, y = points[0]
    steps = [f"M{x:.0f} {y:.0f}"]
    for to, top, bottom in points[1:]:
        bend = (top - y) / 2
        steps.append(f"C{x:.0f} {y + bend:.0f} {to:.0f} {top - bend:.0f} {to:.0f} {top:.0f}")
        x, y = to, bottom
        steps.append(f"V{bottom:.0f}")
    return "".join(steps[:-1])


def draw() -> str:
    """Return the picture as a self-contained SVG."""
    graph = {one: {two for two in into if two[0] != "_"} for one, into in arrows(True).items()}
    floor = {room: number for room, number in floors().items() if room[0] != "_"}
    paths = ways(floor, needed(graph))
    across, top = places(floor, paths), max(floor.values())

    def edges(stop: Stop) -> tuple[float, float, float]:
        upper = (top - (floor[stop] if isinstance(stop, str) else stop[2])) * FLOOR + GAP
        return across[stop], upper, upper + HIGH

    width, height = max(across.values()) + WIDE / 2 + GAP, (top - 1) * FLOOR + HIGH + 2 * GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" role="img">',
        "<title>The rooms of gricol_zoo: each imports only rooms below it</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#fff"/>',
        '<g fill="none" stroke="#667" stroke-width="1.3">',
        *(f'<path d="{curve([edges(stop) for stop in path])}" marker-end="url(#tip)"/>' for path in paths),
        '</g>\n<g text-anchor="middle">',
    ]
    for room in sorted(floor):
        x, y, _ = edges(room)
        fill = "#e3e9f5" if (PACKAGE / room).is_dir() else "#f6f0dc"
        lines += [
            f'<rect x="{x - WIDE / 2:.0f}" y="{y:.0f}" width="{WIDE}" height="{HIGH}" rx="6" fill="{fill}" stroke="#445"/>',
            f'<text x="{x:.0f}" y="{y + 19:.0f}" font-size="15" fill="#112">{room}</text>',
            f'<text x="{x:.0f}" y="{y + 35:.0f}" font-size="12" fill="#445">{SAYS[room]}</text>',
        ]
    return "\n".join([*lines, "</g>\n</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
    print(PICTURE)
