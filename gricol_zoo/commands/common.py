"""Shared by several commands: common options, reading the data that they name, and warnings."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.data.table import ImageSet
    from gricol_zoo.inference.classifier import Classifier


LONGEST = 200  # characters of a file name in a message
STOPPED = 75  # exit status of a training that --resume can continue: EX_TEMPFAIL, on which batch queues try again later
NETWORKS_ONLY: WeakKeyDictionary[argparse.Action, tuple[Any, ...]] = WeakKeyDictionary()
"""Options that only apply to networks -> the values other than the default that a classical system also accepts."""


def networks_only(option: argparse.Action, *also: Any) -> None:
    """Mark an option as one for networks: a classical system accepts only its default and the values ``also``."""
    NETWORKS_ONLY[option] = also


def data_option(command: argparse.ArgumentParser) -> None:
    """Add --data and --layout."""
    command.add_argument("--data", required=True, metavar="D", help="a zip, a folder or a CSV")
    layout_option(command)


def layout_option(command: argparse.ArgumentParser, default: str = "auto") -> None:
    """Add --layout."""
    what = "how class and cell are given: manifest, folders, bioimlab, cir, fish or unlabelled"
    command.add_argument("--layout", default=default, help=f"{what} (default: {default or 'as recorded'})")


def model_option(command: argparse.ArgumentParser) -> None:
    """Add --model."""
    command.add_argument(
        "--model", default="", metavar="NAME", help="a model with weights, or an output folder of `train` (default: packaged)"
    )


def models_option(command: argparse.ArgumentParser) -> None:
    """Add --model for one or more models."""
    command.add_argument(
        "--model", nargs="+", default=[], metavar="NAME", help="models with weights, or folders of `train` (default: packaged)"
    )


def model_names(options: argparse.Namespace) -> list[str]:
    """Return the names of the models to use; by default, the packaged one.

    Raises:
        GricolZooError: a model is given twice.
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


def read_part(options: argparse.Namespace, labels: bool = False) -> tuple[ImageSet, str, str]:
    """Return the images of --data, or with --split only those of --part.

    Args:
        options: with data, layout, split and part.
        labels: whether each image must have a label.

    Returns:
        The images, the name of their part ("all" without --split), and the name of the split ("" without).

    Raises:
        GricolZooError: the images or the split cannot be used, or the part is empty.
    """
    from gricol_zoo.data.split import apply_split, check_leaks, read_split

    images = read_images(options, labels)
    if not options.split:
        return images, "all", ""
    parts = apply_split(images, read_split(options.split))
    check_leaks(parts)
    if not len(parts[options.part]):
        raise GricolZooError(f"The {options.part} part of {options.split} is empty. Choose another --part or add cells to it.")
    return parts[options.part], options.part, options.split.name


def run_options(command: argparse.ArgumentParser, dtype: str = "fp32") -> None:
    """Add --dtype and --device."""
    text = f"auto: bf16 if the hardware supports it; int8 needs a runtime other than torch (default: {dtype})"
    option = command.add_argument("--dtype", choices=["auto", "fp32", "bf16", "int8"], default=dtype, help=text)
    networks_only(option, "auto", "fp32")  # a classical system computes in float64 anyway
    device_option(command)


def runtime_option(command: argparse.ArgumentParser, default: str = "torch") -> None:
    """Add --runtime."""
    text = f"runtime; auto: the fastest installed one whose results agree with torch (default: {default})"
    choices = ["torch", "onnxruntime", "openvino", "auto"]
    networks_only(command.add_argument("--runtime", choices=choices, default=default, help=text))


def device_option(command: argparse.ArgumentParser) -> None:
    """Add --device."""
    networks_only(command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)"))


def preparation_options(command: argparse.ArgumentParser, scale: str) -> None:
    """Add --preparation, --ground, and --scale with the default ``scale``."""
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
    """Add the options of `train` and `crossval`; return --resume, which a classical system only accepts in `crossval`."""
    command.add_argument("--model", required=True, metavar="NAME", help="model to train: a name that `list` prints")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder, created if needed")
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


