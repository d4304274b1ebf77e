"""A classical system: its features, the networks on them, and how the outputs of the networks are combined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gricol_zoo.classical.features import ORIENTATIONS, Scale
from gricol_zoo.classical.network import Network
from gricol_zoo.classical.profiles import Profiles
from gricol_zoo.errors import GricolZooError


@dataclass(frozen=True)
class Settings:
    """Settings of a system.

    Attributes:
        hidden: units of each network's hidden layer, 1..1024.
        alpha: weight of the L2 penalty in the loss, 0..1e6.
        epochs: the most epochs to train, 1..100000.
        orientation: "as-is" (the crops have the short arm up) or "centromere" (the position of the centromere decides,
            ``profiles.polarity``).
        soft: only for a tree: multiply the probabilities of group and class; else the most probable group is taken as certain,
            as in the paper.

    Raises:
        GricolZooError: a value has the wrong type or is out of range.
    """

    hidden: int = 64
    alpha: float = 1.0
    epochs: int = 100
    orientation: str = "as-is"
    soft: bool = True

    def __post_init__(self) -> None:
        for name, maximum in (("hidden", 1024), ("epochs", 100_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
                raise GricolZooError(f"Expected `{name}` to be a whole number in 1..{maximum}, but got {value!r}.")
        number = isinstance(self.alpha, (int, float)) and not isinstance(self.alpha, bool)
        if not number or not math.isfinite(self.alpha) or not 0 <= self.alpha <= 1e6:
            raise GricolZooError(f"Expected `alpha` to be a number in 0..1e6, but got {self.alpha!r}.")
        if self.orientation not in ORIENTATIONS:
            raise GricolZooError(
                f"Expected `orientation` to be one of {', '.join(ORIENTATIONS)}, but got {self.orientation!r}."
            )
        if not isinstance(self.soft, bool):
            raise GricolZooError(f"Expected `soft` to be true or false, but got {self.soft!r}.")


class System(NamedTuple):
    """A classical system.

    Attributes:
        features: (profiles of n chromosomes, their cells, typical scale) -> (n, num_features) float64.
        num_features: number of features.
        networks: name of each possible network -> its maximum number of outputs.
        fit: (features, (n,) class indices, settings, seed) -> networks by name.
        probabilities: (networks, features, settings) -> (n, 24) float64.
        check: takes network name -> classes; raises ConfigError if they are not a complete system of this kind.
        settings: the default settings.
    """

    features: Callable[[Sequence[Profiles], Sequence[str], Scale], np.ndarray]
    num_features: int
    networks: Mapping[str, int]
    fit: Callable[[np.ndarray, np.ndarray, Settings, int], dict[str, Network]]
    probabilities: Callable[[Mapping[str, Network], np.ndarray, Settings], np.ndarray]
    check: Callable[[Mapping[str, Sequence[int]]], None]
    settings: Settings
