"""Score weights by another preparation than the one that they were trained with, or say which way round the stain is."""

from __future__ import annotations

from typing import TypeVar

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.lower import LowerBranch

Model = TypeVar("Model", bound=LowerBranch)


def prepare_as(model: Model, version: int = 0, ground: str = "") -> Model:
    """Let a model's images be prepared in another way; the model itself, changed.

    Args:
        model: either form.
        version: of the preparation, 1 or 2; 0 leaves the weights' own.
        ground: "auto", "light" or "dark"; "" leaves the weights' own.

    Raises:
        GricolZooError: an unknown version or background, or preparation 2 for a model that takes crops as they lie.
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
