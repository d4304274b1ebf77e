"""``gricol-zoo train``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gricol_zoo.commands.classical import is_classical, train_classical
from gricol_zoo.commands.common import data_option, read_training, training_options

HELP = "train a model; run it under `accelerate launch` for several GPUs"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    data_option(command)
    training_options(command)
    command.add_argument("--split", type=Path, metavar="CSV", help="columns case,cell,part (default: made, by case or cell)")
    command.add_argument("--checkpoint-every", type=float, default=120, metavar="SECONDS")
    command.add_argument("--grad-checkpointing", action="store_true", help="less memory for more time")
    command.add_argument(
        "--scale", default="none", metavar="auto|none|NUMBER", help="what crop pixels are multiplied by (default: none)"
    )
    command.add_argument("--compile", action="store_true", help="torch.compile the backbone (needs a C++ compiler)")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    if is_classical(options.model):
        return train_classical(options)
    from gricol_zoo.data.scale import read_scale
    from gricol_zoo.data.split import read_split, split_for
    from gricol_zoo.training.train import train

    scale = read_scale(options.scale)
    images, recipe, changes = read_training(options)
    if options.split:
        split, name = read_split(options.split), options.split.name
    else:
        images, split, name = split_for(images, recipe.seed)
        print(f"no --split given: {name}", file=sys.stderr)
    train(
        images,
        split,
        options.model,
        recipe,
        options.out,
        init=options.init,
        changes=changes,
        resume=options.resume,
        time_limit=options.time_limit,
        device=options.device,
        checkpoint_every=options.checkpoint_every,
        split_name=name,
        grad_checkpointing=options.grad_checkpointing,
        compile=options.compile,
        scale=scale,
    )
    return 0
