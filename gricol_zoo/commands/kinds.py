"""The kinds of model there are, and which one a name or a folder stands for: the one place that asks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Protocol

from gricol_zoo.commands import classical, networks
from gricol_zoo.commands.common import NETWORKS_ONLY
from gricol_zoo.errors import GricolZooError

if TYPE_CHECKING:
    from gricol_zoo.inference.classifier import Classifier


class Kind(Protocol):
    """A module with what the commands do with models of one kind."""

    def holds(self, name: str) -> bool:
        """Say whether a name or folder is of this kind."""

    def names(self, pattern: str, pretrained: bool) -> list[str]:
        """Return the names of this kind that match a pattern."""

    def describe(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return what `info` says of a model, changed."""

    def train(self, options: argparse.Namespace) -> bool:
        """Train as `train`'s options say; return whether it is finished."""

    def crossval(self, options: argparse.Namespace) -> tuple[str, dict[str, Any] | None]:
        """Cross-validate as `crossval`'s options say; return the set's name, and the report if it was not stopped."""


KINDS: tuple[Kind, ...] = (networks, classical)


def kind_of(name: str) -> Kind:
    """Return the kind of model that a name or a folder stands for."""
    return next(kind for kind in KINDS if kind.holds(name))


def load_classifier(name: str, **how: Any) -> Classifier:
    """Load whatever a name or a folder stands for, "" for the packaged model; ``how`` is for networks (``networks.load``).

    Raises:
        GricolZooError: unknown, without weights, or a device that is not there.
    """
    if classical.holds(name):
        return classical.load(name)
    return networks.load(name, **how)


def check_options(command: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse options that only apply to neural networks where a classical system is asked for.

    Raises:
        GricolZooError: names the option.
    """
    name = getattr(options, "model", "")
    if not isinstance(name, str):
        return  # a command that takes several models, and networks alone
    for option in command._actions:
        value, also = getattr(options, option.dest, None), NETWORKS_ONLY.get(option)
        if also is None or value == option.default or value in also or not classical.holds(name):
            continue
        said = f"{option.option_strings[-1]} {value}" if also else option.option_strings[-1]
        raise GricolZooError(f"{said} only applies to neural networks; {name!r} is a classical system.")
