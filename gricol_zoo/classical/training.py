"""A classical system from images and a split to a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from gricol_zoo.classical.model import fit
from gricol_zoo.classical.registry import CLASSICAL
from gricol_zoo.classical.saving import save
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.split import apply_split, check_classes, check_leaks
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.progress import LOGGER


def check_untrained(name: str) -> None:
    """Refuse a folder where a system is to be trained.

    Raises:
        GricolZooError: it is no system's name.
    """
    if name not in CLASSICAL:
        raise GricolZooError(f"{name!r} is already trained. Expected one of {', '.join(CLASSICAL)}.")


def train(
    images: ImageSet,
    split: dict[tuple[str, str], str],
    system: str,
    out: Path,
    seed: int,
    say: Callable[[str], None],
    split_name: str = "",
) -> None:
    """Train a system and save it.

    Args:
        images: labelled.
        split: (case, cell) -> part, as ``read_split`` gives it.
        system: a name of ``CLASSICAL``.
        out: the folder.
        seed: as ``fit``'s.
        say: called with which images are left out, and why.
        split_name: what to write of the split into the config.

    Raises:
        GricolZooError: an unknown system or label, images of one class, or an image in two parts.
    """
    check_classes(images)
    parts = apply_split(read_once(images), split)
    check_leaks(parts)
    LOGGER.info(f"{system}: measuring {len(parts['train'])} and {len(parts['val'])} images")
    model = fit(system, parts["train"], parts["val"], seed=seed, say=say)
    if split_name:
        training = {**model.info.training, "split": split_name}
        model = dataclasses.replace(model, info=model.info.replace(training=training))
    save(model, out)
    LOGGER.info(f"saved in {out}")
