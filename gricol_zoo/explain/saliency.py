"""Saliency, the pixels on which the logit of a class depends: guided back-propagation and Grad-CAM of the lower branch.

Both visualise a gradient and prove nothing: guided back-propagation shows edges even with random weights (Adebayo et al.,
NeurIPS 2018). Compare models, and consider their accuracy as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.factory import GridModel
from gricol_zoo.inference.fast import is_optimized
from gricol_zoo.models.lower import LowerBranch, check_images


def guided_backprop(model: LowerBranch, images: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
    """Return the gradient of a class's logit with respect to the image, clipped at 0 at each ReLU: (B, H, W) float32.

    Source: Springenberg et al., ICLR 2015 (arXiv 1412.6806), section 3.4; Fig. 5 of the GRiCoL paper. The gradients of several
    channels are summed, because all channels hold the same grey image. The state of the model is not changed.

    Args:
        model: either form, with ``nn.ReLU`` modules in its backbone; gradients of other activations are not clipped.
        images: (B, C, H, W) float, standardised (``gricol_zoo.data.arrays.as_batch``), on any device.
        classes: (B,) indices of the classes to explain; None takes the predicted ones.

    Raises:
        GricolZooError: the model is optimized or has no ReLU modules or no classifier, or images or classes have another shape
            or range.
    """
    rectifiers = [module for module in model.backbone.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers and not is_optimized(model):
        raise GricolZooError(
            f"Guided back-propagation needs ReLU modules, and the backbone {model.spec.backbone!r} has none "
            "(with GELU or SiLU, negative gradients matter). Use Grad-CAM."
        )
    with ready(model), _clipped(rectifiers):
        pixels = on_device(model, images).requires_grad_()
        # A copy, because a backbone may begin with an in-place activation.
        logits = model(pixels.clone())
        (gradient,) = torch.autograd.grad(_chosen(logits, classes).sum(), pixels)
    return gradient.sum(1).float().cpu().numpy()


def grad_cam(model: LowerBranch, images: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
    """Return the Grad-CAM of the backbone's last layer: (B, H, W) float32 in 0..1, with each image's maximum at 1.

    Source: Selvaraju et al., ICCV 2017, Eq. 1 and 2. The map is resized bilinearly to the image. If it is positive nowhere, the
    result is 0 everywhere. The state of the model is not changed.

    Args:
        model: either form, with a backbone that returns a spatial map.
        images: (B, C, H, W) float, standardised, on any device.
        classes: (B,) indices of the classes to explain; None takes the predicted ones.

    Raises:
        GricolZooError: the model is optimized, has no classifier, or returns tokens instead of a map, or images or classes have
            another shape or range.
    """
    with ready(model):
        features = model.forward_features(on_device(model, images))
        if features.shape[2] == 1 and features.shape[3] > 2 * images.shape[3] / images.shape[2] + 1:
            raise GricolZooError(
                f"Grad-CAM needs a spatial map, but the backbone {model.spec.backbone!r} gives {features.shape[3]} tokens."
            )
        (gradient,) = torch.autograd.grad(_chosen(model.forward_head(features), classes).sum(), features)
    with torch.no_grad():
        weights = gradient.float().mean((-2, -1), keepdim=True)
        cam = (weights * features.float()).sum(1, keepdim=True).relu()
        cam = F.interpolate(cam, images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        largest = cam.amax((-2, -1), keepdim=True)
        return torch.where(largest > 0, cam / largest, 0).cpu().numpy()


@contextlib.contextmanager
def ready(model: LowerBranch) -> Iterator[None]:
    """Put a model into evaluation mode with gradients enabled, also inside ``no_grad``; restore every module's mode at the end.

    Raises:
        GricolZooError: the model is optimized, or has no classifier.
    """
    if is_optimized(model):
        raise GricolZooError("This model was optimized for inference and keeps no gradients. Explain the original model.")
    if model.num_classes == 0:
        raise GricolZooError("This model has no classifier (`num_classes=0`), so there is no class to explain.")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def on_device(model: LowerBranch, images: Tensor) -> Tensor:
    """Check the images, and return a copy on the model's device and in its dtype.

    Raises:
        GricolZooError: the shape is not (B, C, H, W), or, for the full form, the size is not that of the spec.
    """
    if isinstance(model, GridModel):
        check_images(images, model.spec)
    elif images.ndim != 4 or images.shape[1] != model.in_chans:
        raise GricolZooError(f"Expected images of shape (B, {model.in_chans}, H, W), but got {tuple(images.shape)}.")
    parameter = next(model.parameters())
    return images.detach().clone().to(parameter.device, parameter.dtype)


@contextlib.contextmanager
def _clipped(rectifiers: Sequence[nn.Module]) -> Iterator[None]:
    """Clip the gradient at 0 that flows back into each call of these modules.

    The hook is on the output tensor, not on the module. It therefore also works for a module that is called several times or
    works in place, and disappears with the graph.
    """

    def clip(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(torch.relu)

    handles = [module.register_forward_hook(clip) for module in rectifiers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _chosen(logits: Tensor, classes: Sequence[int] | None) -> Tensor:
    """Return the logits, (B,), of the chosen classes from (B, classes); with None, the largest ones."""
    if classes is None:
        return logits.gather(1, logits.argmax(1, keepdim=True))[:, 0]  # not amax, which divides the gradient in a tie
    if len(classes) != len(logits) or not all(0 <= index < logits.shape[1] for index in classes):
        raise GricolZooError(
            f"Expected {len(logits)} `classes`, one per image, in 0..{logits.shape[1] - 1}, but got {list(classes)}."
        )
    return logits.gather(1, torch.as_tensor(classes, device=logits.device).view(-1, 1))[:, 0]
