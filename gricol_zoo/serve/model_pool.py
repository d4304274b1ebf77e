"""The models that a page offers: each as a classifier, and as a network for Grad-CAM."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes.load import classifier_on

Network = GridModel | DeployedModel


class ModelPool(Mapping[str, Network]):
    """Networks by the names under which they are offered. All tabs share them.

    Args:
        networks: on torch, because only torch has the gradients for Grad-CAM.
        runtime: the runtime that classifies (``gricol_zoo.runtimes.make_runner``), in fp32: so a record can be verified on any
            machine.
    """

    def __init__(self, networks: Mapping[str, Network], runtime: str = "torch") -> None:
        self._networks, self.runtime = networks, runtime
        self._classifiers: dict[str, Classifier] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Network:
        return self._networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def classifier(self, name: str) -> Classifier:
        """Return a network as a classifier under its name, created on first use.

        Raises:
            GricolZooError: the runtime is not available.
        """
        with self._lock:
            if name not in self._classifiers:
                self._classifiers[name] = classifier_on(self[name], runtime=self.runtime)._replace(name=name)
            return self._classifiers[name]

    def prepare(self) -> None:
        """Create every classifier, so that nobody waits for one later; errors as for ``classifier``."""
        for name in self:
            self.classifier(name)
