"""``gricol-zoo list``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.classical import list_classical

HELP = "print the model names, one a line; classical systems last"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'gricol_*'")
    command.add_argument("--pretrained", action="store_true", help="only models with weights, as name.tag")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from gricol_zoo.weights.resolve import list_models

    names = list_models(options.pattern, options.pretrained)
    for name in names if options.pretrained else [*names, *list_classical(options.pattern)]:
        print(name)
    return 0
