"""The contracts of a model's parts, as types. ``gricol_zoo.testing`` checks that a part keeps its contract.

A third party's part may be any ``nn.Module`` that has the attributes; it need not inherit from these classes. Optional
abilities are protocols: a part that has the methods of one is taken to support it.
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
    """The shapes of a batch's chromosomes, from classical image analysis: one row per image, on the images' device.

    Attributes:
        errors: (B,) why a chromosome could not be measured, "" if it was measured.
        measured: (B,) bool, whether it was measured.
        box: (B, 4) the mask's bounding box as (top, left, bottom, right), as fractions of the image's sides.
        joints: (B, 5, 2) points of the medial axis as (y, x), as fractions of the image's sides, from the short arm's end on:
            the tip, the bend of the first half, the centromere, the bend of the second half, the other tip.
        arms: (B, 2, h, w) in 0..1, masks of the short and the long arm, possibly at a lower resolution.

    Values that were not measured are 0.
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
    """One feature level, in timm's terms: channels, pixels of the image per pixel of the map, and the module that gives it."""

    num_chs: int
    reduction: int
    module: str


class Backbone(nn.Module):
    """(B, C, h, w) images -> (B, num_features, h', w') map. The model does the pooling.

    The constructor takes by name what it needs of ``in_chans``, ``input_size`` ((height, width) of its input) and
    ``num_classes``, and options of its own.

    Attributes:
        num_features: channels of the map.
        first_conv: name of the layer that takes the image.
        gives_map: False if it pools by itself, so that h' = w' = 1.
        phases: first epoch of each phase of its own objective (``OwnObjective``); not every phase trains every parameter. A
            recipe that ends before the last phase is rejected.
        looks_at_shape: whether its own objective learns from the chromosomes' shapes and takes ``measure`` (``OwnObjective``).
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
        stage: stage of the backbone after which the cells are cut from its map (0 is the stem); ``forward`` then gets that
            map. None if they are cut from the image.
    """

    num_cells: int
    stage: int | None = None


def complete(part: nn.Module, contract: type[Contract]) -> Contract:
    """Give a part that does not inherit from its contract the contract's defaults for what it lacks; return the part."""
    for name, value in vars(contract).items():
        if not name.startswith("_") and not hasattr(part, name):
            setattr(part, name, value)
    return cast(Contract, part)


@runtime_checkable
class MultiLevel(Protocol):
    """A backbone that gives the maps of several levels, by timm's contract, and can be cut off after one.

    ``feature_info`` has one entry per level, from the image to the last map. Only these arguments of ``forward_intermediates``
    are used; ``indices`` are absolute and sorted.
    """

    feature_info: Sequence[Level]

    def forward_intermediates(self, x: Tensor, indices: Sequence[int], *, stop_early: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the last map computed, and the maps of the levels in ``indices``."""
        ...

    def prune_intermediate_layers(self, indices: Sequence[int]) -> Any:
        """Remove what comes after the last of these levels; their maps stay the same."""
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
        """Turn it on or off."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """A backbone that is made for one image size, and can be adapted to another."""

    def set_input_size(self, size: tuple[int, int]) -> None:
        """Accept images of (height, width) from now on.

        Raises:
            GricolZooError: the size is not supported.
        """
        ...


@runtime_checkable
class Layered(Protocol):
    """A backbone that knows the order of its layers; parameter names are relative to the backbone."""

    def parameter_layers(self, coarse: bool) -> dict[str, int]:
        """Return each parameter's layer, counted from the image; stages are one layer each where ``coarse``."""
        ...

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay, besides biases and norms."""
        ...


@runtime_checkable
class Initialising(Protocol):
    """A part that can start again from random weights."""

    def init_weights(self) -> None:
        """Draw new random weights."""
        ...


@runtime_checkable
class OwnObjective(Protocol):
    """A backbone with a training objective of its own, which takes the place of cross entropy on the logits.

    Layers that only that objective needs are in the submodule ``auxiliary``, which the deployed form leaves out. With
    ``looks_at_shape`` it is called with one more argument, ``measure``, which returns the shapes of the images' chromosomes
    (``Measure``); an image that cannot be measured must not stop the training.
    """

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the loss, a scalar.

        Args:
            images: (B, C, h, w).
            labels: (B,) classes, or (B, classes) probabilities.
            epoch: epoch of the training, from 0; within an epoch it has a fraction.
            classify: function from a map to the model's logits.
            criterion: the recipe's loss for one classifier.
        """
        ...


@runtime_checkable
class OwnClasses(Protocol):
    """A backbone with classifiers of its own, in its submodule ``auxiliary``.

    A tensor there that depends on the classes must have them as its first dimension, so that weights load with other classes.
    """

    def reset_classes(self, num_classes: int) -> None:
        """Replace them by new ones (0: by none)."""
        ...


@runtime_checkable
class Boxed(Protocol):
    """A splitter that says which pixels of the image each cell shows."""

    def boxes(self) -> Sequence[tuple[int, int, int, int]]:
        """Return (top, left, height, width) of each cell, in the order of the cells."""
        ...


@runtime_checkable
class Gated(Protocol):
    """A head that weights cells by gates."""

    def gate_values(self, features: Tensor) -> Tensor:
        """(B, K, F) features of the cells -> (B, K) gates in 0..1."""
        ...
