"""The commands' functions for networks; ``gricol_zoo.commands.classical`` has the same functions for classical systems."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from gricol_zoo.commands import classical
from gricol_zoo.commands.common import parse_changes, read_images, read_split
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.factory import GridModel
    from gricol_zoo.inference.classifier import Classifier
    from gricol_zoo.models.deployed import DeployedModel
    from gricol_zoo.training.recipes import Recipe


def holds(name: str) -> bool:
    """Return whether a name or folder counts as a network: anything that is not a classical system."""
    return not classical.holds(name)


def names(pattern: str, pretrained: bool) -> list[str]:
    """Return the names that match a pattern; with ``pretrained`` only those with weights, as name.tag."""
    from gricol_zoo.weights.resolve import list_models

    return list_models(pattern, pretrained=pretrained)


def describe(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return what `info` prints for a model with these changes.

    Raises:
        GricolZooError: an unknown name or tag.
    """
    from gricol_zoo.evaluation import info

    return info.describe(name, changes)


def load_model(
    name: str, device: str = "cpu", deployed: bool = False, preparation: int = 0, ground: str = ""
) -> GridModel | DeployedModel:
    """Load a network with its weights by name or from a folder.

    Args:
        name: the name or folder; "" for the packaged weights.
        device: "cpu" or "cuda".
        deployed: load only the lower branch.
        preparation: version of the crop preparation; 0 keeps the one of the weights.
        ground: the background of the crops; "" keeps the setting of the weights.

    Raises:
        GricolZooError: the model is unknown, has no weights or is a classical system, or the device is not available.
    """
    if not holds(name):
        raise GricolZooError(
            f"{name!r} is a classical system, but this command only takes neural networks. Classical systems work with train, "
            "validate, predict, crossval, karyotype, verify and info."
        )
    from gricol_zoo.runtimes.load import load_network

    return load_network(name, device, deployed, preparation, ground)


def load(
    name: str,
    device: str = "cpu",
    dtype: str = "fp32",
    full: bool = False,
    preparation: int = 0,
    ground: str = "",
    runtime: str = "torch",
) -> Classifier:
    """Load a network as a classifier; see ``gricol_zoo.runtimes.load``."""
    from gricol_zoo.runtimes.load import classifier_on

    return classifier_on(load_model(name, device, not full, preparation, ground), dtype, runtime, full)


def train(options: argparse.Namespace) -> bool:
    """Train with the options of `train`; return False if it was stopped before its end."""
    from gricol_zoo.data.scale import read_scale
    from gricol_zoo.training.train import train

    scale = read_scale(options.scale)
    images, recipe, changes = _read_training(options)
    images, split, name = read_split(options, images, recipe.seed)
    return train(
        images,
        split,
        options.model,
        recipe,
        options.out,
        init=options.init,
        changes=changes,
        resume=options.resume,
        time_limit=options.time_limit,
        device=options.device,
        checkpoint_every=options.checkpoint_every,
        split_name=name,
        grad_checkpointing=options.grad_checkpointing,
        compile=options.compile,
        scale=scale,
    )


def crossval(options: argparse.Namespace) -> tuple[str, dict[str, Any] | None]:
    """Cross-validate with the options of `crossval`; return the set's name, and the report (None if it was stopped)."""
    from gricol_zoo.training.crossval import run_folds

    images, recipe, changes = _read_training(options)
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
    return images.name, report


def _read_training(options: argparse.Namespace) -> tuple[ImageSet, Recipe, dict[str, Any]]:
    """Return the images, the recipe and the model changes that the options name.

    The model is built once and --init is looked up before the images are read, so that mistakes are reported early.

    Raises:
        GricolZooError: a model, change, recipe or weights that cannot be used, or images that cannot be read.
    """
    from gricol_zoo.factory import build
    from gricol_zoo.models.names import parse_model_name
    from gricol_zoo.models.presets import MODELS
    from gricol_zoo.training.recipes import get_recipe
    from gricol_zoo.weights.resolve import find_weights

    recipe = get_recipe(options.recipe, epochs=options.epochs, seed=options.seed)
    changes = parse_changes(options.change)
    build(MODELS.get(parse_model_name(options.model).arch).replace(**changes))
    if options.init:
        find_weights(options.init)
    return read_images(options), recipe, changes
