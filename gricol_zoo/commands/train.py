"""``gricol-zoo train``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.commands.common import STOPPED, data_option, networks_only, scale_option, training_options
from gricol_zoo.commands.kinds import kind_of

HELP = "train a model; run it under `accelerate launch` for several GPUs"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    data_option(command)
    networks_only(training_options(command))
    command.add_argument("--split", type=Path, metavar="CSV", help="columns case,cell,part (default: split by case or cell)")
    often = "time between checkpoints, from which --resume continues (default: 120)"
    networks_only(command.add_argument("--checkpoint-every", type=float, default=120, metavar="SECONDS", help=often))
    networks_only(command.add_argument("--grad-checkpointing", action="store_true", help="use less memory, but more time"))
    scale_option(command, "none", "factor by which crops are resized")
    how = "compile the backbone with torch.compile (needs a C++ compiler)"
    networks_only(command.add_argument("--compile", action="store_true", help=how))


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    return 0 if kind_of(options.model).train(options) else STOPPED
