"""Position, gate and prediction of each grid cell, together with the merged prediction and that of the lower branch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gricol_zoo.errors import GricolZooError
from gricol_zoo.explain.saliency import on_device, ready
from gricol_zoo.factory import GridModel
from gricol_zoo.models.contracts import Boxed, Gated
from gricol_zoo.models.lower import LowerBranch


class GridEvidence(NamedTuple):
    """Outputs of the grid for B images, with K cells in spiral order.

    Attributes:
        boxes: (K, 4) int64, top, left, height and width of each cell, in pixels of the image.
        gates: (B, K) float32 in 0..1, the sigmoid of Eq. 2 (for a channel gate, its mean over channels); None without gates.
        cell_probabilities: (B, K, classes) float32, Y_1..Y_K.
        merged_probabilities: (B, classes) float32, Y_0; None if the head has no merged classifier.
        lower_probabilities: (B, classes) float32, Y_I with the temperature of the weights, as in ``predict``.
    """

    boxes: np.ndarray
    gates: np.ndarray | None
    cell_probabilities: np.ndarray
    merged_probabilities: np.ndarray | None
    lower_probabilities: np.ndarray


def grid_evidence(model: LowerBranch, images: Tensor) -> GridEvidence:
    """Run every branch on (B, C, H, W) standardised images. The state of the model is not changed.

    The cells and the lower branch only share the backbone. The model's prediction comes from the lower branch alone: the cells
    show what the grid has learnt, not how that prediction was made.

    Raises:
        GricolZooError: the model is in its deployed form, has no grid or is optimized, its splitter has no ``boxes()``, or the
            images have another shape.
    """
    if not isinstance(model, GridModel):
        raise GricolZooError("Grid evidence needs the full form of the model, but got the deployed one.")
    splitter = model.splitter
    if splitter.num_cells == 0:
        raise GricolZooError(
            f"The model {model.name or model.spec.backbone!r} has no grid. Use a model with a grid, such as gricol_r50half_n3."
        )
    if not isinstance(splitter, Boxed):
        raise GricolZooError(
            f"The splitter {model.spec.splitter!r} does not give the positions of its cells. "
            "Add a method `boxes()` that returns (top, left, height, width) of each cell."
        )
    head: Any = model.head
    with ready(model), torch.no_grad():
        x = on_device(model, images)
        features = model.cell_features(x)
        cell_logits, merged_logits = head(features)
        gates = head.gate_values(features).float().cpu().numpy() if isinstance(head, Gated) else None
        lower_logits = model(x).float() / model.info.calibration.temperature
    return GridEvidence(
        np.array(splitter.boxes(), np.int64),
        gates,
        _probabilities(cell_logits),
        None if merged_logits is None else _probabilities(merged_logits),
        _probabilities(lower_logits),
    )


def _probabilities(logits: Tensor) -> np.ndarray:
    return logits.float().softmax(-1).cpu().numpy()
