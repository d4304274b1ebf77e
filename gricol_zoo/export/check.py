"""Check that an exported file gives the same results as the model in Python; a file that fails is not kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gricol_zoo.data.images import read_grey
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.data.synthetic import load_profiles, random_look, render
from gricol_zoo.data.table import ImageSet
from gricol_zoo.errors import GricolZooError, ImageError
from gricol_zoo.export.reader import CANVASES, CROPS, ExportedModel
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.logits import predict_both
from gricol_zoo.models.deployed import DeployedModel


class Bound(NamedTuple):
    """Allowed differences between an exported file and the model in Python.

    Attributes:
        difference: of a logit, as a fraction of the largest logit.
        changed: fraction of the images that may get another class, and that may change polarity.
        probability: difference of the probability that the short arm is up.
    """

    difference: float
    changed: float
    probability: float


# fp32 on the same canvases only differs by the order of sums. A canvas made in the graph is rounded to whole grey levels after
# sums in another order, so a few of its pixels may differ by one level. int8 is an approximation, so its classes are checked.
BOUNDS = {
    ("fp32", CANVASES): Bound(1e-3, 0.0, 0.01),
    ("fp32", CROPS): Bound(0.05, 0.01, 0.2),
    ("int8", CANVASES): Bound(1.0, 0.05, 1.0),
}
UNDECIDED = 0.02
"""Probabilities that differ by at most this count as the same polarity, even on different sides of one half."""


class Agreement(NamedTuple):
    """Comparison of an exported model with the model in Python on n images.

    Attributes:
        difference: largest absolute difference of a logit.
        rms: root mean square of the differences of all logits.
        scale: largest absolute logit.
        before: (n,) predicted class index of each image in Python.
        after: the same for the exported model.
        up_before: (n,) predicted probability in Python that the short arm is up; empty for a model without polarity.
        up_after: the same for the exported model.
    """

    difference: float
    rms: float
    scale: float
    before: np.ndarray
    after: np.ndarray
    up_before: np.ndarray = np.empty(0, np.float32)
    up_after: np.ndarray = np.empty(0, np.float32)

    @property
    def images(self) -> int:
        """The number of images compared."""
        return len(self.before)

    @property
    def changed(self) -> int:
        """The number of images that got another class."""
        return int((self.before != self.after).sum())

    @property
    def up_difference(self) -> float:
        """The largest difference of the probability that the short arm is up; 0 without polarity."""
        return float(np.abs(self.up_after - self.up_before).max(initial=0))

    @property
    def turned(self) -> int:
        """The number of images whose predicted polarity changed."""
        other = (self.up_before > 0.5) != (self.up_after > 0.5)
        return int((other & (np.abs(self.up_after - self.up_before) > UNDECIDED)).sum())


def synthetic_crops(count: int, seed: int = 0) -> list[np.ndarray]:
    """Return ``count`` synthetic chromosomes, all classes in turn, with random bends: (H, W) float32 in 0..1 each."""
    profiles, random = list(load_profiles().values()), np.random.default_rng(seed)
    return [render(profiles[i % len(profiles)], random_look(random), random).astype(np.float32) for i in range(count)]


def sample_evenly(images: ImageSet, maximum: int) -> ImageSet:
    """Return up to ``maximum`` images of a set, evenly spaced over it."""
    return images.subset(np.unique(np.linspace(0, len(images) - 1, min(maximum, len(images))).round().astype(int)).tolist())


def read_crops(images: ImageSet) -> list[np.ndarray]:
    """Return the crops of a set, (H, W) float32 in 0..1 each.

    Raises:
        GricolZooError: an image cannot be read (the message names the file).
    """
    crops = []
    for record in images.records:
        try:
            crops.append(read_grey(images.read(record)))
        except (ImageError, OSError) as error:
            raise GricolZooError(
                f"{record.path} of {images.store.root}: {error}. Remove it, or choose other images."
            ) from error
    return crops


def canvases_of(model: GridModel | DeployedModel, crops: Sequence[np.ndarray]) -> np.ndarray:
    """Return the crops' canvases, (n, H, W) uint8."""
    return np.stack([to_canvas(crop, model.spec.preprocess, model.spec.image_size) for crop in crops])


def compare(model: GridModel | DeployedModel, exported: ExportedModel, crops: Sequence[np.ndarray]) -> Agreement:
    """Compare the logits and the polarity of an exported model with those of the model in Python, in fp32.

    Args:
        model: the model in Python, not optimized.
        exported: the exported model.
        crops: (H, W) float32 in 0..1 each.

    Raises:
        GricolZooError: the outputs have different shapes.
    """
    canvases = canvases_of(model, crops)
    expected, up = predict_both(model, canvases, dtype="fp32")
    if exported.takes_crops:  # each has its own size
        batches = [crop[None] for crop in crops]
    else:
        batches = [canvases[start : start + 7] for start in range(0, len(canvases), 7)]
    if up is None:
        got = np.concatenate([exported.logits(batch) for batch in batches])
        up = up_after = np.empty(0, np.float32)
    else:
        got, up_after = (np.concatenate(parts) for parts in zip(*map(exported.both, batches), strict=True))
    if got.shape != expected.shape or up_after.shape != up.shape:
        raise GricolZooError(
            f"Expected logits of shape {expected.shape}, as from the Python model, but the exported model gave {got.shape}."
        )
    apart = got - expected
    return Agreement(
        difference=float(np.abs(apart).max()),
        rms=float(np.sqrt((apart**2).mean())),
        scale=float(np.abs(expected).max()),
        before=expected.argmax(1),
        after=got.argmax(1),
        up_before=up,
        up_after=up_after,
    )


def check_agreement(agreement: Agreement, exported: ExportedModel) -> None:
    """Check that an exported model differs by no more than ``BOUNDS`` allow.

    Raises:
        GricolZooError: it differs by more (the message says by how much).
    """
    bound = BOUNDS[exported.info["precision"], exported.info["input"]]
    near = agreement.difference <= bound.difference * max(1.0, agreement.scale)  # False for NaN
    allowed = max(bound.changed * agreement.images, 1.0)  # a tie may fall either way
    if not near or agreement.changed > allowed:
        raise GricolZooError(
            f"The exported model does not match the Python model: {agreement.changed} of {agreement.images} images changed "
            f"class (allowed: {allowed:.0f}), and logits differ by up to {agreement.difference:.3g} (allowed: "
            f"{bound.difference:g} of the largest, which is {agreement.scale:.3g}). Nothing was written."
        )
    if not agreement.up_difference <= bound.probability or agreement.turned > allowed:
        raise GricolZooError(
            f"The exported model does not match the polarity of the Python model: {agreement.turned} of {agreement.images} "
            f"images changed polarity (allowed: {allowed:.0f}), and the probability differs by up to "
            f"{agreement.up_difference:.3g} (allowed: {bound.probability:g}). Nothing was written."
        )
