"""``gricol-zoo list``."""

from __future__ import annotations

import argparse

HELP = "print the model names, one a line"


def add_options(command: argparse.ArgumentParser) -> None:
    """Declare the options."""
    command.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'gricol_*'")
    command.add_argument("--pretrained", action="store_true", help="only models with weights, as name.tag")


def run(options: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    from gricol_zoo.factory import list_models

    for name in list_models(options.pattern, options.pretrained):
        print(name)
    return 0
