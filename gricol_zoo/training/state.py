"""One training under way: its state, its checkpoints and log, and what its processes tell each other."""

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
    """What a run holds between steps: what a checkpoint keeps.

    Attributes:
        task, optimizer: as they are trained.
        average: the exponential average of the model's state.
        epoch, step: whole epochs done, and steps done of the next.
        loss_sum: over those steps.
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
    """Set a run to a checkpoint.

    Raises:
        CheckpointError: cut, damaged, or of another model, recipe or number of images (the difference is named).
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        found = json.loads(state["identity"])
    except Exception as error:  # torch raises many kinds for a damaged file
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
    """What n images are like: arguments of ``gricol_zoo.data.quality.fit_reference``."""

    measures: list[Measures]
    cells: list[str]
    light: list[bool]


class Data(NamedTuple):
    """What a training keeps of the images that it read, by part: "train" and "val".

    Attributes:
        canvases: (n, H, W) uint8.
        labels: (n,) int64.
        arms: (n,) bool, whether the short arm is up in the file.
        record: what the weights remember of those trained on.
        groups: cases or cells of those trained on.
        pixels: (n,) hashes of the images' pixels.
        val: what the val part is like, for warnings about others; None where the preparation measures nothing.
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
    """One training under way: what does not change from step to step, beside the state that does.

    Attributes:
        run: the state that a checkpoint keeps.
        wrapped: the task as accelerate wraps it.
        accelerator: of Hugging Face accelerate.
        config: what the training was given.
        spec: what is trained.
        data: on what.
        identity: what a checkpoint must agree with.
        deadline: of time.monotonic(), at which to stop.
        say: prints progress.
        stop: set by a signal.
        stopping: some process has run out of time or was told to stop.
        saved: time.monotonic() of the last checkpoint.
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
        """Images of a step, over all processes together, of which each has as many."""
        most = min(self.recipe.batch_size, len(self.data.canvases["train"]))
        return most - most % self.accelerator.num_processes

    @property
    def steps(self) -> int:
        """Steps of an epoch; the images left over sit out, others each time."""
        return len(self.data.canvases["train"]) // self.batch_size

    def save(self) -> None:
        """Write a checkpoint and the log, from the main process.

        Raises:
            GricolZooError: the weights are no longer finite; the checkpoint that is there stays.
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
        """Return the error that says what is not finite, and where the last good state is."""
        file = self.config.out / CHECKPOINT_FILE
        kept = f"The last good checkpoint is in {file}." if file.exists() else "There is no checkpoint yet."
        return GricolZooError(
            f"Training stopped in epoch {self.run.epoch + 1}, step {self.run.step + 1}: {what} became infinite or NaN. {kept} "
            "Train into another --out with a lower `lr`, with `clip_grad`, or in fp32."
        )

    def share(self, loss: float) -> float:
        """Return the mean loss over the processes, and learn whether one of them must stop, in one exchange."""
        flag = time.monotonic() > self.deadline or self.stop.is_set
        if self.accelerator.num_processes > 1:
            mine = torch.tensor([[loss, float(flag)]], device=self.accelerator.device)
            every = self.accelerator.gather(mine)
            loss, flag = float(every[:, 0].mean()), bool(every[:, 1].max())
        self.stopping = flag
        return loss
