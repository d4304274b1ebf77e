"""``gricol-zoo validate``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gricol_zoo.commands.common import (
    count_of,
    data_option,
    interval,
    model_option,
    networks_only,
    part_options,
    preparation_options,
    read_part,
    run_options,
    runtime_option,
)
from gricol_zoo.commands.kinds import load_classifier

HELP = "score a model on labelled images"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    data_option(command)
    model_option(command)
    command.add_argument("--out", type=Path, required=True, metavar="JSON", help="write the report to this file")
    part_options(command, "test")
    full = "use all classifiers instead of only the lower branch"
    networks_only(command.add_argument("--full", action="store_true", help=full))
    preparation_options(command, "none")
    run_options(command)
    runtime_option(command)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.data.scale import read_scale
    from gricol_zoo.evaluation.report import evaluate, write_report
    from gricol_zoo.models.presets import DEFAULT_MODEL

    images, part, split = read_part(options, labels=True)
    name = options.model or DEFAULT_MODEL
    scale = read_scale(options.scale)
    named = ("device", "dtype", "full", "preparation", "ground", "runtime")
    classifier = load_classifier(options.model, **{name: getattr(options, name) for name in named})
    report, _ = evaluate(
        classifier,
        images,
        name=name,
        weights_sha256=classifier.weights_sha256,
        split=split,
        part=part,
        scale=scale,
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_report(report, options.out)
    scored = f"{count_of(report['images'], 'image')} of {count_of(report['cells'], 'cell')}"
    print(
        f"{name} on {images.name} ({part}): accuracy {report['accuracy']:.4f} "
        f"({interval(report['accuracy_ci95'])}), {scored}, "
        f"{count_of(report['perfect_cells'], 'cell')} without errors"
    )
    if report["seen_in_training"]:
        print(f"warning: {count_of(report['seen_in_training'], 'image')} seen in training (same pixels)", file=sys.stderr)
    if report["of_cells_in_training"]:
        seen = count_of(report["of_cells_in_training"], "image")
        print(f"warning: {seen} of cells or cases used for training", file=sys.stderr)
    if report["seen_in_training"] is None:
        print(f"{name} does not record the pixels of its training images, so renamed copies are not found", file=sys.stderr)
    return 0
