"""The kinds of models, and the kind that a name or folder stands for; no other module decides this."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Protocol

from gricol_zoo.commands import classical, networks
from gricol_zoo.commands.common import NETWORKS_ONLY
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.inference.classifier import Classifier


class Kind(Protocol):
    """Interface of the modules that implement the commands for one kind of model."""

    def holds(self, name: str) -> bool:
        """Return whether a name or folder is of this kind."""

    def names(self, pattern: str, pretrained: bool) -> list[str]:
        """Return the names of this kind that match a pattern."""

    def describe(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return what `info` prints for a model with these changes."""

    def train(self, options: argparse.Namespace) -> bool:
        """Train with the options of `train`; return False if it was stopped before its end."""

    def crossval(self, options: argparse.Namespace) -> tuple[str, dict[str, Any] | None]:
        """Cross-validate with the options of `crossval`; return the set's name, and the report (None if it was stopped)."""


KINDS: tuple[Kind, ...] = (networks, classical)


def kind_of(name: str) -> Kind:
    """Return the kind of model that a name or a folder stands for."""
    return next(kind for kind in KINDS if kind.holds(name))


def load_classifier(name: str, **how: Any) -> Classifier:
    """Load the model that a name or folder stands for, "" for the packaged one; ``how`` is for networks (``networks.load``).

    Raises:
        GricolZooError: the model is unknown or has no weights, or the device is not available.
    """
    if classical.holds(name):
        return classical.load(name)
    return networks.load(name, **how)


def check_options(command: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Reject options that only apply to neural networks if --model is a classical system.

    Raises:
        GricolZooError: there is such an option (the message names it).
    """
    name = getattr(options, "model", "")
    if not isinstance(name, str):
        return  # a command that takes several models, all of them networks
    for option in command._actions:
        value, also = getattr(options, option.dest, None), NETWORKS_ONLY.get(option)
        if also is None or value == option.default or value in also or not classical.holds(name):
            continue
        said = f"{option.option_strings[-1]} {value}" if also else option.option_strings[-1]
        raise GricolZooError(f"{said} only applies to neural networks; {name!r} is a classical system.")
