"""Training recipes: everything about a training except the model and the data, as one frozen dataclass each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gricol_zoo.data.augment import Augment
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import read_json
from gricol_zoo.spec import from_mapping

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs, batch_size: batch_size is over all processes together.
        optimizer: "adam" or "adamw"; lr: its highest learning rate; weight_decay.
        schedule: "constant", or "cosine" to zero; warmup_epochs: linear rise before.
        beta, ramp: of the loss; full weight of all classifiers is reached at ``ramp * epochs`` (Eq. 6's lambda).
        label_smoothing: 0..1.
        mixup: parameter of the Beta distribution by which pairs of images are blended (Zhang et al., ICLR 2018), within each
            process; 0 turns it off.
        ema_decay: decay of the averaged weights, which are the result; 0 keeps the last weights.
        clip_grad: highest gradient norm; 0 turns clipping off.
        augment: augmentation of the images.
        freeze_batch_norm: batch-norms keep the statistics of the initial weights and normalise by them; their weights and
            biases are trained. For fine-tuning on little data, and the only way in which several processes compute exactly
            what one does.
        seed: seed of all random numbers.
        precision: "auto" (bf16 if the machine has it), "fp32" or "bf16".
    """

    epochs: int = 200
    batch_size: int = 28
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    beta: float = 0.1
    ramp: float = 0.75
    label_smoothing: float = 0.0
    mixup: float = 0.0
    ema_decay: float = 0.0
    clip_grad: float = 0.0
    augment: Augment = field(default_factory=Augment)
    freeze_batch_norm: bool = False
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        if isinstance(self.augment, dict):
            object.__setattr__(self, "augment", from_mapping(Augment, self.augment))
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", ("auto", "fp32", "bf16")),
        ):
            if getattr(self, name) not in allowed:
                raise GricolZooError(f"Expected `{name}` to be one of {', '.join(allowed)}, but got {getattr(self, name)!r}.")
        if self.epochs < 1 or self.batch_size < 1 or self.lr <= 0:
            raise GricolZooError("Expected `epochs` and `batch_size` of at least 1 and `lr` above 0.")
        if self.mixup < 0 or self.seed < 0:
            raise GricolZooError(f"Expected `mixup` and `seed` of at least 0, but got {self.mixup} and {self.seed}.")

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-serialisable data."""
        return dataclasses.asdict(self)


PAPER = Recipe()
"""Section 2.3: Adam, learning rate 1e-3, batch 28. Epochs and augmentation are not given; 200 and none are our choice."""

CHROMOSOME_AUGMENT = Augment(
    tilt=10,
    scale=0.1,
    stretch=0.12,
    shift=0.02,
    bend=0.07,
    elastic=0.02,
    flip=0.5,
    flip_arms=0.1,
    contrast=0.3,
    gamma=0.4,
    brightness=0.02,
    blur=0.2,
    noise=0.02,
    overlap=0.1,
    erase=0.25,
)

LIGHT = Recipe(
    epochs=28,
    batch_size=32,
    optimizer="adamw",
    lr=2e-3,
    weight_decay=0.05,
    schedule="cosine",
    warmup_epochs=1,
    label_smoothing=0.05,
    ema_decay=0.998,
    clip_grad=5.0,
    augment=CHROMOSOME_AUGMENT,
)
"""From random weights."""

LIGHT_FINETUNE = dataclasses.replace(
    LIGHT,
    epochs=24,
    lr=1e-3,
    weight_decay=0.1,
    warmup_epochs=0.5,
    ramp=1.0,
    label_smoothing=0.1,
    augment=dataclasses.replace(CHROMOSOME_AUGMENT, arc=120, flip_arms=0.05, overlap=0.35),
)
"""From weights trained on another set or without a grid; docs/explanation/decisions/training.md says what differs and why."""

ROBUST_AUGMENT = Augment(
    tilt=6,
    scale=0.2,
    stretch=0.1,
    shift=0.02,
    bend=0.05,
    flip=0.5,
    contrast=0.25,
    gamma=0.6,
    overlap=0.2,
    erase=0.15,
    strong_bend=0.35,
    fit=1.0,
    rotation=0.2,
    specks=0.1,
    neighbour=0.15,
    blur_sd=1.5,
    grain=0.08,
    jpeg=0.1,
    background=0.1,
)
"""For canvases of preparation 2: it imitates other cameras, bent chromosomes and neighbours. Nothing is turned upside down;
a training with polarity does that."""

ROBUST = dataclasses.replace(LIGHT, augment=ROBUST_AUGMENT)
"""From random weights, on canvases of preparation 2."""

ROBUST_FINETUNE = dataclasses.replace(LIGHT_FINETUNE, augment=ROBUST_AUGMENT)
"""From weights trained by ``ROBUST`` on another set or without a grid."""

LARGE = dataclasses.replace(
    LIGHT, epochs=60, batch_size=28, lr=1e-3, augment=dataclasses.replace(CHROMOSOME_AUGMENT, overlap=0.0, erase=0.0)
)
"""For the paper-size models on a GPU; without stripes and holes, which are made for a black background. No training with it has
been completed, so no weights come from it yet."""

RECIPES: dict[str, Recipe] = {
    "paper": PAPER,
    "light": LIGHT,
    "light_finetune": LIGHT_FINETUNE,
    "robust": ROBUST,
    "robust_finetune": ROBUST_FINETUNE,
    "large": LARGE,
}


def get_recipe(name: str, **changes: Any) -> Recipe:
    """Return a recipe by its name or from a JSON file, with fields changed.

    Raises:
        GricolZooError: neither a name nor a readable file, or an unknown field.
    """
    if name in RECIPES:
        values = RECIPES[name].to_dict()
    elif Path(name).suffix.lower() == ".json" and Path(name).is_file():
        values = read_json(Path(name), "a recipe")
        if not isinstance(values, dict):
            raise GricolZooError(f"{name} is not a recipe: expected a mapping of recipe fields.")
    else:
        raise GricolZooError(
            f"Unknown recipe {name!r}. Expected one of {', '.join(RECIPES)}, or a .json file of recipe fields."
        )
    recipe: Recipe = from_mapping(Recipe, {**values, **{key: value for key, value in changes.items() if value is not None}})
    return recipe
