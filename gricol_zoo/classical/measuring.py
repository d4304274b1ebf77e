"""Measure the images of a set, and record the errors of those that cannot be measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gricol_zoo.classical.profiles import Profiles, measure
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError, ImageError

NAMED = 20  # a message names at most this many of the images that cannot be measured


class Measured(NamedTuple):
    """Measurements of a set of images.

    Attributes:
        profiles: image index in the set -> its profiles, in order.
        errors: image index in the set -> why it could not be measured.
    """

    profiles: dict[int, Profiles]
    errors: dict[int, str]

    def among(self, indices: Iterable[int]) -> tuple[list[int], list[Profiles]]:
        """Return the indices that were measured, in the given order, and their profiles."""
        kept = [index for index in indices if index in self.profiles]
        return kept, [self.profiles[index] for index in kept]


def measure_images(images: ImageSet) -> Measured:
    """Measure every image of a set; images that cannot be read or measured are listed in ``errors``."""
    profiles, errors = {}, {}
    for index, record in enumerate(images.records):
        try:
            profiles[index] = measure(images.grey(record))
        except (ImageError, OSError) as error:  # faults of the file; any other exception is a bug and is raised
            errors[index] = " ".join(str(error).split()) or type(error).__name__
    return Measured(profiles, errors)


def measure_all(images: ImageSet) -> list[Profiles]:
    """Measure every image of a set.

    Raises:
        GricolZooError: an image cannot be read or measured (the message names the first).
    """
    measured = measure_images(images)
    if measured.errors:
        index, why = next(iter(measured.errors.items()))
        raise GricolZooError(
            f"{images.records[index].path} of {images.store.root}: {why}. Fix the file or remove it from the manifest."
        )
    return list(measured.profiles.values())


def name_errors(images: ImageSet, measured: Measured) -> str:
    """Return a line with the number and names of the images that could not be measured; "" if there are none."""
    named = [f"{images.records[index].path} ({why})" for index, why in list(measured.errors.items())[:NAMED]]
    more = len(measured.errors) - len(named)
    told = "; ".join(named) + (f"; and {more} more" if more else "")
    return f"{len(measured.errors)} of {len(images)} images could not be measured: {told}" if named else ""
