"""``wang2009``: a tree of neural networks, first the group, then the class (Wang et al., J Biomed Inform 42(1):22-31, 2009).

From its abstract: one network sorts the chromosomes into seven groups, and seven networks classify the chromosomes of a group.
Published accuracies: 92.9 % for the first, 67.5 to 97.5 % for the seven. We assume that the groups are the Denver groups. The
genetic algorithm by which the paper selects features and hidden units is left out: all features are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gricol_zoo.classical.features import WANG_FEATURES, wang_features
from gricol_zoo.classical.network import Network, fit_network
from gricol_zoo.classical.system import Settings, System
from gricol_zoo.errors import ConfigError
from gricol_zoo.spec import CHROMOSOMES, DENVER_GROUPS

GROUP = "group"
MEMBERS = {group: np.array([CHROMOSOMES.index(name) for name in names]) for group, names in DENVER_GROUPS.items()}
ORDER = tuple(MEMBERS)


def fit(features: np.ndarray, labels: np.ndarray, settings: Settings, seed: int) -> dict[str, Network]:
    """Train the network ``group`` on all images, and ``A``..``G`` each on the images of its group, if there are any."""
    groups = np.empty(len(labels), int)
    for index, members in enumerate(MEMBERS.values()):
        groups[np.isin(labels, members)] = index
    networks = {GROUP: fit_network(features, groups, settings.hidden, settings.alpha, settings.epochs, seed)}
    for index, group in enumerate(ORDER):
        own = groups == index
        if own.any():
            networks[group] = fit_network(
                features[own], labels[own], settings.hidden, settings.alpha, settings.epochs, seed + 1 + index
            )
    return networks


def probabilities(networks: Mapping[str, Network], features: np.ndarray, settings: Settings) -> np.ndarray:
    """Return (n, 24) float64: P(group) P(class | group); unless ``soft``, the most probable group counts as certain."""
    first = networks[GROUP]
    of_group = first.probabilities(features)
    if not settings.soft:
        of_group = np.eye(of_group.shape[1])[of_group.argmax(1)]
    out = np.zeros((len(features), len(CHROMOSOMES)))
    for column, index in enumerate(first.classes):
        network = networks[ORDER[index]]
        out[:, network.classes] += of_group[:, column, None] * network.probabilities(features)
    return out


def check(networks: Mapping[str, Sequence[int]]) -> None:
    """Check that a tree is complete: each group that the first network knows has a network for classes of that group.

    Raises:
        ConfigError: the tree is not complete (the message names the network).
    """
    groups = networks.get(GROUP, ())
    if not groups or max(groups) >= len(ORDER):
        raise ConfigError(f"expected the network {GROUP!r} to separate groups 0..{len(ORDER) - 1}, but got {list(groups)}.")
    expected = {GROUP, *(ORDER[index] for index in groups)}
    if set(networks) != expected:
        raise ConfigError(f"expected the networks {', '.join(sorted(expected))}, but got {', '.join(sorted(networks))}.")
    for group in expected - {GROUP}:
        strange = set(networks[group]) - set(MEMBERS[group].tolist())
        if strange:
            raise ConfigError(f"the network {group!r} has classes outside its group: {sorted(strange)}.")


WANG = System(
    wang_features,
    WANG_FEATURES,
    {GROUP: len(ORDER), **{group: len(members) for group, members in MEMBERS.items()}},
    fit,
    probabilities,
    check,
    Settings(),
)
