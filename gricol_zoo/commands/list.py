"""``gricol-zoo list``."""

from __future__ import annotations

import argparse

from gricol_zoo.commands.kinds import KINDS

HELP = "print the model names, one per line; classical systems last"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'gricol_*'")
    pretrained = "list only models with weights, as name.tag, and where the weights are: package, checkout, Hub or not here"
    command.add_argument("--pretrained", action="store_true", help=pretrained)


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.weights.resolve import place_of

    names = [name for kind in KINDS for name in kind.names(options.pattern, options.pretrained)]
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:<{width}}  {place_of(name)}" if options.pretrained else name)
    return 0
