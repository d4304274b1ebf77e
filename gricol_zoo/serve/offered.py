"""The models that a page offers: each as a classifier, and as the network that is asked what it looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from gricol_zoo.factory import GridModel
from gricol_zoo.inference.classifier import Classifier
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.runtimes.load import classifier_on

Network = GridModel | DeployedModel


class Offered(Mapping[str, Network]):
    """Networks by the names that they are offered by. All tabs share them.

    Args:
        networks: on torch, which alone has the gradients that show what a network looks at.
        runtime: what classifies (``gricol_zoo.runtimes.make_runner``), in fp32: so a record can be verified on any machine.
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
        """Return a network as a classifier under its name, made when it is first asked for.

        Raises:
            GricolZooError: the runtime cannot be had.
        """
        with self._lock:
            if name not in self._classifiers:
                self._classifiers[name] = classifier_on(self[name], runtime=self.runtime)._replace(name=name)
            return self._classifiers[name]

    def prepare(self) -> None:
        """Make every classifier, so that nobody waits for one later; errors as for ``classifier``."""
        for name in self:
            self.classifier(name)
