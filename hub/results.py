"""Data for the model cards: the configs of the staged weights, and the result files measured with exactly these weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gricol_zoo.data.rows import read_csv

ROOT = Path(__file__).parent.parent
HUB = ROOT / "hub"
RESULTS = ROOT / "benchmarks" / "results" / "released"


def percent(value: float | str) -> str:
    """Format a fraction as a percentage with one decimal."""
    return f"{100 * float(value):.1f} %"


def staged() -> list[str]:
    """Return the names of the staged weights."""
    return sorted(folder.name for folder in HUB.iterdir() if (folder / "config.json").is_file())


def info_of(name: str) -> dict[str, Any]:
    """Return the ``gricol_zoo`` section of the config of staged weights."""
    return dict(json.loads((HUB / name / "config.json").read_text())["gricol_zoo"])


def reports(name: str) -> list[dict[str, Any]]:
    """Return the evaluation reports of weights: test before val, lower branch before all classifiers.

    Raises:
        SystemExit: a report is of other weights.
    """
    found = [json.loads(file.read_text()) for file in RESULTS.glob(f"{name}.*.json")]
    return sorted((check(report, name) for report in found), key=lambda r: (r["part"] != "test", r["inference"] != "lower"))


def check(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a result if it was measured with the staged weights.

    Raises:
        SystemExit: it was measured with other weights.
    """
    if row["weights_sha256"] != info_of(name)["sha256"]:
        raise SystemExit(f"a result of {name} is of other weights: run the benchmark again")
    return row


def table(file: str, name: str) -> list[dict[str, str]]:
    """Return the rows of a results table that belong to the weights ``name``.

    Raises:
        SystemExit: a row is of other weights.
    """
    return [check(row, name) for row in read_csv(RESULTS / f"{file}.csv") if row["name"] == name]
