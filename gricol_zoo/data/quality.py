"""Compare images and cells with those that the weights were trained on; warnings give the reason and what to do.

The checks measure how sharp the bands are, how dark the chromosome is overall, and how large it is. Sharpness and tone are
measured on the canvas, so that size and exposure do not matter. ``train`` records the range of each measure on its val part
(``fit_reference``), per image and per cell, and stores it with the weights. For weights without this reference a warning is
given once per run. Checks that need no reference (the same picture twice, several chromosomes in one crop) are always made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gricol_zoo.data.images import box_of
from gricol_zoo.data.scale import AS_IT_IS, MIN_CROPS

if TYPE_CHECKING:  # a config is checked without the libraries that find chromosomes
    from gricol_zoo.data.preprocess import Prepared

NOT_CHECKED = "not checked: no reference in these weights"
FEATURES = ("sharpness", "tone", "length", "area")
BAND = 38  # of 255 levels: darker pixels of the canvas are not part of the chromosome
SAME = "the same picture"
MANY = 5  # further pieces in one crop from which on it is a whole metaphase
ROOM = 0.25  # a range from the val part is widened on each side by this fraction of its own width, in logarithms
LARGEST = 1e9  # largest number in a reference
UNSURE = 0.5  # calibrated probability below which a single image is doubtful
DOUBTFUL_CELL = 0.2  # fraction of doubtful chromosomes above which a cell is not trusted


class Measures(NamedTuple):
    """The measures of one image that the checks use.

    Attributes:
        sharpness: mean change of grey from row to row of the canvas, divided by its mean grey.
        tone: mean grey of the chromosome on the canvas, 0..1.
        length: of the chromosome along its axis, in units of the reference length of the weights.
        area: of the chromosome, in units of the square of that length.
    """

    sharpness: float
    tone: float
    length: float
    area: float


@dataclass(frozen=True)
class Reference:
    """Ranges measured on the val part of a training: (low, high) of each of ``FEATURES``.

    Attributes:
        image: smallest and largest value of single images.
        cell: smallest and largest median of a cell.
        doubtful: fraction of the val images that are doubtful (``UNSURE``).
        light: whether most of the val images had a light background.
        images: number of val images.
    """

    image: Mapping[str, tuple[float, float]]
    cell: Mapping[str, tuple[float, float]]
    doubtful: float = 0.0
    light: bool = False
    images: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data, which ``from_dict`` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        """Read data from ``to_dict`` that ``is_reference`` has accepted."""
        image, cell = (
            {name: (float(low), float(high)) for name, (low, high) in data[kind].items()} for kind in ("image", "cell")
        )
        return cls(image, cell, float(data["doubtful"]), bool(data["light"]), int(data["images"]))


def is_reference(value: Any) -> bool:
    """Return whether a value from a config is valid data for ``Reference.from_dict``."""
    if not isinstance(value, dict) or set(value) != {field.name for field in dataclasses.fields(Reference)}:
        return False
    pairs: list[Any] = [(0, value["doubtful"]), (value["doubtful"], 1), (0, value["images"])]
    for kind in ("image", "cell"):
        if not isinstance(value[kind], dict) or set(value[kind]) != set(FEATURES):
            return False
        pairs += value[kind].values()
    for pair in pairs:  # (low, high) with 0 <= low <= high
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            return False
        if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) < LARGEST for n in pair):
            return False
        if not 0 <= pair[0] <= pair[1]:
            return False
    return isinstance(value["light"], bool) and isinstance(value["images"], int)


def measure(prepared: Prepared, reference_length: float = 0.0, scale: float = 1.0) -> Measures:
    """Measure one image.

    Args:
        prepared: as ``prepare`` returned it.
        reference_length: of the weights, in crop pixels; with 0, lengths and areas are in crop pixels.
        scale: the scale factor of the crop.
    """
    canvas = prepared.canvas
    there = canvas > BAND
    count = np.count_nonzero(there)
    if not count:
        return Measures(0.0, 0.0, 0.0, 0.0)
    inside = canvas[box_of(there)].astype(np.int16)
    total = float(inside.sum())
    change = float(np.abs(inside[1:] - inside[:-1]).sum())
    unit = reference_length or 1.0
    return Measures(
        sharpness=change / total if total else 0.0,
        tone=total / (255 * count),
        length=prepared.length * scale / unit,
        area=prepared.area * (scale / unit) ** 2,
    )


def fit_reference(measures: Sequence[Measures], cells: Sequence[str], doubtful: np.ndarray, light: Sequence[bool]) -> Reference:
    """Return the ranges of the val images; images on which nothing was found are left out.

    Args:
        measures: of the n val images.
        cells: the cell of each, "" if unknown; with fewer than two cells the range of images is used for cells too.
        doubtful: (n,) bool, whether each image is doubtful.
        light: whether each had a light background.
    """
    there = [index for index, one in enumerate(measures) if one.area > 0] or range(len(measures))
    values, cells = np.array([measures[index] for index in there]), [cells[index] for index in there]
    medians = np.array([np.median(values[[c == cell for c in cells]], axis=0) for cell in sorted(set(cells) - {""})])
    image = {name: _range(values[:, i]) for i, name in enumerate(FEATURES)}
    cell = {name: _range(medians[:, i]) for i, name in enumerate(FEATURES)} if len(medians) > 1 else image
    return Reference(image, cell, round(float(np.mean(doubtful)), 4), bool(np.mean(light) > 0.5), len(measures))


def _range(values: np.ndarray) -> tuple[float, float]:
    return round(float(values.min()), 5), round(float(values.max()), 5)


class Said(NamedTuple):
    """A warning about one image.

    Attributes:
        text: the reason, and what to do.
        serious: whether it makes the chromosome count of the cell unreliable.
    """

    text: str
    serious: bool = False


def image_warnings(prepared: Prepared, measures: Measures, reference: Reference | None) -> list[Said]:
    """Return the warnings about one image, each with its reason and what to do; an empty list if there are none.

    Args:
        prepared: as ``prepare`` returned it.
        measures: its measures.
        reference: of the weights; None if they have none.
    """
    if not prepared.canvas.any():
        return [Said("nothing stands out of the background", True)]
    found = []
    if prepared.others >= MANY:
        found.append(Said("a whole metaphase in one crop: cut the chromosomes apart", True))
    elif prepared.others:
        found.append(Said("several chromosomes in one crop: cut them apart", True))
    if prepared.shrunk < 1:
        found.append(Said(f"too large for the canvas, shrunk to {prepared.shrunk:.0%}"))
    if reference is None or not measures.area:
        return found
    low, high = _widened(reference.image["area"])
    if measures.area > high and not prepared.others:
        found.append(Said("larger than any chromosome of the training: several that touch, or another scale?"))
    elif measures.area < low:
        found.append(Said("smaller than any chromosome of the training: a piece, or another scale?"))
    if measures.sharpness < _widened(reference.image["sharpness"])[0]:
        found.append(Said("blurred: the bands cannot be resolved"))
    return found


def cell_warnings(
    measures: Sequence[Measures], doubtful: float, reference: Reference | None, light: Sequence[bool] = (), scaled: bool = True
) -> list[str]:
    """Return the reasons why a cell should not be trusted, each with what to do.

    There is a warning, with all differences found, if more than ``DOUBTFUL_CELL`` of the chromosomes are doubtful (or twice the
    fraction of the val part, if that is more). A wrong scale always gives a warning.

    Args:
        measures: of its images that could be read; empty if the preparation measures nothing.
        doubtful: fraction of its chromosomes that are doubtful, 0..1.
        reference: of the weights; None if they have none. With fewer than ``MIN_CROPS`` images, the ranges of single images
            are used.
        light: whether each image had a light background.
        scaled: whether the crops were scaled to the reference length.
    """
    found: list[str] = []
    reasons: list[str] = []
    if reference is not None and measures:
        medians = dict(zip(FEATURES, np.median(np.array(measures), axis=0), strict=True))
        enough, ratio = len(measures) >= MIN_CROPS, float(medians["length"])
        if enough and not AS_IT_IS[0] <= ratio <= AS_IT_IS[1] and not scaled:
            reasons.append(f"chromosomes {ratio:.2f} times as long as in the training images: try `--scale auto`")
        reasons += _differences(medians, reference.cell if enough else reference.image)
        if light and bool(np.mean(light) > 0.5) != reference.light:
            kinds = ("dark on a light background", "light on a dark background")
            here, there = kinds if np.mean(light) > 0.5 else kinds[::-1]
            reasons.append(f"stained {here}, the training images {there}: another banding? Try other weights")
    if doubtful > max(DOUBTFUL_CELL, 2 * (reference.doubtful if reference else 0.0)):
        why = "; ".join(reasons) or "another stain, or images unlike the training images: try other weights"
        found.append(f"not like the training images ({doubtful:.0%} of the chromosomes are doubtful): {why}")
    elif not scaled and reasons and reasons[0].startswith("chromosomes"):
        found.append(f"scale: {reasons[0]}")
    return found


def _differences(medians: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]) -> list[str]:
    words = {
        "sharpness": ("blurred: refocus or use the original files", "grainy or sharpened: use the original files"),
        "tone": (
            "paler than the training images: check the contrast",
            "darker than the training images: check the contrast",
        ),
    }
    reasons = []
    for name, (below, above) in words.items():
        low, high = _widened(ranges[name])
        if medians[name] < low:
            reasons.append(below)
        elif medians[name] > high:
            reasons.append(above)
    return reasons


def _widened(pair: tuple[float, float]) -> tuple[float, float]:
    low, high = pair
    if low <= 0:
        return 0.0, high * (1 + ROOM)
    room = (high / low) ** ROOM
    return low / room, high * room


def same_pictures(digests: Sequence[str], names: Sequence[str]) -> dict[int, str]:
    """Return a warning for each image that has the same pixels as an earlier one: index -> warning.

    Args:
        digests: hash of the pixels of each image, "" if it could not be read.
        names: name of each image.
    """
    first: dict[str, int] = {}
    found = {}
    for index, digest in enumerate(digests):
        if digest and first.setdefault(digest, index) != index:
            found[index] = f"{SAME} as {names[first[digest]]}: take one out"
    return found
