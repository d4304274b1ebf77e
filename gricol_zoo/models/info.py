"""What came with a model's weights: the part of their config that does not say how the network is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gricol_zoo.data.quality import Reference
from gricol_zoo.models.calibration import TEMPERATURE, Calibration


@dataclass(frozen=True, eq=False)
class WeightsInfo(Mapping[str, Any]):
    """What a model knows of its weights; empty for random ones.

    It reads as a mapping too, ``info["temperature"]``, with exactly the keys of the config. So keys that nothing here reads are
    written back as they came. ``replace`` returns a changed copy; nothing changes one in place.

    Attributes:
        entries: the config's key ``gricol_zoo``, or that of a classical system.
    """

    # Not one field for each key: a key that is missing and one that has its default must stay two things on disk.
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
        """Return what still holds once the classifier is another one: what the rest of the network was trained on."""
        return WeightsInfo({key: self.entries[key] for key in ("training",) if key in self.entries})

    @property
    def sha256(self) -> str:
        """Of the weight file, "" where it is not known."""
        return str(self.get("sha256", ""))

    @property
    def size(self) -> int:
        """Bytes of the weight file, 0 where they are not known."""
        return int(self.get("size", 0))

    @property
    def tag(self) -> str:
        """The weights' tag, such as "qband"; "" where they have none."""
        return str(self.get("tag", ""))

    @property
    def calibration(self) -> Calibration:
        """How the lower branch's logits become probabilities."""
        return self._calibration("temperature")

    @property
    def calibration_full(self) -> Calibration:
        """The same, of all classifiers combined."""
        return self._calibration("temperature_full")

    def _calibration(self, key: str) -> Calibration:
        threshold = self.get("review_threshold")
        return Calibration(float(self.get(key, TEMPERATURE)), None if threshold is None else float(threshold))

    @property
    def training(self) -> Mapping[str, Any]:
        """The record of the training; empty where there is none."""
        training: Mapping[str, Any] = self.get("training", {})
        return training

    @property
    def groups(self) -> frozenset[str] | None:
        """The cells or cases that the weights were trained on, and images without either; None where they do not say."""
        groups = self.training.get("groups")
        return None if groups is None else frozenset(groups)

    @property
    def val(self) -> Mapping[str, Any]:
        """What was measured on the val part; empty where nothing was."""
        val: Mapping[str, Any] = self.get("val", {})
        return val

    @property
    def reference(self) -> Reference | None:
        """What the val images are like; None where that was not measured."""
        data = self.get("reference")
        return Reference.from_dict(data) if data else None
