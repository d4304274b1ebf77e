"""Fill the blocks of README.md and of the pages in docs/ from the result files that they name; no figure is typed.

    python docs/blocks.py            # fill them
    python docs/blocks.py --check    # say which differ; exit 1 if any does

A block stands between ``<!-- results: PATH -->`` and ``<!-- end of results -->``, each on a line of its own. PATH is relative
to the root of the repository.
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


def filled(page: Path) -> str:
    """Return a page with its blocks as the files have them."""

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{(ROOT / found[2]).read_text(encoding='utf-8').strip()}\n\n{found[4]}"

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
