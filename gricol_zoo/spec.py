"""The data that describe a model: what is saved is exactly what rebuilds it (``ModelSpec(**json) == spec``)."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from torch import Tensor

CHROMOSOMES = (*(str(number) for number in range(1, 23)), "X", "Y")
"""The 24 classes in their order; index 0 is chromosome 1, 22 is X, 23 is Y."""

DENVER_GROUPS = {
    "A": ("1", "2", "3"),
    "B": ("4", "5"),
    "C": ("6", "7", "8", "9", "10", "11", "12", "X"),
    "D": ("13", "14", "15"),
    "E": ("16", "17", "18"),
    "F": ("19", "20"),
    "G": ("21", "22", "Y"),
}
"""Chromosomes alike in size and in the place of the centromere (Denver conference, 1960): where confusions are expected."""

ORIENTATIONS = ("as-is", "centred", "upright")
CONTRASTS = ("as-is", "p99")
GROUNDS = ("auto", "light", "dark")
VERSIONS = (1, 2)
SMALLEST = 1e-4  # least scale or standard deviation; smaller values lead to numbers that are not finite
CELL_NORMS = ("shared", "own")
POOLS = ("avg", "max", "")


class GridOutput(NamedTuple):
    """Every classifier's logits for B images and K cells.

    Attributes:
        logits: (B, classes), the lower branch, Y_I.
        cell_logits: (B, K, classes), Y_1..Y_K (K = 0 without a grid).
        merged_logits: (B, classes), Y_0, or None if the head has no merged classifier.
        joint_logits: (B, classes, 2), the lower branch's for short arm up and down, whose ``logsumexp`` is ``logits``; None
            without polarity.
    """

    logits: Tensor
    cell_logits: Tensor
    merged_logits: Tensor | None
    joint_logits: Tensor | None = None


@dataclass(frozen=True)
class Preprocess:
    """How an image file becomes the network's input; it travels with the weights.

    Attributes:
        orientation: "as-is", or "upright": turned so that the principal axis of the chromosome is vertical
            (by at most 90 degrees, so short arm up stays up), and centred; "centred": scaled in the same way, but not turned.
        scale: canvas pixels per crop pixel when upright or centred; a chromosome too long for the canvas is shrunk to fit.
        pad_to: (height, width) to which a smaller crop is padded with its border median, then resized
            (bilinear) to the model's image size, as in section 2.1 of the paper. None: resized directly.
        contrast: "as-is" keeps grey values; "p99" subtracts the border median, inverts a light background,
            and divides by the 99th percentile of the chromosome, so background is 0 and the brightest bands 1.
        mean, std: of the training images after these steps, in units of full scale (0..1).
        version: version of the preparation of upright and centred images: 1 uses every pixel that stands out from the
            background; 2 uses the chromosome alone (``gricol_zoo.data.find``). Weights that state no version have 1.
        ground: whether the background is lighter or darker than the chromosome: "light" (G-bands) or "dark" (fluorescence);
            "auto" detects it.
        length: median length of the training chromosomes along their axes, in crop pixels; 0 if it was not measured. Crops of
            other cameras are scaled to it (``gricol_zoo.data.scale``).
    """

    orientation: str = "as-is"
    scale: float = 1.0
    pad_to: tuple[int, int] | None = (224, 224)
    contrast: str = "as-is"
    mean: float = 0.5
    std: float = 0.25
    version: int = 1
    ground: str = "auto"
    length: float = 0.0

    def __post_init__(self) -> None:
        if self.pad_to is not None:
            object.__setattr__(self, "pad_to", _pair("pad_to", self.pad_to))
        for name in ("scale", "mean", "std", "length"):
            _number(name, getattr(self, name))
        _one_of("orientation", self.orientation, ORIENTATIONS)
        _one_of("contrast", self.contrast, CONTRASTS)
        _one_of("ground", self.ground, GROUNDS)
        if self.version not in VERSIONS or type(self.version) is not int:
            raise GricolZooError(f"Expected the preparation `version` to be 1 or 2, but got {self.version!r}.")
        if not 0 <= self.length <= 8192:
            raise GricolZooError(f"Expected `length` to lie in 0..8192 crop pixels, but got {self.length}.")
        if not SMALLEST <= self.scale <= 16:
            raise GricolZooError(f"Expected `scale` to lie in {SMALLEST}..16, but got {self.scale}.")
        if not (SMALLEST <= self.std <= 16 and -16 <= self.mean <= 16):
            raise GricolZooError(f"Expected `std` in {SMALLEST}..16 and `mean` in -16..16, but got {self.std} and {self.mean}.")


@dataclass(frozen=True)
class ModelSpec:
    """A named model as data: which parts, at which sizes.

    Attributes:
        backbone, splitter, head: registered names; a backbone may also be ``timm/<name>``.
        overview: how the lower branch sees the whole image: "conv", "resize" or "none" (as it is).
        grid: N of the N x N cells.
        image_size, cell_size: (height, width) in pixels; one number means a square.
        in_chans, num_classes: image channels and classes.
        drop_rate: dropout before the lower branch's classifier, 0..1.
        class_names: one name per class; empty means the 24 chromosomes, or "0", "1", ... for another number.
        backbone_options, splitter_options, head_options: extra keyword arguments of that part.
        cell_norm: "shared": cells and overview go through the same batch-norms, as the paper's one network does; "own":
            the cells have a second set of them (``gricol_zoo.models.cell_norm``).
        polarity: whether the lower branch also predicts which end is up. Its classifier is then joint, (B, classes, 2), first
            short arm up, then down, and ``logsumexp`` over both gives the logits.
        global_pool: how the lower branch's map becomes features: "avg", "max", or "" (it stays a map; without classes only).
        preprocess: how files become inputs.
    """

    backbone: str
    splitter: str = "none"
    head: str = "none"
    overview: str = "none"
    grid: int = 3
    image_size: tuple[int, int] = (448, 456)
    cell_size: tuple[int, int] = (224, 224)
    in_chans: int = 1
    num_classes: int = 24
    drop_rate: float = 0.0
    class_names: tuple[str, ...] = ()
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    splitter_options: Mapping[str, Any] = field(default_factory=dict)
    head_options: Mapping[str, Any] = field(default_factory=dict)
    cell_norm: str = "shared"
    polarity: bool = False
    global_pool: str = "avg"
    preprocess: Preprocess = field(default_factory=Preprocess)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", _pair("image_size", self.image_size))
        object.__setattr__(self, "cell_size", _pair("cell_size", self.cell_size))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if isinstance(self.preprocess, Mapping):
            object.__setattr__(self, "preprocess", from_mapping(Preprocess, self.preprocess))
        _kind("preprocess", self.preprocess, Preprocess, "a mapping of its fields")
        for name in ("backbone", "splitter", "head", "overview", "cell_norm"):
            _kind(name, getattr(self, name), str, "a name")
        for name in ("backbone_options", "splitter_options", "head_options"):
            _kind(name, getattr(self, name), Mapping, "a mapping")
        _kind("polarity", self.polarity, bool, "true or false")
        _number("drop_rate", self.drop_rate)
        for name, low, high in (("grid", 1, 16), ("in_chans", 1, 64), ("num_classes", 0, 100_000)):
            _integer(name, getattr(self, name), low, high)
        _one_of("cell_norm", self.cell_norm, CELL_NORMS)
        _kind("global_pool", self.global_pool, str, "a name")
        _one_of("global_pool", self.global_pool, POOLS)
        if not self.global_pool and self.num_classes:
            raise GricolZooError("Expected `num_classes=0` with `global_pool=''`: a classifier needs pooled features.")
        if not 0 <= self.drop_rate < 1:
            raise GricolZooError(f"Expected `drop_rate` to lie in [0, 1), but got {self.drop_rate}.")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise GricolZooError(f"Expected {self.num_classes} `class_names`, one per class, but got {len(self.class_names)}.")
        _unlike(self.class_names)

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per class, in the order of the logits."""
        if self.class_names:
            return self.class_names
        if self.num_classes == len(CHROMOSOMES):
            return CHROMOSOMES
        return tuple(str(index) for index in range(self.num_classes))

    def replace(self, **changes: Any) -> ModelSpec:
        """Return a copy with fields changed; ``preprocess`` may be a mapping of only those of its fields that change.

        Raises:
            GricolZooError: a field that does not exist (named, with the known ones), or a value out of range.
        """
        _known_fields(ModelSpec, changes)
        if isinstance(changes.get("preprocess"), Mapping):
            _known_fields(Preprocess, changes["preprocess"])
            changes["preprocess"] = dataclasses.replace(self.preprocess, **changes["preprocess"])
        if "num_classes" in changes and changes["num_classes"] != self.num_classes:
            changes.setdefault("class_names", ())
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-serialisable data that ``from_mapping(ModelSpec, ...)`` turns back into an equal spec."""
        data = dataclasses.asdict(self)
        if self.global_pool == "avg":  # so that the files of most models stay as they were before this field existed
            del data["global_pool"]
        return data


def from_mapping(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """Build a dataclass from JSON data.

    Raises:
        GricolZooError: an unknown or missing field (the message names it).
    """
    _known_fields(cls, values)
    try:
        return cls(**values)
    except TypeError as error:
        raise GricolZooError(f"Expected the fields of {cls.__name__}, but {error}.") from error


def _known_fields(cls: type[Any], values: Mapping[str, Any]) -> None:
    known = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in known:
            raise GricolZooError(f"Unknown option `{name}` of {cls.__name__}. Known options: {', '.join(known)}.")


def _kind(name: str, value: Any, kind: type[Any], called: str) -> None:
    if not isinstance(value, kind):
        raise GricolZooError(f"Expected `{name}` to be {called}, but got {value!r}.")


def _number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise GricolZooError(f"Expected `{name}` to be a number, but got {value!r}.")


def _unlike(names: Sequence[Any]) -> None:
    """Reject class names that are empty, have spaces around them, or look the same as another."""
    seen: dict[str, str] = {}
    for name in names:
        _kind("class_names", name, str, "texts")
        if not name or name != name.strip():
            raise GricolZooError(f"Expected class names without spaces around them and not empty, but got {name!r:.100}.")
        looks = unicodedata.normalize("NFKC", name).casefold()  # full-width digits and composed accents look like plain ones
        if looks in seen:
            raise GricolZooError(f"Expected different class names, but got {seen[looks]!r:.100} and {name!r:.100}.")
        seen[looks] = name


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    pair = (value, value) if not isinstance(value, Sequence) or isinstance(value, str) else tuple(value)
    if len(pair) != 2:
        raise GricolZooError(f"Expected `{name}` to be one number or (height, width), but got {value!r}.")
    for side in pair:
        _integer(name, side, 1, 8192)
    return (pair[0], pair[1])


def _integer(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise GricolZooError(f"Expected `{name}` to be an integer in {low}..{high}, but got {value!r}.")


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        known = ", ".join(one or repr(one) for one in allowed)
        raise GricolZooError(f"Expected `{name}` to be one of {known}, but got {value!r}.")
