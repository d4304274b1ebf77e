"""``gricol-zoo info``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.classical import describe_classical, is_classical

HELP = "print a model's parts, parameters and Gflops (multiply-adds); of a classical system its features and networks"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("name", metavar="NAME")
    command.add_argument("--format", choices=["table", "csv", "json"], default="table")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from gricol_zoo.evaluation.info import describe, format_info

    info = describe_classical(options.name) if is_classical(options.name) else describe(options.name)
    print(format_info(info, options.format))
    return 0
