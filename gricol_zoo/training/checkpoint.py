"""Training state to a file and back, and the log beside it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gricol_zoo.errors import CheckpointError
from gricol_zoo.training.task import TrainingTask

LOG_COLUMNS = ["epoch", "lr", "train_loss", "val_accuracy", "val_loss", "seconds"]


@dataclass
class Training:
    """What a run holds between steps: what a checkpoint keeps.

    Attributes:
        task, optimizer: as they are trained.
        average: the exponential average of the model's state.
        epoch, step: whole epochs done, and steps done of the next.
        loss_sum: over those steps.
        log: one row an epoch.
    """

    task: TrainingTask
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


def dump(run: Training, identity: dict[str, Any]) -> bytes:
    """Return a checkpoint's bytes."""
    buffer = io.BytesIO()
    optimizer = run.optimizer.state_dict()
    state = {
        "identity": json.dumps(identity, sort_keys=True),
        "model": run.task.model.state_dict(),
        "average": run.average,
        "optimizer": optimizer,
        "epoch": run.epoch,
        "step": run.step,
        "loss_sum": run.loss_sum,
        "log": run.log,
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def restore(run: Training, file: Path, identity: dict[str, Any]) -> None:
    """Set a run to a checkpoint.

    Raises:
        CheckpointError: cut, damaged, or of another model, recipe or number of images (the difference is named).
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        found = json.loads(state["identity"])
    except Exception as error:  # torch raises many kinds for a damaged file
        raise CheckpointError(
            f"{file} cannot be read (cut in half?): {str(error).splitlines()[0]} Delete it to start anew."
        ) from error
    for key, value in identity.items():
        if found.get(key) != value:
            raise CheckpointError(
                f"{file} is of another run: its {key} is {_difference(found.get(key), value)}. "
                "Use the same command, or another --out."
            )
    run.task.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.average = state["average"]
    run.epoch, run.step, run.loss_sum, run.log = state["epoch"], state["step"], state["loss_sum"], state["log"]


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in wanted:
            if found.get(key) != wanted[key]:
                return f"{key} {_difference(found.get(key), wanted[key])}"
    return f"{found!r}, not {wanted!r}"
