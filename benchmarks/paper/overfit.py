"""Check that each comparison system can learn: overfit 32 real images through the public TrainingTask.

    python -m benchmarks.paper.overfit --data FOLDER [--steps 400] [NAME ...]

Writes results/paper/overfit.csv and .md. 32 images of the Q-band train part (four of each of eight classes, seed 0), without
augmentation, with Adam, all 32 in each step. The accuracy on them is measured in evaluation mode every ten steps, until it is
100 % or the steps are used up. Running batch-norm statistics would lag behind the weights by tens of steps, so before each
measurement they are set to those of one pass over the same 32 images. A step counts as an epoch, so systems that learn in
phases (siamese2017, racnn_r50 and varifocal_r50) go through all phases. Image sizes are small, for processors.
Names that are not given keep their rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.common.record import kept, write
from benchmarks.common.sets import open_part
from gricol_zoo import GridLoss, GridModel, TrainingTask, create_model
from gricol_zoo.data.arrays import label_indices, load_canvases, normalise
from gricol_zoo.data.table import ImageSet
from gricol_zoo.spec import CHROMOSOMES, ModelSpec

CLASSES = ("1", "3", "6", "9", "13", "16", "18", "22")
COPIES, SEED, EVERY = 4, 0, 10


class Setting(NamedTuple):
    """How a system is trained: the image's (height, width), and Adam's learning rate."""

    image_size: tuple[int, int]
    lr: float


SETTINGS = {
    "sharma2017": Setting((120, 120), 1e-3),
    "siamese2017": Setting((128, 32), 1e-3),
    "hu2019": Setting((96, 96), 1e-3),
    "resnet50": Setting((64, 64), 1e-3),
    "abn_r50": Setting((64, 64), 1e-3),
    "dcl_r50": Setting((64, 64), 1e-3),
    "ntsnet_r50": Setting((64, 64), 1e-3),
    "mmhpn_r50": Setting((64, 64), 1e-3),
    "multiregion_r50": Setting((96, 96), 1e-3),
    "bcnn_vgg16": Setting((64, 64), 1e-4),
    "cirnet": Setting((96, 96), 1e-3),
    "kernelpool_r50": Setting((64, 64), 1e-3),
    "maskcnn_r50": Setting((96, 96), 1e-3),
    "racnn_r50": Setting((96, 96), 1e-3),
    "varifocal_r50": Setting((96, 96), 1e-3),
    "hrnet_w18_joints": Setting((96, 96), 1e-3),
}
COLUMNS = {
    "name": ("model", ""),
    "image_size": ("image", ""),
    "lr": ("Adam's learning rate", ""),
    "images": ("images", ""),
    "steps": ("steps", ""),
    "seconds": ("processor seconds", ".0f"),
    "accuracy": ("accuracy on them", ".1%"),
}


class Outcome(NamedTuple):
    """The result: accuracy (0..1) in evaluation mode, steps taken, seconds of processor time."""

    accuracy: float
    steps: int
    seconds: float


@torch.no_grad()
def settle(model: GridModel, images: Tensor) -> None:
    """Set the running statistics of every batch-norm to those of one pass over the images; end in evaluation mode."""
    norms = [module for module in model.eval().modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of what it sees
        norm.train()
    model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def fit(model: GridModel, images: Tensor, labels: Tensor, lr: float, max_steps: int) -> Outcome:
    """Train on all images in each step until all are right in evaluation mode, for at most ``max_steps`` steps."""
    task = TrainingTask(model, GridLoss())
    optimizer = torch.optim.Adam(task.parameters(), lr)
    started, accuracy, step = time.process_time(), 0.0, 0
    while step < max_steps and accuracy < 1:
        torch.manual_seed(step)
        task.train()
        optimizer.zero_grad(set_to_none=True)
        task(images, labels, float(step)).backward()
        optimizer.step()
        step += 1
        if step % EVERY == 0 or step == max_steps:
            settle(model, images)
            with torch.no_grad():
                accuracy = float((model(images).argmax(1) == labels).float().mean())
    return Outcome(accuracy, step, time.process_time() - started)


def choose(images: ImageSet) -> ImageSet:
    """Return the same few images each time: ``COPIES`` of each of ``CLASSES``."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED)).tolist()
    keep: list[int] = []
    for label in CLASSES:
        keep += [i for i in order if images.records[i].label == label][:COPIES]
    return images.subset(keep)


def batch(images: ImageSet, spec: ModelSpec) -> tuple[Tensor, Tensor]:
    """Return (B, C, H, W) images, standardised by their own mean and deviation, and (B,) labels."""
    canvases = torch.from_numpy(load_canvases(images, spec)).float() / 255
    spec = spec.replace(preprocess={"mean": float(canvases.mean()), "std": float(canvases.std())})
    labels = torch.from_numpy(label_indices(images.records, CHROMOSOMES, images.name))
    return normalise(canvases * 255, spec), labels


def main(arguments: Sequence[str] | None = None) -> None:
    """Train each system, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with qband.zip")
    parser.add_argument("--steps", type=int, default=400, help="at most so many steps (default: 400)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("names", nargs="*", help="default: all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    chosen = choose(open_part("qband", options.data, "train"))
    names = options.names or list(SETTINGS)
    for name in names:
        setting = SETTINGS[name]
        torch.manual_seed(SEED)
        model = create_model(name, image_size=setting.image_size)
        assert isinstance(model, GridModel)
        outcome = fit(model, *batch(chosen, model.spec), setting.lr, options.steps)
        size = "x".join(map(str, setting.image_size))
        row = {"name": name, "image_size": size, "lr": setting.lr, "images": len(chosen), "threads": options.threads}
        conditions = {"part": "train", "classes": len(CLASSES), "seed": SEED, "most": options.steps}
        rows = [*kept("paper/overfit", [name]), {**row, **outcome._asdict(), **conditions}]
        write("paper/overfit", sorted(rows, key=lambda row: list(SETTINGS).index(row["name"])), COLUMNS)


if __name__ == "__main__":
    main()
