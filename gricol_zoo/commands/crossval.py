"""``gricol-zoo crossval``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.common import data_option, not_negative, positive, read_training, training_options

HELP = "k-fold cross-validation by case or cell: train on each complement, score all out-of-fold predictions together"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    data_option(command)
    training_options(command)
    command.add_argument("--folds", type=positive, default=5)
    command.add_argument(
        "--group",
        choices=["case", "image"],
        default="case",
        help="what stays on one side: a case (or cell), or a single image, the paper's protocol (default: case)",
    )
    command.add_argument("--fold-seed", type=not_negative, default=0, help="of the folds (default 0); --seed is the training's")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from gricol_zoo.crossval import run_folds

    images, recipe, changes = read_training(options)
    report = run_folds(
        images,
        options.model,
        recipe,
        options.out,
        folds=options.folds,
        group=options.group,
        seed=options.fold_seed,
        init=options.init,
        changes=changes,
        resume=options.resume,
        time_limit=options.time_limit,
        device=options.device,
    )
    if report is not None:
        low, high = report["accuracy_ci95"] or (float("nan"), float("nan"))
        folds = ", ".join(f"{accuracy:.4f}" for accuracy in report["fold_accuracies"])
        print(
            f"{options.model} on {images.name}, {report['folds']} folds {report['protocol']}: out-of-fold accuracy "
            f"{report['accuracy']:.4f} (95 % by case or cell: {low:.4f} to {high:.4f}), "
            f"{report['images']} images; fold by fold {folds}"
        )
    return 0
