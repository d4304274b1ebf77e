"""Train a classical system on images and a split, and save it to a folder."""

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
    """Check that a name to train is the name of a system, not the folder of a trained one.

    Raises:
        GricolZooError: it is not the name of a system.
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
        split: (case, cell) -> part, as ``read_split`` returns it.
        system: a name of ``CLASSICAL``.
        out: the output folder.
        seed: as for ``fit``.
        say: called with a message that names the images that are left out, and why.
        split_name: the name of the split to write into the config; "" writes none.

    Raises:
        GricolZooError: an unknown system or label, images of only one class, or an image in two parts.
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
