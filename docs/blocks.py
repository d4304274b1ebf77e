"""Fill the blocks of README.md and of the pages in docs/ from the result files or tables of the code that they name.

    python docs/blocks.py            # fill them
    python docs/blocks.py --check    # say which differ; exit 1 if any does

A block stands between ``<!-- results: PATH -->`` and ``<!-- end of results -->``, each on a line of its own. PATH is relative
to the root of the repository; ``table:NAME`` is a table that the code reads files by, one of ``TABLES``. No figure is typed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- results: (\S+) -->\n)(.*?)(<!-- end of results -->)", re.DOTALL)


def pages() -> list[Path]:
    """Return README.md and every page in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the file that each block of a page names, and what the block shows."""
    for _, path, shown, _ in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield path, shown.strip()


def formats() -> str:
    """Return the formats that are read, with their suffixes, and the names of those that are refused."""
    from gricol_zoo.data.kinds import FORMATS

    rows = [f"| {one.name.split()[1]} | {', '.join(f'`{suffix}`' for suffix in one.suffixes)} |" for one in FORMATS if one.read]
    refused = ", ".join(one.name.partition(" ")[2] for one in FORMATS if not one.read)
    return "\n".join(["| read | suffixes in a folder or zip |", "|---|---|", *rows, "", f"Refused by name: {refused}."])


def layouts() -> str:
    """Return the layouts: what each looks like, and when it is taken without being asked for."""
    from gricol_zoo.data.readers import LAYOUTS

    rows = [f"| `{name}` | {one.looks} | {one.taken} |" for name, one in LAYOUTS.items()]
    return "\n".join(["| layout | looks like | `auto` takes it where |", "|---|---|---|", *rows])


def columns() -> str:
    """Return the columns of a manifest."""
    from gricol_zoo.data.manifest import COLUMNS

    return "\n".join(["| column | says |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in COLUMNS.items())])


TABLES = {"formats": formats, "layouts": layouts, "columns": columns}


def content(path: str) -> str:
    """Return what the block of a path shows."""
    kind, colon, name = path.partition(":")
    return TABLES[name]() if colon and kind == "table" else (ROOT / path).read_text(encoding="utf-8").strip()


def filled(page: Path) -> str:
    """Return a page with its blocks as the files have them."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{content(found[2])}\n\n{found[4]}"

    return BLOCK.sub(fill, page.read_text(encoding="utf-8"))


def main() -> int:
    """Fill or check the blocks; return the exit status."""
    changed = [(page, text) for page in pages() if (text := filled(page)) != page.read_text(encoding="utf-8")]
    for page, text in changed:
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv[1:]:
            page.write_text(text, encoding="utf-8")
    return int("--check" in sys.argv[1:] and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
