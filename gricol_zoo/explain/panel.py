"""All explanations of one image by one model, as plain arrays: one row of the figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from gricol_zoo.data.arrays import as_batch
from gricol_zoo.data.preprocess import to_canvas
from gricol_zoo.errors import GricolZooError
from gricol_zoo.explain.cells import GridEvidence, grid_evidence
from gricol_zoo.explain.saliency import grad_cam, guided_backprop, on_device, ready
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.finite import check_finite
from gricol_zoo.inference.precision import DTYPES, choose_dtype

Result = TypeVar("Result")


@dataclass(frozen=True)
class Explanation:
    """The explanations of one image by one model. If the model cannot give one, a text says why.

    Attributes:
        name: name of the model for the figure.
        labels: one name per class.
        canvas: (H, W) uint8, as the network sees it.
        probabilities: (classes,) float32 of the lower branch, as in ``predict``.
        target: index of the explained class.
        guided: (H, W) float32, guided back-propagation, signed; or why there is none.
        cam: (H, W) float32 in 0..1, Grad-CAM; or why there is none.
        evidence: of the grid, for this image (B = 1); or why there is none.
    """

    name: str
    labels: tuple[str, ...]
    canvas: np.ndarray
    probabilities: np.ndarray
    target: int
    guided: np.ndarray | str
    cam: np.ndarray | str
    evidence: GridEvidence | str

    @property
    def prediction(self) -> int:
        """Index of the predicted class."""
        return int(self.probabilities.argmax())


def explain_image(model: GridModel, grey: np.ndarray, name: str = "", target: str = "", dtype: str = "fp32") -> Explanation:
    """Explain a model's prediction for one image.

    Args:
        model: the full form, with weights, not optimized.
        grey: (H, W) float in 0..1, as ``gricol_zoo.data.images.read_grey`` returns it.
        name: name of the model for the figure; "" takes its own.
        target: the class to explain; "" takes the predicted one.
        dtype: of convolutions and matrix products: "auto" (bf16 if the device supports it), "fp32" or "bf16".

    Raises:
        GricolZooError: the model does not have the class, the model is optimized, or the dtype is unknown.
    """
    labels = model.spec.labels
    if target and target not in labels:
        raise GricolZooError(f"Expected a class of {name or model.name}, {', '.join(labels[:30])}, but got {target!r}.")
    canvas = to_canvas(grey, model.spec.preprocess, model.spec.image_size)
    images = as_batch([canvas], model.spec)
    device = next(model.parameters()).device
    kind = DTYPES[choose_dtype(dtype, device)]
    with torch.autocast(device.type, torch.bfloat16, enabled=kind is torch.bfloat16):
        with ready(model), torch.no_grad():
            logits = model(on_device(model, images))[0].float()
        check_finite(logits, name or model.name)
        probabilities = (logits / model.info.calibration.temperature).softmax(0).cpu().numpy()
        index = labels.index(target) if target else int(probabilities.argmax())
        # If a model cannot give one explanation (no ReLU, no grid), the others are still drawn.
        guided = _or_why(lambda: guided_backprop(model, images, [index])[0])
        cam = _or_why(lambda: grad_cam(model, images, [index])[0])
        evidence = _or_why(lambda: grid_evidence(model, images))
    return Explanation(name or model.name, labels, canvas, probabilities, index, guided, cam, evidence)


def _or_why(compute: Callable[[], Result]) -> Result | str:
    try:
        return compute()
    except GricolZooError as error:
        return str(error)
