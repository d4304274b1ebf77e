"""The released weights: names, and how to load each, from the package or from ``hub/``."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import gricol_zoo
from gricol_zoo.data.crops import read_once
from gricol_zoo.data.rows import read_csv
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import LeakError
from gricol_zoo.evaluation.seen import seen_in_training
from gricol_zoo.factory import GridModel
from gricol_zoo.models.deployed import DeployedModel

HUB = Path(__file__).parent.parent.parent / "hub"


def released(pattern: str = "*") -> list[str]:
    """Return the names, with tags, of the weights staged in ``hub/`` that match a pattern, sorted."""
    names = sorted(folder.name for folder in HUB.iterdir() if (folder / "config.json").is_file())
    return [name for name in names if fnmatch.fnmatch(name, pattern)]


def create(name: str, deployed: bool = True) -> GridModel | DeployedModel:
    """Create a released model, or one from a folder that `train` wrote, with its weights."""
    folder = HUB / name if (HUB / name).is_dir() else Path(name)
    return gricol_zoo.create_model(f"local-dir:{folder}", pretrained=True, deployed=deployed)


def unseen(images: ImageSet, model: GridModel | DeployedModel) -> ImageSet:
    """Return the images to score a model on, after checking against its training record that it has seen none of them.

    Raises:
        LeakError: it was trained on images with the same pixels, or on others of their cells or cases.
    """
    images = read_once(images, model.spec.preprocess.ground)
    seen = seen_in_training(images, model.info, model.training_pixels).any()
    if seen.any():
        first = images.records[int(seen.argmax())].path
        raise LeakError(
            f"Expected images that {model.name} was not trained on, but it was trained on {seen.sum()} of these {len(images)}, "
            f"or on others of their cells, such as {first}. Score it on another part."
        )
    return images


def title_of(name: str) -> str:
    """Return the name of weights in a table: the released name, or for a folder of `train` (Q-band) model and epochs."""
    if name in released():
        return name
    epochs, model = len(read_csv(Path(name) / "log.csv")), json.loads((Path(name) / "config.json").read_text())["architecture"]
    return f"{model}, {epochs} epochs on Q-band"
