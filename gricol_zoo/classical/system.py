"""What a classical system is: features, networks on them, and how the networks' answers are put together."""

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
    """What can be chosen of a system.

    Attributes:
        hidden: units of each network's hidden layer.
        alpha: weight of the squared weights in the loss.
        epochs: of training, at most.
        orientation: "as-is" (the crops lie short arm up) or "centromere" (the waist tells, ``profiles.polarity``).
        soft: of a tree: multiply the layers' probabilities; else the first layer decides alone, as the paper's does.

    Raises:
        GricolZooError: a value out of its range.
    """

    hidden: int = 64
    alpha: float = 1.0
    epochs: int = 100
    orientation: str = "as-is"
    soft: bool = True

    def __post_init__(self) -> None:
        for name, most in (("hidden", 1024), ("epochs", 100_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise GricolZooError(f"Expected `{name}` to be a whole number in 1..{most}, but got {value!r}.")
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
        num_features: how many those are.
        networks: the names that its networks may have, and how many outputs each may have at most.
        fit: (features, (n,) class indices, settings, seed) -> networks by name.
        probabilities: (networks, features, settings) -> (n, 24) float64.
        check: raises ConfigError for networks, name -> classes, that cannot be a whole system of this kind.
        settings: its defaults.
    """

    features: Callable[[Sequence[Profiles], Sequence[str], Scale], np.ndarray]
    num_features: int
    networks: Mapping[str, int]
    fit: Callable[[np.ndarray, np.ndarray, Settings, int], dict[str, Network]]
    probabilities: Callable[[Mapping[str, Network], np.ndarray, Settings], np.ndarray]
    check: Callable[[Mapping[str, Sequence[int]]], None]
    settings: Settings
