"""Where the benchmarks write: results/<name>.csv and .md, with the command and the commit they came from."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gricol_zoo.benchmark.table import to_csv, to_markdown

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def commit() -> str:
    """Return the commit that is checked out, with a plus if the package or the benchmarks differ from it."""
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changes = ["git", "status", "--porcelain", "--untracked-files=no", "gricol_zoo", "benchmarks/*.py"]
    dirty = subprocess.run(changes, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return (run.stdout.strip() or "unknown") + ("+" if dirty else "")


def write(name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> None:
    """Write rows as CSV and the columns for people as markdown, and print the table."""
    RESULTS.mkdir(exist_ok=True)
    at = commit()
    (RESULTS / f"{name}.csv").write_text(to_csv([{**row, "commit": at} for row in rows]))
    table = to_markdown(rows, columns)
    (RESULTS / f"{name}.md").write_text(table)
    print(f"\n{name}\n{table}")
