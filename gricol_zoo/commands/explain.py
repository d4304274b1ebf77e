"""``gricol-zoo explain``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gricol_zoo.commands.common import model_names, models_option, run_options, warn
from gricol_zoo.commands.networks import load_model
from gricol_zoo.errors import GricolZooError, ImageError

HELP = "draw what models look at in one image, and what each grid cell predicts"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("image", type=Path, metavar="IMAGE", help="one image file; the figure has one row per model")
    models_option(command)
    command.add_argument("--out", type=Path, required=True, metavar="FIGURE", help="a .png, .svg or .pdf file")
    command.add_argument("--target", default="", metavar="CLASS", help="explain this class (default: the predicted one)")
    run_options(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.data.images import read_crop
    from gricol_zoo.explain.figures import check_figure_file, explain_figure, save_figure
    from gricol_zoo.explain.panel import explain_image
    from gricol_zoo.factory import GridModel
    from gricol_zoo.files import escaped

    check_figure_file(options.out)
    names = model_names(options)
    try:
        crop = read_crop(options.image.read_bytes())
    except ImageError as error:
        raise GricolZooError(f"{options.image}: {error}") from error
    for note in crop.notes:
        warn(f"{options.image}: {note}")
    rows = []
    for name in names:
        model = load_model(name, options.device)
        assert isinstance(model, GridModel)
        row = explain_image(model, crop.grey, name, options.target, options.dtype)
        print(f"{escaped(name)}: {row.labels[row.prediction]}, probability {row.probabilities[row.prediction]:.4f}")
        rows.append(row)
    save_figure(explain_figure(rows), options.out)
    print(f"figure written to {options.out}", file=sys.stderr)
    return 0
