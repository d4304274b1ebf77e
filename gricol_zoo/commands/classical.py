"""The commands' functions for classical systems; ``gricol_zoo.commands.networks`` has the same functions for networks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gricol_zoo.commands.common import read_images, read_split, warn
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.inference.classifier import Classifier


def holds(name: str) -> bool:
    """Return whether a name is that of a classical system, or of a folder that holds one."""
    from gricol_zoo.classical.registry import CLASSICAL
    from gricol_zoo.classical.saving import is_saved

    return name in CLASSICAL or (name != "" and is_saved(name))  # "" means the packaged model, not the current folder


def names(pattern: str, pretrained: bool) -> list[str]:
    """Return the names that match a pattern; with ``pretrained`` none, because no classical system has released weights."""
    from gricol_zoo.classical.registry import list_systems

    return [] if pretrained else list_systems(pattern)


def describe(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return what `info` prints.

    Raises:
        GricolZooError: there are changes, which only apply to networks, or the folder cannot be read.
    """
    from gricol_zoo.classical import info

    if changes:
        raise GricolZooError(f"--change only applies to neural networks; {name!r} is a classical system.")
    return info.describe_any(name)


def load(name: str) -> Classifier:
    """Load a trained system as a classifier.

    Raises:
        GricolZooError: ``name`` is the name of a system, which has no weights, or a folder that cannot be read.
    """
    from gricol_zoo.classical.classifier import load_classifier

    return load_classifier(name)


def train(options: argparse.Namespace) -> bool:
    """Train with the options of `train`; return True, because this training always runs to its end."""
    from gricol_zoo.classical.training import check_untrained, train

    check_untrained(options.model)
    images, split, name = read_split(options, read_images(options), options.seed or 0)
    train(images, split, options.model, options.out, options.seed or 0, warn, name)
    return True


def crossval(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Cross-validate with the options of `crossval`; return the name of the set and the report."""
    from gricol_zoo.classical.crossval import run_folds
    from gricol_zoo.classical.training import check_untrained

    check_untrained(options.model)
    how: dict[str, Any] = {"folds": options.folds, "group": options.group, "seed": options.fold_seed, "resume": options.resume}
    images = read_images(options)
    return images.name, run_folds(images, options.model, options.out, training_seed=options.seed or 0, **how)
