"""``gricol-zoo serve``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.commands.common import not_negative, runtime_option
from gricol_zoo.commands.networks import load_model

HELP = "serve a browser page, on this machine only, that karyotypes crops and lets you check and correct the result"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("--port", type=not_negative, default=7860, help="port on 127.0.0.1; 0 for a free one (default: 7860)")
    command.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="also offer this model, first in the list: a model with weights, or an output folder of `train`; repeatable",
    )
    signed = "private key that signs the cells checked on the page (see `sign`)"
    command.add_argument("--key", type=Path, metavar="FILE", help=signed)
    runtime_option(command, "auto")
    command.add_argument("--open", action="store_true", help="open the page in the default browser")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.models.presets import DEFAULT_MODEL, WEIGHTS
    from gricol_zoo.serve.model_pool import ModelPool
    from gricol_zoo.serve.server import find_port, serve

    find_port(options.port)
    packaged = [f"{name}.{tag}" for name, tags in WEIGHTS.items() for tag, weights in tags.items() if weights.packaged]
    names = dict.fromkeys([*options.model, DEFAULT_MODEL, *packaged])
    networks = {name: load_model(name, deployed=True) for name in names}
    serve(ModelPool(networks, options.runtime), options.port, options.open, options.key)
    return 0
