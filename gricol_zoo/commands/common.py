"""What several commands share: their options, and loading a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gricol_zoo.commands.classical import refuse_classical
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.factory import GridModel
    from gricol_zoo.models.deployed import DeployedModel
    from gricol_zoo.training.recipes import Recipe


def data_option(command: argparse.ArgumentParser) -> None:
    """Add --data and --layout."""
    command.add_argument("--data", required=True, metavar="D", help="a zip, a folder or a CSV")
    command.add_argument("--layout", default="auto", help="of the data (default: auto)")


def model_option(command: argparse.ArgumentParser) -> None:
    """Add --model."""
    command.add_argument(
        "--model", default="", metavar="NAME", help="a name with weights, or a folder of `train` (default: packaged)"
    )


def models_option(command: argparse.ArgumentParser) -> None:
    """Add --model for several."""
    command.add_argument(
        "--model", nargs="+", default=[], metavar="NAME", help="names with weights, or folders of `train` (default: packaged)"
    )


def model_names(options: argparse.Namespace) -> list[str]:
    """Return the models asked for, or the packaged one.

    Raises:
        GricolZooError: one of them twice.
    """
    from gricol_zoo.models.presets import DEFAULT_MODEL

    names: list[str] = options.model or [DEFAULT_MODEL]
    for name in names:
        if names.count(name) > 1:
            raise GricolZooError(f"Expected different models, but got {name!r} {names.count(name)} times.")
    return names


def part_options(command: argparse.ArgumentParser, part: str) -> None:
    """Add --split and --part."""
    command.add_argument("--split", type=Path, metavar="CSV", help="columns case,cell,part")
    command.add_argument("--part", choices=["train", "val", "test"], default=part, help=f"of the split (default: {part})")


def read_part(options: argparse.Namespace) -> tuple[ImageSet, str, str]:
    """Return the images of --data (of --part of them, given --split), what part that is ("all"), and the split's name ("").

    Raises:
        GricolZooError: anything wrong with the images or the split, or an empty part.
    """
    from gricol_zoo.data.readers import open_images
    from gricol_zoo.data.split import apply_split, check_leaks, read_split

    images = open_images(options.data, options.layout)
    if not options.split:
        return images, "all", ""
    parts = apply_split(images, read_split(options.split))
    check_leaks(parts)
    if not len(parts[options.part]):
        raise GricolZooError(f"The {options.part} part of {options.split} is empty.")
    return parts[options.part], options.part, options.split.name


def run_options(command: argparse.ArgumentParser, dtype: str = "fp32") -> None:
    """Add --dtype and --device."""
    command.add_argument(
        "--dtype", choices=["auto", "fp32", "bf16"], default=dtype, help=f"auto: bf16 where there is any (default: {dtype})"
    )
    device_option(command)


def device_option(command: argparse.ArgumentParser) -> None:
    """Add --device."""
    command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def preparation_options(command: argparse.ArgumentParser, scale: str) -> None:
    """Add --preparation, --ground and --scale, whose default is ``scale``."""
    command.add_argument(
        "--preparation", type=int, choices=[1, 2], default=0, help="how crops are prepared (default: as the weights say)"
    )
    command.add_argument(
        "--ground",
        choices=["auto", "light", "dark"],
        default="",
        help="of the crops: light where the stain is dark (G-bands), dark where it is bright (Q-bands) (default: auto)",
    )
    command.add_argument(
        "--scale",
        default=scale,
        metavar="auto|none|NUMBER",
        help="what crop pixels are multiplied by to be as large as the training's; auto: by the lengths of a cell "
        f"(default: {scale})",
    )


def training_options(command: argparse.ArgumentParser) -> None:
    """Add what every training is told."""
    command.add_argument("--model", required=True, metavar="NAME")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--recipe", default="light", help="a name (paper, light, ...) or a JSON file (default: light)")
    command.add_argument("--epochs", type=positive, help="instead of the recipe's")
    command.add_argument("--seed", type=not_negative, help="instead of the recipe's")
    command.add_argument("--init", default="", metavar="NAME", help="start from these weights: a name, or a folder of `train`")
    command.add_argument(
        "--change",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="of the model: cell_norm=own, grid=2, head_options.gate=channel, preprocess.orientation=as-is; may be repeated",
    )
    command.add_argument("--resume", action="store_true", help="go on with what is in --out")
    command.add_argument(
        "--time-limit", type=float, default=float("inf"), metavar="SECONDS", help="stop cleanly after this long"
    )
    command.add_argument("--device", default="", help="cpu or cuda (default: what there is)")


def read_training(options: argparse.Namespace) -> tuple[ImageSet, Recipe, dict[str, Any]]:
    """Return the images, the recipe and the changes that the options name.

    Raises:
        GricolZooError: anything misspelt; the model is built once and its start looked up, so that it is said before the images
            are read.
    """
    from gricol_zoo.data.readers import open_images
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
    images = open_images(options.data, options.layout)
    for note in images.notes:
        print(note, file=sys.stderr)
    return images, recipe, changes


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Read FIELD=VALUE and FIELD.KEY=VALUE; a value is JSON, or else a word.

    >>> parse_changes(["grid=2", "head_options.gate=channel"])
    {'grid': 2, 'head_options': {'gate': 'channel'}}

    Raises:
        GricolZooError: no equals sign, or a field changed as a whole and in part.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, sign, word = text.partition("=")
        if not sign or not name:
            raise GricolZooError(f"Expected --change FIELD=VALUE, such as grid=2, but got {text!r}.")
        try:
            value = json.loads(word)
        except ValueError:
            value = word
        field, dot, key = name.partition(".")
        if dot and isinstance(changes.setdefault(field, {}), dict):
            changes[field][key] = value
        elif dot or field in changes:
            raise GricolZooError(f"--change {text!r} contradicts the --change of {field!r} before it.")
        else:
            changes[field] = value
    return changes


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, but got {number}")
    return number


def not_negative(text: str) -> int:
    """Read a whole number of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected at least 0, but got {number}")
    return number


not_negative.__name__ = positive.__name__ = "whole number"  # what argparse calls it in messages


def load_model(
    name: str, device: str = "cpu", deployed: bool = False, preparation: int = 0, ground: str = ""
) -> GridModel | DeployedModel:
    """Load a model with its weights by name, or from a folder; prepared for images as the options say.

    Raises:
        GricolZooError: unknown, without weights, a classical system, or a device that is not there.
    """
    refuse_classical(name)
    import torch

    from gricol_zoo.factory import create_model
    from gricol_zoo.inference.preparation import prepare_as
    from gricol_zoo.models.presets import DEFAULT_MODEL

    name = name or DEFAULT_MODEL
    model = create_model(f"local-dir:{name}" if Path(name).is_dir() else name, pretrained=True, deployed=deployed)
    prepare_as(model, preparation, ground)
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise GricolZooError(f"The device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error


def say_unchecked(model: Any) -> None:
    """Warn, once a run, where weights have nothing to compare images with."""
    from gricol_zoo.data.quality import NOT_CHECKED, read_reference

    if read_reference(model.info) is None:
        warn(NOT_CHECKED)


def warn(words: str) -> None:
    """Say a warning: one line on stderr, whatever a name in it holds."""
    print(f"warning: {' '.join(words.split())}", file=sys.stderr)


def count_of(number: int, what: str) -> str:
    """Return a number with its noun.

    >>> count_of(1, "image"), count_of(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
