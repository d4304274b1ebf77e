"""Use a model with another preparation of images than the one it was trained with, or with a given background."""

from __future__ import annotations

from typing import TypeVar

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.lower import LowerBranch

Model = TypeVar("Model", bound=LowerBranch)


def prepare_as(model: Model, version: int = 0, ground: str = "") -> Model:
    """Change how a model's images are prepared, in place; return the model.

    Args:
        model: either form.
        version: version of the preparation, 1 or 2; 0 keeps the weights' own.
        ground: "auto", "light" or "dark"; "" keeps the weights' own.

    Raises:
        GricolZooError: an unknown version or background, or another version for a model that uses crops as they are.
    """
    how = model.spec.preprocess
    if version not in (0, how.version) and how.orientation == "as-is":
        raise GricolZooError(
            f"{model.name or 'This model'} uses crops without preparation, as in the paper, so there is no preparation "
            f"{version}. Leave --preparation out."
        )
    changes = {"version": version or how.version, "ground": ground or how.ground}
    model.spec = model.spec.replace(preprocess=changes)
    return model
