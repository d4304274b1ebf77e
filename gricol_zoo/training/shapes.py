"""The shapes of a batch's chromosomes, for objectives that learn from them: measured, never drawn by hand.

They are measured on the images as the network sees them, augmented and standardised, so that they match its input.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.classical.parts import Parts, parts_or_reason
from gricol_zoo.errors import ShapeWarning
from gricol_zoo.models.contracts import Shapes

LONGEST = 96  # pixels of the longer side of the images that are measured: on larger ones, finding an axis costs more
JOINTS = 5


def measure_shapes(images: Tensor) -> Shapes:
    """Measure the chromosomes of (B, C, H, W) images, with grey values of any range.

    For one that cannot be measured only the reason is given, in ``errors``. A ``ShapeWarning`` (once, by Python's default)
    says that there was one, and the training goes on.
    """
    greys = _small(images)
    found = _measure_each(list(greys.numpy()))
    errors = tuple(one if isinstance(one, str) else "" for one in found)
    if any(errors):
        text = "The mask or axis of some training images cannot be measured; the objective on shapes leaves these images out."
        warnings.warn(text, ShapeWarning, stacklevel=2)
    height, width = greys.shape[1:]
    box, joints = np.zeros((len(found), 4), np.float32), np.zeros((len(found), JOINTS, 2), np.float32)
    arms = np.zeros((len(found), 2, height, width), np.float32)
    for row, one in enumerate(found):
        if isinstance(one, Parts):
            box[row] = np.array(one.box) / (height, width, height, width)
            joints[row] = (one.joints[:, ::-1] + 0.5) / (height, width)
            arms[row] = one.arms[None] == np.array([1, 2])[:, None, None]
    measured = torch.tensor([not error for error in errors], device=images.device)
    return Shapes(errors, measured, *(torch.from_numpy(one).to(images.device) for one in (box, joints, arms)))


@torch.no_grad()
def _small(images: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, h, w) float32 in 0..1 on the processor, no side above ``LONGEST``."""
    grey = images.detach().float().mean(1, keepdim=True)
    scale = LONGEST / max(grey.shape[2:])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in grey.shape[2:]]
        grey = F.interpolate(grey, size, mode="bilinear", align_corners=False, antialias=True)
    grey = grey[:, 0].cpu()
    low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
    return (grey - low) / (high - low).clamp(min=1e-12)


def _measure_each(greys: Sequence[np.ndarray]) -> list[Parts | str]:
    """Measure images on as many processes as torch has threads; one alone measures some 80 images per second.

    What the processes cannot do is done here: joblib is not installed, or Ctrl-C has stopped them.
    """
    workers = min(torch.get_num_threads(), len(greys))
    if workers > 1:
        try:
            from joblib import Parallel, delayed

            return list(Parallel(workers, max_nbytes=None)(delayed(parts_or_reason)(grey) for grey in greys))
        except (ImportError, BrokenProcessPool):
            pass
    return [parts_or_reason(grey) for grey in greys]
