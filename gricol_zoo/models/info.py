"""What came with a model's weights: the part of their config that does not describe how the network is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gricol_zoo.data.quality import Reference
from gricol_zoo.models.calibration import TEMPERATURE, Calibration


@dataclass(frozen=True, eq=False)
class WeightsInfo(Mapping[str, Any]):
    """What a model knows about its weights; empty for random ones.

    It is also a mapping, ``info["temperature"]``, with exactly the keys of the config. So keys that nothing here reads are
    written back unchanged. It is immutable: ``replace`` returns a changed copy.

    Attributes:
        entries: the config's key ``gricol_zoo``, or that of a classical system.
    """

    # Not one field per key: on disk, a missing key and a key with its default value must stay different.
    entries: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", dict(self.entries))

    def __getitem__(self, key: str) -> Any:
        return self.entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def replace(self, **changes: Any) -> WeightsInfo:
        """Return a copy in which these keys have other values."""
        return WeightsInfo({**self.entries, **changes})

    def for_other_classes(self) -> WeightsInfo:
        """Return what is still valid after the classifier has been replaced: the record of the training."""
        return WeightsInfo({key: self.entries[key] for key in ("training",) if key in self.entries})

    @property
    def sha256(self) -> str:
        """SHA-256 of the weight file in hex, "" if it is not known."""
        return str(self.get("sha256", ""))

    @property
    def size(self) -> int:
        """Bytes of the weight file, 0 if they are not known."""
        return int(self.get("size", 0))

    @property
    def tag(self) -> str:
        """The weights' tag, such as "qband"; "" if they have none."""
        return str(self.get("tag", ""))

    @property
    def calibration(self) -> Calibration:
        """How the lower branch's logits become probabilities."""
        return self._calibration("temperature")

    @property
    def calibration_full(self) -> Calibration:
        """How the logits of all classifiers combined (``full``) become probabilities."""
        return self._calibration("temperature_full")

    def _calibration(self, key: str) -> Calibration:
        threshold = self.get("review_threshold")
        return Calibration(float(self.get(key, TEMPERATURE)), None if threshold is None else float(threshold))

    @property
    def training(self) -> Mapping[str, Any]:
        """The record of the training; empty if there is none."""
        training: Mapping[str, Any] = self.get("training", {})
        return training

    @property
    def groups(self) -> frozenset[str] | None:
        """Cells or cases that the weights were trained on, and images that belong to neither; None if not recorded."""
        groups = self.training.get("groups")
        return None if groups is None else frozenset(groups)

    @property
    def val(self) -> Mapping[str, Any]:
        """What was measured on the validation part; empty if nothing was."""
        val: Mapping[str, Any] = self.get("val", {})
        return val

    @property
    def reference(self) -> Reference | None:
        """Statistics of the validation images; None if they were not measured."""
        data = self.get("reference")
        return Reference.from_dict(data) if data else None
