"""What the parts of a model promise, as types. ``gricol_zoo.testing`` checks that a part keeps what it promises.

A third party's part may be any ``nn.Module`` that has the attributes; it need not inherit from these classes. What is optional
is a protocol: a part that has its methods is taken at its word.
"""

# No `from __future__ import annotations` here: TorchScript reads the annotations of modules as objects.

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypedDict, TypeVar, cast, runtime_checkable

from torch import Tensor, nn

Contract = TypeVar("Contract", bound=nn.Module)

Classify = Callable[[Tensor], Tensor]
"""A map, (B, F, h, w), to the model's logits, (B, classes)."""
Criterion = Callable[[Tensor, Tensor], Tensor]
"""(B, classes) logits of one classifier and (B,) classes or (B, classes) probabilities to the recipe's loss, a scalar."""


class Shapes(NamedTuple):
    """The shapes of the chromosomes of a batch by classical image analysis: one row per image, on the images' device.

    Attributes:
        errors: (B,) why a chromosome could not be measured, "" where it was.
        measured: (B,) bool, the same.
        box: (B, 4) the mask's bounding box as (top, left, bottom, right), in shares of the image's sides.
        joints: (B, 5, 2) points of the medial axis as (y, x), in shares of the image's sides, from the short arm's end on: the
            tip, the bend of the first half, the centromere, the bend of the second half, the other tip.
        arms: (B, 2, h, w) in 0..1, the short and the long arm, on an image that may be smaller.

    What was not measured is 0.
    """

    errors: tuple[str, ...]
    measured: Tensor
    box: Tensor
    joints: Tensor
    arms: Tensor

    def mean(self, losses: Tensor) -> Tensor:
        """Return the mean of (B,) losses over the chromosomes that were measured, a scalar; 0 where none was."""
        kept = self.measured.to(losses.dtype)
        return (losses * kept).sum() / kept.sum().clamp(min=1)


Measure = Callable[[Tensor], Shapes]
"""(B, C, h, w) images as a network sees them to the shapes of their chromosomes."""


class Level(TypedDict):
    """One feature level, in timm's words: channels, pixels of the image per pixel of the map, and the module that gives it."""

    num_chs: int
    reduction: int
    module: str


class Backbone(nn.Module):
    """(B, C, h, w) images -> (B, num_features, h', w') map. Pooling belongs to the model.

    The constructor takes by name what it needs of ``in_chans``, ``input_size`` ((height, width) that it will see) and
    ``num_classes``, and options of its own.

    Attributes:
        num_features: channels of the map.
        first_conv: name of the layer that takes the image.
        gives_map: False where it pools by itself, so that h' = w' = 1.
        phases: first epochs of the phases of an objective of its own (``OwnObjective``), not all of which train every
            parameter. A recipe that ends before the last one is refused.
        looks_at_shape: its own objective learns from the chromosomes' shapes, and is given ``measure`` (``OwnObjective``).
    """

    num_features: int
    first_conv: ClassVar[str] = "conv1"
    gives_map: ClassVar[bool] = True
    looks_at_shape: ClassVar[bool] = False
    phases = ()  # type: tuple[int, ...]  # TorchScript reads annotations, and cannot read this one


class Splitter(nn.Module):
    """(B, C, H, W) images -> (B, num_cells, C, h, w) cells.

    The constructor takes by name what it needs of ``grid``, ``image_size`` and ``cell_size``, and options of its own.

    Attributes:
        num_cells: K, 0 for none.
        stage: of the backbone, after which the cells are cut from its map (0 is the stem); ``forward`` then gets that map. None
            where they are cut from the image.
    """

    num_cells: int
    stage: int | None = None


def complete(part: nn.Module, contract: type[Contract]) -> Contract:
    """Give a part that does not inherit from its contract the contract's defaults for what it lacks; the part itself."""
    for name, value in vars(contract).items():
        if not name.startswith("_") and not hasattr(part, name):
            setattr(part, name, value)
    return cast(Contract, part)


@runtime_checkable
class MultiLevel(Protocol):
    """A backbone that gives the maps of several levels, by timm's contract, and can be cut off after one.

    ``feature_info`` has one entry a level, from the image to the last map. Of ``forward_intermediates`` only these arguments
    are used; ``indices`` are absolute and sorted.
    """

    feature_info: Sequence[Level]

    def forward_intermediates(self, x: Tensor, indices: Sequence[int], *, stop_early: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the last map computed, and the maps of the levels in ``indices``."""
        ...

    def prune_intermediate_layers(self, indices: Sequence[int]) -> Any:
        """Drop what comes after the last of these levels, whose maps stay what they are."""
        ...


@runtime_checkable
class Cuttable(Protocol):
    """A backbone that can be run in two parts, so that cells are cut from a map in the middle."""

    def to_stage(self, x: Tensor, stage: int) -> Tensor:
        """(B, C, h, w) -> the map after a stage; 0 is the stem."""
        ...

    def from_stage(self, x: Tensor, stage: int) -> Tensor:
        """Run what comes after a stage on that stage's map."""
        ...

    def stages_after(self, stage: int) -> list[nn.Module]:
        """Return the modules of the stages after this one."""
        ...


@runtime_checkable
class Checkpointing(Protocol):
    """A backbone that can recompute its blocks in the backward pass, to save memory."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Switch it."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """A backbone that is made for one size of images, and can be made one for another."""

    def set_input_size(self, size: tuple[int, int]) -> None:
        """Take (height, width) from now on.

        Raises:
            GricolZooError: it cannot.
        """
        ...


@runtime_checkable
class Layered(Protocol):
    """A backbone that says in which order its parameters come; names are those within it."""

    def parameter_layers(self, coarse: bool) -> dict[str, int]:
        """Return each parameter's layer, counted from the image; stages are one layer each where ``coarse``."""
        ...

    def no_weight_decay(self) -> set[str]:
        """Name the parameters that are not to decay, beyond biases and norms."""
        ...


@runtime_checkable
class Initialising(Protocol):
    """A part that can start again from random weights."""

    def init_weights(self) -> None:
        """Draw them anew."""
        ...


@runtime_checkable
class OwnObjective(Protocol):
    """A backbone with a training objective of its own, which takes the place of cross entropy on the logits.

    What only that objective needs is in the submodule ``auxiliary``, which the deployed form leaves out. With
    ``looks_at_shape`` it is called with one argument more, ``measure``, which tells the shapes of images (``Measure``); an
    image that cannot be measured must not stop the training.
    """

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the loss, a scalar.

        Args:
            images: (B, C, h, w).
            labels: (B,) classes, or (B, classes) probabilities.
            epoch: of the training, from 0; a fraction within one.
            classify: turns a map into the model's logits.
            criterion: the recipe's loss of one classifier.
        """
        ...


@runtime_checkable
class OwnClasses(Protocol):
    """A backbone with classifiers of its own, in its submodule ``auxiliary``.

    A tensor in there that depends on the classes has them as its first dimension, so that weights load with other classes.
    """

    def reset_classes(self, num_classes: int) -> None:
        """Renew them (0: none)."""
        ...


@runtime_checkable
class Boxed(Protocol):
    """A splitter that says which pixels of the image each cell shows."""

    def boxes(self) -> Sequence[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each cell, in the order of the cells."""
        ...


@runtime_checkable
class Gated(Protocol):
    """A head that weighs cells by gates."""

    def gate_values(self, features: Tensor) -> Tensor:
        """(B, K, F) features of the cells -> (B, K) gates in 0..1."""
        ...
