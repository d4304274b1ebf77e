"""``gricol-zoo list``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.kinds import KINDS

HELP = "print the model names, one per line; classical systems last"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'gricol_*'")
    command.add_argument("--pretrained", action="store_true", help="list only models with weights, as name.tag")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    for kind in KINDS:
        for name in kind.names(options.pattern, options.pretrained):
            print(name)
    return 0
