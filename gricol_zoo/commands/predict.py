"""``gricol-zoo predict``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from gricol_zoo.commands.classical import OF_PREDICT, is_classical, refuse, write_classical
from gricol_zoo.commands.common import load_model, model_option, positive, run_options

HELP = "classify images; one row an image"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("paths", nargs="+", metavar="PATH", help="images, folders, zips or CSVs")
    model_option(command)
    command.add_argument("--out", type=Path, required=True, metavar="CSV")
    command.add_argument("--batch-size", type=positive, default=0, help="default: what suits the model")
    command.add_argument("--workers", type=positive, default=0, help="batches at once (default: one a core)")
    run_options(command, "auto")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from tqdm import tqdm

    from gricol_zoo.predict import open_paths, write_predictions

    sets = open_paths(options.paths)
    if is_classical(options.model):
        refuse(options, OF_PREDICT)
        write = partial(write_classical, options)
    else:
        model = load_model(options.model, options.device, deployed=True)
        settings = {"batch_size": options.batch_size, "dtype": options.dtype, "workers": options.workers}
        write = partial(write_predictions, model, **settings)
    total, failed, review = sum(map(len, sets)), 0, 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="", encoding="utf-8") as stream, tqdm(total=total, unit="image") as bar:
        for rows in write(sets, stream):
            failed += sum(bool(row["error"]) for row in rows)
            review += sum(row["review"] == 1 for row in rows)
            bar.update(len(rows))
    print(f"{total} images, {review} to review, {failed} could not be read; rows in {options.out}", file=sys.stderr)
    return 0
