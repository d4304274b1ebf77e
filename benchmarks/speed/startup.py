"""Start-up times: importing the package, showing help, creating a model.

    python -m benchmarks.speed.startup [--rounds 15]

Writes results/speed/startup.csv and .md. Commands are timed in turn, each in a process of its own; models are created in turn
in one process, with random weights except for the last.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial
from typing import Any

import timm

import gricol_zoo
from benchmarks.common import record
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import time_in_turn

COLUMNS = {
    "what": ("what", ""),
    "ms": ("ms", ".0f"),
    "low": ("lower quartile", ".0f"),
    "high": ("upper quartile", ".0f"),
    "beyond": ("beyond the first row", ".0f"),
    "aim": ("aim", ""),
}
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import gricol_zoo'": ["-c", "import gricol_zoo"],
    "gricol-zoo --help": ["-m", "gricol_zoo", "--help"],
    "gricol-zoo predict --help": ["-m", "gricol_zoo", "predict", "--help"],
    "python -c 'import torch'": ["-c", "import torch"],
}
AIMS = {"python -c 'import gricol_zoo'": "under 50 beyond the first row"}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    steps: dict[str, Any] = {
        name: partial(subprocess.run, [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        for name, arguments in COMMANDS.items()
    }
    times = time_in_turn(steps, options.rounds, warm_up=1, minimum=0)
    first = times["python -c pass"].median
    models: dict[str, Any] = {
        f"create_model({name!r})": partial(gricol_zoo.create_model, name) for name in ("r50half", "gricol_r50half_n3")
    }
    models["timm.create_model('resnet50')"] = partial(timm.create_model, "resnet50")
    models[f"create_model({gricol_zoo.DEFAULT_MODEL!r}, pretrained=True)"] = partial(
        gricol_zoo.create_model, gricol_zoo.DEFAULT_MODEL, pretrained=True
    )
    made = time_in_turn(models, options.rounds, warm_up=1, minimum=0)
    aims = {**AIMS, **dict.fromkeys(list(models)[:2], "no more than timm's resnet50")}
    rows = [
        {
            "what": name,
            "ms": round(time.median * 1e3, 1),
            "low": round(time.low * 1e3, 1),
            "high": round(time.high * 1e3, 1),
            "beyond": round((time.median - first) * 1e3, 1) if name in times else "",
            "aim": aims.get(name, ""),
            "rounds": options.rounds,
            **describe_machine(),
        }
        for name, time in {**times, **made}.items()
    ]
    record.write("speed/startup", rows, COLUMNS)


if __name__ == "__main__":
    main()
