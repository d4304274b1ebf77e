"""Where the benchmarks write: results/<folder>/<name>.csv, with the command and the commit behind it, and a readable .md."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from gricol_zoo.benchmark.rows import to_markdown
from gricol_zoo.data.rows import read_csv, to_csv

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def commit() -> str:
    """Return the commit that is checked out, with a plus if the package or the benchmarks differ from it."""
    run = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changes = ["git", "status", "--porcelain", "gricol_zoo", "benchmarks/*.py"]
    dirty = subprocess.run(changes, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return (run.stdout.strip() or "unknown") + ("+" if dirty else "")


TEXTS = ("command", "commit", "name", "weights_sha256")
"""Columns that are text even where they look like a number."""

COMMIT = commit()  # of the code imported now, even if another commit is checked out when the results are written


def portable(argument: str) -> str:
    """Return a command-line argument without this machine's paths: of an absolute path, "FOLDER" or its last part."""
    if not Path(argument).is_absolute():
        return argument
    return "FOLDER" if (Path(argument) / "qband.zip").exists() else Path(argument).name


def module_of(script: Path) -> str:
    """Return the name by which ``python -m`` runs a script of this repository; of any other script, its stem."""
    script = script.resolve()
    return ".".join(script.relative_to(ROOT).with_suffix("").parts) if script.is_relative_to(ROOT) else script.stem


COMMAND = " ".join(["python", "-m", module_of(Path(sys.argv[0])), *map(portable, sys.argv[1:])])


def kept(
    name: str, scored: Collection[Any], key: Callable[[Mapping[str, str]], Any] = itemgetter("name")
) -> list[dict[str, Any]]:
    """Return the rows of results/<name>.csv about what was not scored this time, numbers as numbers.

    Args:
        name: as for ``write``.
        scored: the keys of what was scored.
        key: row -> its key; the model's name by default.
    """
    file = RESULTS / f"{name}.csv"
    if not file.exists():
        return []
    rows = [row for row in read_csv(file) if key(row) not in scored]
    return [numbers(row) for row in rows]


def numbers(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a row with numbers as numbers; a commit such as 10e3066 is not one."""
    return {key: value if key in TEXTS else number(value) for key, value in row.items()}


def number(text: str) -> Any:
    """Return an int or a float where a text is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def write(name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]], note: str = "") -> None:
    """Write all rows as CSV, and the chosen columns with a note below as Markdown; print the table.

    The name is a path below results/, folder and table, such as ``speed/scaling``.
    """
    file = RESULTS / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_csv([{"command": COMMAND, "commit": COMMIT, **row} for row in rows]))
    table = to_markdown(rows, columns) + (f"\n{note}\n" if note else "")
    (RESULTS / f"{name}.md").write_text(table)
    print(f"\n{name}\n{table}")
