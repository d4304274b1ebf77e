"""Measuring the images of a set, those that cannot be measured noted beside the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gricol_zoo.classical.profiles import Profiles, measure
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError, ImageError

NAMED = 20  # images that cannot be measured are named, up to so many of them


class Measured(NamedTuple):
    """What was measured of a set of images.

    Attributes:
        profiles: by the image's index in the set, in order.
        errors: why an image could not be measured, by its index.
    """

    profiles: dict[int, Profiles]
    errors: dict[int, str]

    def among(self, indices: Iterable[int]) -> tuple[list[int], list[Profiles]]:
        """Return which of these images were measured, in their order, and their profiles."""
        kept = [index for index in indices if index in self.profiles]
        return kept, [self.profiles[index] for index in kept]


def measure_images(images: ImageSet) -> Measured:
    """Measure every image of a set that can be read and measured."""
    profiles, errors = {}, {}
    for index, record in enumerate(images.records):
        try:
            profiles[index] = measure(images.grey(record))
        except (ImageError, OSError) as error:  # what a file can be guilty of; anything else is our fault, and stops
            errors[index] = " ".join(str(error).split()) or type(error).__name__
    return Measured(profiles, errors)


def measure_all(images: ImageSet) -> list[Profiles]:
    """Measure every image of a set.

    Raises:
        GricolZooError: an image that cannot be read or measured (the first is named).
    """
    measured = measure_images(images)
    if measured.errors:
        index, why = next(iter(measured.errors.items()))
        raise GricolZooError(
            f"{images.records[index].path} of {images.store.root}: {why}. Fix the file or remove it from the manifest."
        )
    return list(measured.profiles.values())


def name_errors(images: ImageSet, measured: Measured) -> str:
    """Return a line that counts and names the images that cannot be measured, "" if all can."""
    named = [f"{images.records[index].path} ({why})" for index, why in list(measured.errors.items())[:NAMED]]
    more = len(measured.errors) - len(named)
    told = "; ".join(named) + (f"; and {more} more" if more else "")
    return f"{len(measured.errors)} of {len(images)} images could not be measured: {told}" if named else ""
