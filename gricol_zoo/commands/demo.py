"""``gricol-zoo demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "render a synthetic cell and classify it with the packaged weights"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("--seed", type=int, default=0, help="seed of the synthetic chromosomes (default: 0)")
    command.add_argument("--bend", type=float, default=40, help="maximum bend from end to end, in degrees (default: 40)")
    command.add_argument("--noise", type=float, default=0.02, help="noise, as a fraction of full scale (default: 0.02)")
    command.add_argument("--out", type=Path, default=Path("demo.png"), metavar="PNG", help="picture file (default: demo.png)")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.commands.demo_cell import demo

    print(demo(options.seed, options.bend, options.noise, options.out))
    return 0
