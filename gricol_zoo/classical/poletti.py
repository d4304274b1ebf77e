"""``poletti2012``: one neural network on profiles and shapes (Poletti, Grisan, Ruggeri, CMPB 105(2):120-130, 2012).

From its abstract: an improved medial axis, an established set of features along it, a polarisation stage, features rescaled
within the cell, a standard neural network, and then reassignment within the cell under the constraint of the karyotype (here
``gricol_zoo.classical.model.reassign``). Published accuracy: 94 % on the 5474 Q-band chromosomes, with reassignment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gricol_zoo.classical.features import POLETTI_FEATURES, poletti_features
from gricol_zoo.classical.network import Network, fit_network
from gricol_zoo.classical.system import Settings, System
from gricol_zoo.errors import ConfigError
from gricol_zoo.spec import CHROMOSOMES


def fit(features: np.ndarray, labels: np.ndarray, settings: Settings, seed: int) -> dict[str, Network]:
    """Train the only network, ``classes``."""
    return {"classes": fit_network(features, labels, settings.hidden, settings.alpha, settings.epochs, seed)}


def probabilities(networks: Mapping[str, Network], features: np.ndarray, settings: Settings) -> np.ndarray:
    """Return (n, 24) float64 probabilities; 0 for a class that the training set did not have."""
    network = networks["classes"]
    out = np.zeros((len(features), len(CHROMOSOMES)))
    out[:, network.classes] = network.probabilities(features)
    return out


def check(networks: Mapping[str, Sequence[int]]) -> None:
    """Check that ``classes`` is the only network.

    Raises:
        ConfigError: it is missing, or there is another one.
    """
    if list(networks) != ["classes"]:
        raise ConfigError(f"expected the network 'classes', but got {', '.join(networks) or 'none'}.")


POLETTI = System(poletti_features, POLETTI_FEATURES, {"classes": len(CHROMOSOMES)}, fit, probabilities, check, Settings())
