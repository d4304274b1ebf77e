"""A trained classical system, which gives images probabilities of the 24 classes, and its training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gricol_zoo.classical.features import Scale, turn, typical_scale
from gricol_zoo.classical.measuring import measure_all, measure_images, name_errors
from gricol_zoo.classical.network import Network
from gricol_zoo.classical.profiles import Profiles
from gricol_zoo.classical.registry import get_system
from gricol_zoo.classical.system import Settings
from gricol_zoo.data.arrays import label_indices
from gricol_zoo.data.split import cells_of, group_of
from gricol_zoo.data.table import ImageSet, Record
from gricol_zoo.errors import GricolZooError
from gricol_zoo.inference.calibration import fit_temperature, review_threshold, softmax
from gricol_zoo.karyotype.assign import DEFAULT_COSTS, Costs, assign
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.spec import CHROMOSOMES

MIN_PROBABILITY = 1e-12  # smallest probability: hard decisions give zeros, which have no logarithm


@dataclass(frozen=True)
class ClassicalModel:
    """A trained system.

    Attributes:
        system: its name in ``CLASSICAL``.
        settings: the settings of its training.
        typical: scale for chromosomes without a cell, or with a small one.
        networks: by name.
        info: temperature, review threshold and accuracy on val, training record.
    """

    system: str
    settings: Settings
    typical: Scale
    networks: Mapping[str, Network]
    info: WeightsInfo = field(default_factory=WeightsInfo)

    def logits_of(self, profiles: Sequence[Profiles], cells: Sequence[str]) -> np.ndarray:
        """Return (n, 24) float64 log probabilities, before calibration, of measured chromosomes.

        Args:
            profiles: as ``measure`` gives them.
            cells: (n,) the cell of each, "" if unknown. In a cell of few chromosomes the scale of the training cells is used.
        """
        if not len(profiles):
            return np.zeros((0, len(CHROMOSOMES)))
        system = get_system(self.system)
        features = system.features(turn(profiles, self.settings.orientation), cells, self.typical)
        return np.log(np.maximum(system.probabilities(self.networks, features, self.settings), MIN_PROBABILITY))

    def predict_logits(self, images: ImageSet) -> np.ndarray:
        """Return (n, 24) float64 log probabilities of a set, before calibration.

        Raises:
            GricolZooError: an image cannot be read or measured (the message names the file).
        """
        return self.logits_of(measure_all(images), cells_of(images.records))

    def predict_probabilities(self, images: ImageSet) -> np.ndarray:
        """Return (n, 24) float64 calibrated probabilities of a set; images of a cell only share the scale of the cell.

        Raises:
            GricolZooError: as ``predict_logits``.
        """
        return self.info.calibration.probabilities(self.predict_logits(images))


def fit(
    system: str,
    images: ImageSet,
    val: ImageSet | None = None,
    settings: Settings | None = None,
    seed: int = 0,
    say: Callable[[str], None] = warnings.warn,
) -> ClassicalModel:
    """Train a system on labelled images.

    Args:
        system: a name of ``CLASSICAL``.
        images: the train part.
        val: images to fit the temperature and the review threshold on; with None the system stays uncalibrated.
        settings: None takes the system's defaults.
        seed: of the networks' initial weights and the order of the images.
        say: called with a message that names the images that cannot be read or measured, which are left out; the default
            issues a warning.

    Raises:
        GricolZooError: an unknown system or label, or there is nothing to train on.
    """
    get_system(system)
    for part in [images] if val is None else [images, val]:  # before measuring, which takes minutes
        label_indices(part.records, CHROMOSOMES, str(part.store.root))
    records, profiles = _measurable(images, say)
    val_records, val_profiles = _measurable(val, say) if val is not None else ([], [])
    return fit_measured(system, records, profiles, val_records, val_profiles, settings, seed)


def _measurable(images: ImageSet, say: Callable[[str], None]) -> tuple[list[Record], list[Profiles]]:
    """Return the records of the images that can be measured, and their profiles; report the others."""
    measured = measure_images(images)
    if measured.errors:
        say(f"{name_errors(images, measured)}. They are excluded.")
    kept, profiles = measured.among(range(len(images)))
    return [images.records[index] for index in kept], profiles


def fit_measured(
    system: str,
    records: Sequence[Record],
    profiles: Sequence[Profiles],
    val_records: Sequence[Record] = (),
    val_profiles: Sequence[Profiles] = (),
    settings: Settings | None = None,
    seed: int = 0,
) -> ClassicalModel:
    """Train a system on images that are already measured; other arguments and errors as for ``fit``."""
    parts = get_system(system)
    settings = settings or parts.settings
    labels = label_indices(records, CHROMOSOMES, "the train part")
    turned, cells = turn(profiles, settings.orientation), cells_of(records)
    if not turned:
        raise GricolZooError("Expected at least one image to train on, but got none.")
    typical = typical_scale(turned, cells)
    networks = parts.fit(parts.features(turned, cells, typical), labels, settings, seed)
    groups = sorted({group_of(record) or record.path for record in records})
    info = WeightsInfo({"training": {"groups": groups, "images": len(records), "seed": seed}})
    model = ClassicalModel(system, settings, typical, networks, info)
    return replace(model, info=_calibrated(model, val_records, val_profiles)) if len(val_records) else model


def _calibrated(model: ClassicalModel, records: Sequence[Record], profiles: Sequence[Profiles]) -> WeightsInfo:
    """Return a model's info with a temperature and a review threshold that were fitted on the val part."""
    logits = model.logits_of(profiles, cells_of(records))
    truth = label_indices(records, CHROMOSOMES, "the val part")
    temperature = fit_temperature(logits, truth)
    sure = softmax(logits, temperature)
    correct = sure.argmax(1) == truth
    return model.info.replace(
        temperature=temperature,
        review_threshold=review_threshold(sure.max(1), correct),
        val={"images": len(truth), "accuracy": float(correct.mean())},
    )


def reassign(probabilities: np.ndarray, records: Sequence[Record], costs: Costs = DEFAULT_COSTS) -> np.ndarray:
    """Assign the classes of all chromosomes of a cell together (after Poletti et al. 2012, with the costs of ``assign``).

    Args:
        probabilities: (n, 24) calibrated.
        records: (n,) name the cell of each image; an image without a cell keeps its most probable class.
        costs: of deviations from the normal karyotype.

    Returns:
        (n,) int class indices, ``UNASSIGNED`` (-1) for a chromosome that fits no class.

    Raises:
        GricolZooError: as for ``assign``.
    """
    cells = np.array(cells_of(records))
    classes = probabilities.argmax(1).astype(int)
    for cell in sorted(set(cells.tolist()) - {""}):
        classes[cells == cell] = assign(probabilities[cells == cell], costs).classes
    return classes
