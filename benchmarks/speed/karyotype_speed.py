"""How long from dropping real cells to their karyograms, on the page and at the command line?

    python -m benchmarks.speed.karyotype_speed --data FOLDER [--cells 20] [--rounds 5] [--threads 2]

Cells are of the Pki-3 test part, in a zip as a user would drop it. For the page, what its server does is timed, without a
browser: take the upload, choose the model by fit, classify, assign, and draw what the page shows. For the command, ``gricol-zoo
karyotype`` is timed in a process of its own, with start, model and every file that it writes. To measure without AMX on a
processor that has it, set ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16``. Writes results/speed/karyotype_speed.csv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.record import write
from benchmarks.common.sets import open_part
from gricol_zoo.benchmark.machine import describe_machine
from gricol_zoo.benchmark.timing import time_in_turn
from gricol_zoo.commands.networks import load_model
from gricol_zoo.data.table import ImageSet
from gricol_zoo.karyotype.run import cells_of
from gricol_zoo.models.presets import DEFAULT_MODEL
from gricol_zoo.serve.board import karyogram
from gricol_zoo.serve.model_pool import ModelPool
from gricol_zoo.serve.session import BY_FIT, Session

MODELS = (DEFAULT_MODEL, "r18half_192.pki3")  # light, packaged, and with a reference, so that the page chooses among them
ONE, ALL = 2.0, 15.0  # seconds that one cell and 20 may take
WAYS = {"page": "drop to karyogram on the page", "command": "`gricol-zoo karyotype`, start included"}
COLUMNS = {
    "what": ("what", ""),
    "cells": ("cells", "d"),
    "seconds": ("seconds", ".2f"),
    "low": ("lower quartile", ".2f"),
    "high": ("upper quartile", ".2f"),
    "aim": ("aim", ""),
    "device": ("processor", ""),
    "threads": ("threads", "d"),
}


def pack(cells: Sequence[tuple[str, ImageSet]], file: Path) -> Path:
    """Write cells as a zip with one folder per cell; return the file."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, cell in cells:
            for record in cell.records:
                archive.writestr(f"{name}/{Path(record.path).name}", cell.read(record))
    return file


def on_the_page(models: ModelPool, source: Path, root: Path) -> None:
    """Do what the page's server does from the upload to the last cell's karyogram."""
    session = Session(root, models)
    copy = root / "dropped.zip"
    copy.write_bytes(source.read_bytes())  # an upload is moved
    session.take([copy])
    assert session.upload is not None
    session.run(BY_FIT)
    for cell in session.upload.cells:
        session.choose_cell(cell)
        karyogram(session.cells[cell], None)
    session.end()


def by_command(source: Path, root: Path) -> None:
    """Run the command in a process of its own, into a new folder below ``root``."""
    out = Path(tempfile.mkdtemp(dir=root)) / "out"
    command = [sys.executable, "-m", "gricol_zoo", "karyotype", str(source), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with pki3.zip")
    parser.add_argument("--cells", type=int, default=20, help="cells in the larger upload (default: 20)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    cells = list(cells_of(open_part("pki3", options.data, "test")).items())[: options.cells]
    models = ModelPool({name: load_model(name, deployed=True) for name in MODELS})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        uploads = {count: pack(cells[:count], root / f"{count} cells kept.zip") for count in (1, len(cells))}
        steps: dict[tuple[str, int], Callable[[], Any]] = {}
        for count, file in uploads.items():
            steps["page", count] = partial(on_the_page, models, file, root)
            steps["command", count] = partial(by_command, file, root)
        times = time_in_turn(steps, options.rounds, warm_up=1, minimum=0)
    rows = [
        {
            "what": WAYS[way],
            "cells": count,
            "seconds": time.median,
            "low": time.low,
            "high": time.high,
            "aim": "" if way == "command" else f"under {ONE if count == 1 else ALL:g}",
            "rounds": options.rounds,
            **describe_machine(),
        }
        for (way, count), time in times.items()
    ]
    write("speed/karyotype_speed", rows, COLUMNS)


if __name__ == "__main__":
    main()
