"""A training in progress: its state, its checkpoints and log, and the communication of its processes."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gricol_zoo.data.quality import Measures
from gricol_zoo.data.rows import to_csv
from gricol_zoo.errors import CheckpointError, GricolZooError
from gricol_zoo.files import what_differs, write_atomically
from gricol_zoo.progress import Speaker, Stop
from gricol_zoo.spec import ModelSpec
from gricol_zoo.training.config import TrainConfig
from gricol_zoo.training.recipes import Recipe
from gricol_zoo.training.task import TrainingTask

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"
LOG_COLUMNS = ["epoch", "lr", "train_loss", "val_accuracy", "val_loss", "seconds"]


@dataclass
class Training:
    """The state of a run between steps, which a checkpoint stores.

    Attributes:
        task, optimizer: in their current state.
        average: the exponential average of the model's state.
        epoch, step: whole epochs done, and steps done of the next epoch.
        loss_sum: sum of the losses of those steps.
        log: one row per epoch.
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
    """Restore a run from a checkpoint.

    Raises:
        CheckpointError: truncated, damaged, or of another model, recipe or data set (the message names the difference).
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        found = json.loads(state["identity"])
    except Exception as error:  # torch raises many kinds of errors for a damaged file
        raise CheckpointError(
            f"{file} cannot be read (truncated?): {str(error).splitlines()[0]} Delete it to start over."
        ) from error
    if differs := what_differs(found, identity):
        raise CheckpointError(f"{file} belongs to another run: {differs}. Use the same command, or another --out.")
    run.task.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.average = state["average"]
    run.epoch, run.step, run.loss_sum, run.log = state["epoch"], state["step"], state["loss_sum"], state["log"]


class Likeness(NamedTuple):
    """Measurements of n images: arguments of ``gricol_zoo.data.quality.fit_reference``."""

    measures: list[Measures]
    cells: list[str]
    light: list[bool]


class Data(NamedTuple):
    """What a training keeps of the images that it read; the dictionaries are by part, "train" and "val".

    Attributes:
        canvases: (n, H, W) uint8.
        labels: (n,) int64.
        arms: (n,) bool, whether the short arm is up in the file.
        record: what the weights' config records about the training images.
        groups: cases or cells of the training images.
        pixels: (n,) hashes of the images' pixels.
        val: measurements of the val part, for warnings about other images; None if the preparation measures nothing.
    """

    canvases: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    arms: dict[str, np.ndarray]
    record: dict[str, Any]
    groups: set[str]
    pixels: dict[str, list[bytes]]
    val: Likeness | None


@dataclass(kw_only=True)
class Job:
    """A training in progress: its fixed settings and its state.

    Attributes:
        run: the state that a checkpoint stores.
        wrapped: the task, wrapped by accelerate.
        accelerator: the ``Accelerator`` of Hugging Face accelerate.
        config: the training's configuration.
        spec: the model that is trained.
        data: the images that it is trained and validated on.
        identity: what a checkpoint must agree with.
        deadline: value of time.monotonic() at which to stop.
        say: logs progress.
        stop: set by a signal.
        stopping: whether some process has run out of time or was told to stop.
        saved: value of time.monotonic() at the last checkpoint.
    """

    run: Training
    wrapped: nn.Module
    accelerator: Any
    config: TrainConfig
    spec: ModelSpec
    data: Data
    identity: dict[str, Any]
    deadline: float
    say: Speaker
    stop: Stop = field(default_factory=Stop)
    stopping: bool = False
    saved: float = field(default_factory=time.monotonic)

    @property
    def recipe(self) -> Recipe:
        """How to train."""
        return self.config.recipe

    @property
    def batch_size(self) -> int:
        """Images per step, over all processes together; a multiple of the number of processes."""
        maximum = min(self.recipe.batch_size, len(self.data.canvases["train"]))
        return maximum - maximum % self.accelerator.num_processes

    @property
    def steps(self) -> int:
        """Steps per epoch; leftover images are skipped, different ones in each epoch."""
        return len(self.data.canvases["train"]) // self.batch_size

    def save(self) -> None:
        """Write a checkpoint and the log, from the main process.

        Raises:
            GricolZooError: the weights are no longer finite; the previous checkpoint is kept.
        """
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.run.task.parameters()):
            raise self.diverged("the weights")
        if self.accelerator.is_main_process:
            out = self.config.out
            out.mkdir(parents=True, exist_ok=True)
            write_atomically(out / CHECKPOINT_FILE, dump(self.run, self.identity))
            write_atomically(out / LOG_FILE, to_csv(self.run.log, LOG_COLUMNS).encode())
        self.saved = time.monotonic()

    def diverged(self, what: str) -> GricolZooError:
        """Return the error for values that are not finite; it says where the last good checkpoint is."""
        file = self.config.out / CHECKPOINT_FILE
        kept = f"The last good checkpoint is in {file}." if file.exists() else "There is no checkpoint yet."
        return GricolZooError(
            f"Training stopped in epoch {self.run.epoch + 1}, step {self.run.step + 1}: {what} became infinite or NaN. {kept} "
            "Train into another --out with a lower `lr`, with `clip_grad`, or in fp32."
        )

    def share(self, loss: float) -> float:
        """Return the mean loss over the processes, and set ``stopping`` if one of them must stop, in one exchange."""
        flag = time.monotonic() > self.deadline or self.stop.is_set
        if self.accelerator.num_processes > 1:
            mine = torch.tensor([[loss, float(flag)]], device=self.accelerator.device)
            every = self.accelerator.gather(mine)
            loss, flag = float(every[:, 0].mean()), bool(every[:, 1].max())
        self.stopping = flag
        return loss