def read_images(options: argparse.Namespace, labels: bool = True) -> ImageSet:
    """Return the images of --data, and print what the reader had to decide.

    Raises:
        GricolZooError: the images cannot be used, or ``labels`` are required and some are missing.
    """
    from gricol_zoo.data.readers import open_images

    images = open_images(options.data, options.layout, labels)
    say_notes([images])
    return images


def say_notes(sets: Sequence[ImageSet]) -> None:
    """Print what the readers of the sets had to decide; a note that holds for several sets is printed once."""
    notes: dict[str, list[str]] = {}
    for images in sets:
        for note in images.notes:
            notes.setdefault(note, []).append(str(images.store.root))
    for note, roots in notes.items():
        where = "" if len(sets) == 1 else f"{roots[0]}: " if len(roots) == 1 else f"{len(roots)} of {len(sets)} inputs: "
        print(" ".join(f"{where}{note}".split()), file=sys.stderr)


def read_split(options: argparse.Namespace, images: ImageSet, seed: int) -> tuple[ImageSet, dict[tuple[str, str], str], str]:
    """Return the images, the split given by --split, and its name; without --split, make a split and print a note.

    Raises:
        GricolZooError: the split cannot be used.
    """
    from gricol_zoo.data.split import read_split, split_for

    if options.split:
        return images, read_split(options.split), options.split.name
    images, split, name = split_for(images, seed)
    print(f"no --split given, splitting {name}", file=sys.stderr)
    return images, split, name


def parse_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Parse FIELD=VALUE and FIELD.KEY=VALUE; a value is JSON, or else a plain string.

    >>> parse_changes(["grid=2", "head_options.gate=channel"])
    {'grid': 2, 'head_options': {'gate': 'channel'}}

    Raises:
        GricolZooError: there is no equals sign, or a field is changed both as a whole and in part.
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
    """Parse a whole number that is at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, but got {number}")
    return number


def not_negative(text: str) -> int:
    """Parse a whole number that is at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected at least 0, but got {number}")
    return number


not_negative.__name__ = positive.__name__ = "whole number"  # what argparse calls it in messages


def say_unchecked(classifier: Classifier) -> None:
    """Warn, once per run, if the weights of a network have no reference to compare images with."""
    from gricol_zoo.data.quality import NOT_CHECKED

    if classifier.preprocess and classifier.reference is None:
        warn(NOT_CHECKED)


def say_pages(*left: int) -> None:
    """Warn about files with several pages; ``left`` is the number of pages left out of each file."""
    if left:
        files = "a file" if len(left) == 1 else f"{len(left)} files"
        warn(f"{count_of(sum(left), 'page')} of {files} left out: only the first page is read. Save each page as its own file")


def interval(bounds: Sequence[float] | None, form: str = ".4f") -> str:
    """Return a 95 % confidence interval as text, or why there is none.

    >>> interval([0.91, 0.97])
    '95 % by case or cell: 0.9100 to 0.9700'
    """
    if bounds is None:
        return "no interval: at least two cases or cells are needed"
    return f"95 % by case or cell: {bounds[0]:{form}} to {bounds[1]:{form}}"


def warn(words: str) -> None:
    """Print a warning on stderr, always as one line."""
    print(f"warning: {' '.join(words.split())}", file=sys.stderr)


def in_words(error: Exception, file: Path | None = None) -> str:
    """Return an error as one line; an error of the operating system begins with the file that it names, or else with ``file``.

    >>> in_words(FileNotFoundError(2, "No such file or directory", "a.png"))
    'a.png: No such file or directory'
    """
    if not isinstance(error, OSError) or error.strerror is None:
        return " ".join(str(error).split())
    name = os.fsdecode(error.filename if error.filename is not None else file or "cannot write")
    return f"{name if len(name) <= LONGEST else f'{name[:LONGEST]}...'}: {error.strerror}"


def count_of(number: int, what: str) -> str:
    """Return a number with its noun, in the singular or plural.

    >>> count_of(1, "image"), count_of(2, "image")
    ('1 image', '2 images')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
