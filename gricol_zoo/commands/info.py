"""``gricol-zoo info``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.common import change_option, parse_changes
from gricol_zoo.commands.kinds import kind_of

HELP = "print a model's parts, parameters and Gflops (multiply-adds), or a classical system's features and networks"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    which = "a name that `list` prints, timm/<name>, local-dir:DIR for a network of your own, or a folder of a classical system"
    command.add_argument("name", metavar="NAME", help=which)
    change_option(command)
    command.add_argument("--format", choices=["table", "csv", "json"], default="table", help="how to print it (default: table)")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.evaluation.info import format_info

    print(format_info(kind_of(options.name).describe(options.name, parse_changes(options.change)), options.format))
    return 0
