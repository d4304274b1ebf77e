"""``gricol-zoo info``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.kinds import kind_of

HELP = "print a model's parts, parameters and Gflops (multiply-adds), or a classical system's features and networks"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    which = "a name that `list` prints, local-dir:DIR for a network of your own, or the folder of a classical system"
    command.add_argument("name", metavar="NAME", help=which)
    command.add_argument("--format", choices=["table", "csv", "json"], default="table", help="how to print it (default: table)")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from gricol_zoo.evaluation.info import format_info

    print(format_info(kind_of(options.name).describe(options.name), options.format))
    return 0
