"""One training under way: its state, its checkpoints, and what its processes tell each other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gricol_zoo.data.rows import to_csv
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError
from gricol_zoo.files import write_atomically
from gricol_zoo.progress import Speaker, Stop
from gricol_zoo.spec import ModelSpec
from gricol_zoo.training.checkpoint import LOG_COLUMNS, Training, dump
from gricol_zoo.training.recipes import Recipe

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"


@dataclass
class Job:
    """One training under way: what does not change from step to step, beside the state that does.

    Attributes:
        run: the state that a checkpoint keeps.
        wrapped: the task as accelerate wraps it.
        accelerator: of Hugging Face accelerate.
        recipe, spec: how and what to train.
        canvases, labels: of the parts "train" and "val"; (n, H, W) uint8 and (n,) int64.
        val: the images of the val part.
        arms: of the same, (n,) bool: whether the short arm is up in the file.
        identity: what a checkpoint must agree with.
        out: the folder.
        deadline: of time.monotonic(), at which to stop.
        checkpoint_every: seconds between checkpoints.
        stop: set by a signal.
        say: prints progress.
        stopping: some process has run out of time or was told to stop.
        saved: time.monotonic() of the last checkpoint.
    """

    run: Training
    wrapped: nn.Module
    accelerator: Any
    recipe: Recipe
    spec: ModelSpec
    canvases: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    arms: dict[str, np.ndarray]
    val: ImageSet
    identity: dict[str, Any]
    out: Path
    deadline: float
    checkpoint_every: float
    stop: Stop
    say: Speaker
    stopping: bool = False
    saved: float = 0.0

    @property
    def batch_size(self) -> int:
        """Images of a step, over all processes together, of which each has as many."""
        most = min(self.recipe.batch_size, len(self.canvases["train"]))
        return most - most % self.accelerator.num_processes

    @property
    def steps(self) -> int:
        """Steps of an epoch; the images left over sit out, others each time."""
        return len(self.canvases["train"]) // self.batch_size

    def save(self) -> None:
        """Write a checkpoint and the log, from the main process.

        Raises:
            GricolZooError: the weights are no longer finite; the checkpoint that is there stays.
        """
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.run.task.parameters()):
            raise self.diverged("the weights")
        if self.accelerator.is_main_process:
            self.out.mkdir(parents=True, exist_ok=True)
            write_atomically(self.out / CHECKPOINT_FILE, dump(self.run, self.identity))
            write_atomically(self.out / LOG_FILE, to_csv(self.run.log, LOG_COLUMNS).encode())
        self.saved = time.monotonic()

    def diverged(self, what: str) -> GricolZooError:
        """Return the error that says what is not finite, and where the last good state is."""
        file = self.out / CHECKPOINT_FILE
        kept = f"The last good checkpoint stays in {file}." if file.exists() else "There is no checkpoint yet."
        return GricolZooError(
            f"Training stopped in epoch {self.run.epoch + 1}, step {self.run.step + 1}: {what} became infinite or NaN. {kept} "
            "The same command would end the same: train with a lower `lr`, with `clip_grad`, or in fp32, into another --out."
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
