"""The configuration of one training besides its images: the arguments of ``gricol_zoo.training.train.train``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gricol_zoo.errors import GricolZooError
from gricol_zoo.training.recipes import Recipe


@dataclass(frozen=True)
class TrainConfig:
    """One training: what, how, where and for how long.

    Attributes:
        model_name: a registered name.
        recipe: how to train.
        out: the output folder.
        init: a name with weights, or a folder, whose weights are the start; "" starts from random weights. If its grid
            differs or it has none, only its lower branch is used.
        changes: fields of the model's spec to change; for ``preprocess`` a mapping: fields that it sets are not measured.
        resume: continue from the folder's checkpoint, if there is one.
        time_limit: seconds after which to stop cleanly, with a checkpoint.
        device: "cpu", "cuda", ...; "" uses the device that accelerate finds.
        checkpoint_every: seconds between checkpoints.
        split_name: description of the split, for the config.
        grad_checkpointing: recompute the backbone's blocks in the backward pass: less memory, more time, and with our own
            backbones the same result (timm's count each batch twice in their running statistics).
        compile: run the backbone through torch.compile, which needs a C++ compiler and a minute or two at the first step.
        scale: factor for the size of the crops: "none", a number, or "auto", from the lengths of each cell.

    Raises:
        GricolZooError: two options that cannot be combined.
    """

    model_name: str
    recipe: Recipe
    out: Path
    init: str = ""
    changes: Mapping[str, Any] | None = None
    resume: bool = False
    time_limit: float = math.inf
    device: str = ""
    checkpoint_every: float = 120.0
    split_name: str = ""
    grad_checkpointing: bool = False
    compile: bool = False
    scale: str | float = "none"

    def __post_init__(self) -> None:
        if self.grad_checkpointing and self.compile:
            raise GricolZooError("Gradient checkpointing and compiling cannot be combined. Choose one.")
        if self.recipe.freeze_batch_norm and not self.init:
            raise GricolZooError(
                "`freeze_batch_norm` keeps the statistics of the initial weights, but there are none. Give `init`."
            )
