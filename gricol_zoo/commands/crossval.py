"""``gricol-zoo crossval``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.common import STOPPED, data_option, interval, not_negative, positive, training_options
from gricol_zoo.commands.kinds import kind_of

HELP = "k-fold cross-validation by case or cell: train on the other folds, score all out-of-fold predictions together"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    data_option(command)
    training_options(command)
    command.add_argument("--folds", type=positive, default=5, help="number of folds (default: 5)")
    command.add_argument(
        "--group",
        choices=["case", "image"],
        default="case",
        help="unit that is never split across folds: case (or cell), or image as in the paper (default: case)",
    )
    command.add_argument("--fold-seed", type=not_negative, default=0, help="seed of the folds (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    name, report = kind_of(options.model).crossval(options)
    if report is None:
        return STOPPED
    folds = ", ".join(f"{accuracy:.4f}" for accuracy in report["fold_accuracies"])
    print(
        f"{options.model} on {name}, {report['folds']} folds {report['protocol']}: out-of-fold accuracy "
        f"{report['accuracy']:.4f} ({interval(report['accuracy_ci95'])}), "
        f"{report['images']} images; by fold {folds}"
    )
    together = report.get("reassigned")
    if together:
        bounds = interval(together["accuracy_ci95"])
        print(f"with the classes of each cell assigned together: {together['accuracy']:.4f} ({bounds})")
    return 0
