"""What several commands share: their options, reading what those name, and warnings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.inference.classifier import Classifier


NETWORKS_ONLY: WeakKeyDictionary[argparse.Action, tuple[Any, ...]] = WeakKeyDictionary()
"""Options that say nothing of a classical system, and the values beside the default that it takes nevertheless."""


def networks_only(option: argparse.Action, *also: Any) -> None:
    """Mark an option as it is declared: a classical system takes only its default, or one of the values ``also``."""
    NETWORKS_ONLY[option] = also


def data_option(command: argparse.ArgumentParser) -> None:
    """Add --data and --layout."""
    command.add_argument("--data", required=True, metavar="D", help="a zip, a folder or a CSV")
    command.add_argument("--layout", default="auto", help="layout of the data (default: auto)")


def model_option(command: argparse.ArgumentParser) -> None:
    """Add --model."""
    command.add_argument(
        "--model", default="", metavar="NAME", help="a model with weights, or an output folder of `train` (default: packaged)"
    )


def models_option(command: argparse.ArgumentParser) -> None:
    """Add --model for several."""
    command.add_argument(
        "--model", nargs="+", default=[], metavar="NAME", help="models with weights, or folders of `train` (default: packaged)"
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
            raise GricolZooError(f"Expected each model once, but got {name!r} {names.count(name)} times.")
    return names


def part_options(command: argparse.ArgumentParser, part: str) -> None:
    """Add --split and --part."""
    command.add_argument("--split", type=Path, metavar="CSV", help="a CSV with the columns case,cell,part")
    command.add_argument("--part", choices=["train", "val", "test"], default=part, help=f"part of the split (default: {part})")


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
        raise GricolZooError(f"The {options.part} part of {options.split} is empty. Choose another --part or add cells to it.")
    return parts[options.part], options.part, options.split.name


def run_options(command: argparse.ArgumentParser, dtype: str = "fp32") -> None:
    """Add --dtype and --device."""
    text = f"auto: bf16 where the hardware supports it (default: {dtype})"
    option = command.add_argument("--dtype", choices=["auto", "fp32", "bf16"], default=dtype, help=text)
    networks_only(option, "auto", "fp32")  # less than the float64 of a classical system may be asked for
    device_option(command)


def device_option(command: argparse.ArgumentParser) -> None:
    """Add --device."""
    networks_only(command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)"))


def preparation_options(command: argparse.ArgumentParser, scale: str) -> None:
    """Add --preparation, --ground and --scale, whose default is ``scale``."""
    how = "version of the crop preparation (default: as the weights require)"
    networks_only(command.add_argument("--preparation", type=int, choices=[1, 2], default=0, help=how))
    which = "background of the crops: light for a dark stain (G-bands), dark for a bright one (Q-bands) (default: auto)"
    networks_only(command.add_argument("--ground", choices=["auto", "light", "dark"], default="", help=which))
    scaling = "factor that brings crops to the size of the training images; auto: estimated from the lengths in each cell"
    scale_option(command, scale, scaling)


def scale_option(command: argparse.ArgumentParser, default: str, what: str) -> None:
    """Add --scale."""
    text = f"{what} (default: {default})"
    networks_only(command.add_argument("--scale", default=default, metavar="auto|none|NUMBER", help=text))


def change_option(command: argparse.ArgumentParser) -> argparse.Action:
    """Add --change."""
    text = "change the model: cell_norm=own, grid=2, head_options.gate=channel, preprocess.orientation=as-is; repeatable"
    return command.add_argument("--change", action="append", default=[], metavar="FIELD=VALUE", help=text)


def training_options(command: argparse.ArgumentParser) -> argparse.Action:
    """Add what every training is told; return --resume, which a classical system has in `crossval` alone."""
    command.add_argument("--model", required=True, metavar="NAME")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    recipe = "a recipe name (paper, light, ...) or a JSON file (default: light)"
    networks_only(command.add_argument("--recipe", default="light", help=recipe))
    networks_only(command.add_argument("--epochs", type=positive, help="number of epochs (default: the recipe's)"))
    command.add_argument("--seed", type=not_negative, help="random seed (default: the recipe's)")
    start = "start from these weights: a model, or an output folder of `train`"
    networks_only(command.add_argument("--init", default="", metavar="NAME", help=start))
    networks_only(change_option(command))
    resume = command.add_argument("--resume", action="store_true", help="resume the run in --out")
    limit, text = float("inf"), "stop cleanly after this many seconds"
    networks_only(command.add_argument("--time-limit", type=float, default=limit, metavar="SECONDS", help=text))
    networks_only(command.add_argument("--device", default="", help="cpu or cuda (default: cuda if available)"))
    return resume


def read_images(options: argparse.Namespace) -> ImageSet:
    """Return the images of --data, and say what the reader had to decide.

    Raises:
        GricolZooError: anything wrong with them.
    """
    from gricol_zoo.data.readers import open_images

    images = open_images(options.data, options.layout)
    for note in images.notes:
        print(note, file=sys.stderr)
    return images


def read_split(options: argparse.Namespace, images: ImageSet, seed: int) -> tuple[ImageSet, dict[tuple[str, str], str], str]:
    """Return the images, the split of --split and its name; without --split one is made, and said.

    Raises:
        GricolZooError: anything wrong with the split.
    """
    from gricol_zoo.data.split import read_split, split_for

    if options.split:
        return images, read_split(options.split), options.split.name
    images, split, name = split_for(images, seed)
    print(f"no --split given, splitting {name}", file=sys.stderr)
    return images, split, name


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
            raise GricolZooError(f"--change {text!r} contradicts an earlier --change of {field!r}. Remove one of them.")
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


def say_unchecked(classifier: Classifier) -> None:
    """Warn, once a run, where a network's weights have nothing to compare images with."""
    from gricol_zoo.data.quality import NOT_CHECKED

    if classifier.preprocess and classifier.reference is None:
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
