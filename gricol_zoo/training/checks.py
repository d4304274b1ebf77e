"""Checks before a training begins, and the spec that is trained."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gricol_zoo.data.split import check_classes
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.names import parse_model_name
from gricol_zoo.models.presets import MODELS
from gricol_zoo.spec import CHROMOSOMES, ModelSpec
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.task import TrainingTask

MAX_STRAYS = 0.05  # fraction of the images: fewer labels that are not chromosomes, among chromosomes, count as slips
MANY = 10  # if half of the classes have this many images, a class of a single image counts as a slip


def check_share(batch_size: int, images: int, processes: int) -> None:
    """Reject a batch that processes cannot share evenly: the mean of their losses would not be the batch's.

    Raises:
        GricolZooError: such a batch size (the message names possible sizes), or fewer images than processes.
    """
    if images < processes:
        raise GricolZooError(
            f"Expected at least one image per process, but got {images} for {processes} processes. Start fewer."
        )
    if batch_size % processes:
        below = batch_size - batch_size % processes
        near = f"{below} or {below + processes}" if below else str(processes)
        raise GricolZooError(
            f"Expected a `batch_size` divisible by the {processes} processes that share it, but got {batch_size}. "
            f"Set it to {near} in the recipe."
        )


def check_phases(task: TrainingTask, model_name: str, recipe: Recipe) -> None:
    """Reject a recipe that ends before the model's last phase, which would leave its classifier untrained.

    Raises:
        GricolZooError: such a recipe (the message says when the last phase begins).
    """
    if task.phases and recipe.epochs <= task.phases[-1]:
        raise GricolZooError(
            f"{model_name} trains in stages, and the last one starts after {task.phases[-1]} epochs, but the recipe has "
            f"{recipe.epochs}. Raise `epochs`, or start it earlier: `--change backbone_options.OPTION=EPOCHS`."
        )


def check_polarity(spec: ModelSpec, recipe: Recipe) -> None:
    """Reject augmentation that would teach a model with polarity the wrong end.

    Raises:
        GricolZooError: such a recipe (the message names the field).
    """
    if spec.polarity and recipe.augment.flip_arms:
        raise GricolZooError("Training with polarity already turns half of the images. Set the recipe's `flip_arms` to 0.")
    if spec.polarity and recipe.mixup:
        raise GricolZooError("`mixup` blends images of both polarities, so it cannot be used with polarity. Set it to 0.")


def check_strays(images: ImageSet) -> None:
    """Reject labels that look like slips: few images among many of chromosomes, or one image among classes of many.

    Raises:
        GricolZooError: such labels (the message names them, and says how to keep them as classes).
    """
    counts = Counter(record.label for record in images.records)
    others = {label: count for label, count in counts.items() if label not in CHROMOSOMES}
    strays = others if sum(others.values()) <= MAX_STRAYS * len(images) else {}
    if len(counts) > 2 and statistics.median(counts.values()) >= MANY:
        strays = strays or {label: count for label, count in others.items() if count == 1}
    if strays:
        label = next(iter(strays))
        path = next(record.path for record in images.records if record.label == label)
        raise GricolZooError(
            f"The label {label!r} of {path} looks like a slip: {sum(strays.values())} of {len(images)} images have such labels "
            f"({', '.join(map(repr, list(strays)[:5]))}), {len(counts)} classes in all. Correct them or remove the "
            "images; to keep them as classes, name all of them: --change 'class_names=[\"1\", ...]' --change num_classes=N."
        )


def changed_spec(model_name: str, images: ImageSet, changes: Mapping[str, Any] | None = None) -> ModelSpec:
    """Return the spec to train: the registered one, changed, with the data's own classes if they are not chromosomes.

    Raises:
        GricolZooError: images without a label or of one class, labels that look like slips, too many different labels, or
            labels that are not among the given ``class_names``.
    """
    found = sorted({record.label for record in images.records})
    if "" in found:
        raise GricolZooError(f"{images.store.root} has images without a label. Training needs a label for each image.")
    check_classes(images)
    spec = MODELS.get(parse_model_name(model_name).arch).replace(**(changes or {}))
    if set(found) <= set(CHROMOSOMES):
        return spec
    if spec.class_names:  # given by the user
        unknown = sorted(set(found) - set(spec.class_names))
        if unknown:
            raise GricolZooError(f"Expected labels among the `class_names`, but {images.store.root} has {', '.join(unknown)}.")
        return spec
    check_strays(images)
    if len(found) > 1000:
        raise GricolZooError(f"Expected at most 1000 classes, but {images.store.root} has {len(found)} different labels.")
    return spec.replace(num_classes=len(found), class_names=tuple(found))
