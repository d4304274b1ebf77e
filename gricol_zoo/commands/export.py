"""``gricol-zoo export``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gricol_zoo.commands.common import layout_option, part_options, positive, read_part
from gricol_zoo.commands.networks import load_model
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.export.check import Agreement

HELP = "export a model (ONNX, torch.export, int8) and check it against the Python model"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("name", metavar="NAME", help="a model with weights, or an output folder of `train`")
    command.add_argument(
        "--format", choices=["onnx", "pt2", "int8"], default="onnx", help="int8 is 8-bit quantised ONNX (default: onnx)"
    )
    command.add_argument("--out", type=Path, required=True, metavar="F", help="output file, *.onnx, or *.pt2 for --format pt2")
    command.add_argument(
        "--preprocess",
        action="store_true",
        help="include the preparation of crops in the graph: its inputs are grey crops of any size, and one scale per crop",
    )
    command.add_argument("--data", metavar="D", help="images for the check, and for the int8 calibration (default: synthetic)")
    layout_option(command)
    part_options(command, "val")
    command.add_argument("--images", type=positive, default=256, help="maximum number of images per purpose (default: 256)")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    check_options(options)
    from gricol_zoo.export import export_model
    from gricol_zoo.export.check import read_crops, sample_evenly

    model = load_model(options.name)
    images, what = None, "synthetic chromosomes"
    if options.data:
        whole, part, _ = read_part(options)
        images, what = sample_evenly(whole, options.images), f"images of {options.data} ({part})"
    calibrate = []
    if options.format == "int8":
        options.part = "train"
        calibrate = read_crops(sample_evenly(read_part(options)[0], options.images))
    check = [] if images is None else read_crops(images)
    found = export_model(model, options.out, options.format, crops=options.preprocess, check=check, calibrate=calibrate)
    truth = [record.label for record in images.records] if images is not None else []
    print(f"{options.out}: on {found.images} {what}, {sentence(found, truth, model.spec.labels)}", file=sys.stderr)
    return 0


def check_options(options: argparse.Namespace) -> None:
    """Check the combination of options before anything is loaded.

    Raises:
        GricolZooError: int8 without data and split, or a split without data.
    """
    if options.format == "int8" and not (options.data and options.split):
        raise GricolZooError(
            "int8 needs images: the train part calibrates the activation ranges, the val part measures the accuracy. "
            "Give --data and --split."
        )
    if options.split and not options.data:
        raise GricolZooError("--split selects images of --data, but --data is missing. Give --data, or leave --split out.")


def sentence(found: Agreement, truth: Sequence[str], labels: Sequence[str]) -> str:
    """Return how an exported file compares with the model in Python, and the accuracy of both if all true classes are known."""
    text = (
        f"logits differ by at most {found.difference:.2g} (the largest is {found.scale:.2g}), and {found.changed} "
        f"{'image' if found.changed == 1 else 'images'} changed class"
    )
    if len(found.up_before):
        text += f", {found.turned} changed polarity"
    if not truth or not all(truth):
        return text
    before, after = (
        100 * sum(labels[index] == label for index, label in zip(classes, truth, strict=True)) / len(truth)
        for classes in (found.before, found.after)
    )
    return f"{text}; accuracy {before:.2f} % in Python, {after:.2f} % exported"
