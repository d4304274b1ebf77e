"""Which pixels a class's logit depends on: guided back-propagation and Grad-CAM of the lower branch.

Both are pictures of a gradient, not proofs: guided back-propagation shows edges even with random weights (Adebayo et al.,
NeurIPS 2018), so compare models, and look at the accuracy as well.
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
    """Return the gradient of a class's logit by the image, clipped at 0 behind each ReLU: (B, H, W) float32.

    Springenberg et al., ICLR 2015 (arXiv 1412.6806), section 3.4; the paper's Fig. 5. Where there are several channels their
    gradients are added up, for they all hold the same grey. The model is left as it was.

    Args:
        model: either form, with ``nn.ReLU`` modules in its backbone; other activations' gradients pass as they are.
        images: (B, C, H, W) float, standardised (``gricol_zoo.data.arrays.as_batch``), on any device.
        classes: (B,) whose logits; None takes the predicted ones.

    Raises:
        GricolZooError: an optimized model, no ReLU modules, no classifier, or images or classes of another shape or range.
    """
    rectifiers = [module for module in model.backbone.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers and not is_optimized(model):
        raise GricolZooError(
            f"Guided back-propagation needs ReLU modules, and the backbone {model.spec.backbone!r} has none "
            "(with GELU or SiLU, negative gradients matter). Use Grad-CAM."
        )
    with ready(model), _clipped(rectifiers):
        pixels = on_device(model, images).requires_grad_()
        # A copy, for a backbone may begin with an activation that writes over its input.
        logits = model(pixels.clone())
        (gradient,) = torch.autograd.grad(_chosen(logits, classes).sum(), pixels)
    return gradient.sum(1).float().cpu().numpy()


def grad_cam(model: LowerBranch, images: Tensor, classes: Sequence[int] | None = None) -> np.ndarray:
    """Return where the backbone's last layer speaks for a class: (B, H, W) float32 in 0..1, each image's maximum at 1.

    Selvaraju et al., ICCV 2017, Eq. 1 and 2, brought to the image's size bilinearly. An image whose map is nowhere positive
    gives zeros. The model is left as it was.

    Args:
        model: either form, whose backbone gives a map of positions.
        images: (B, C, H, W) float, standardised, on any device.
        classes: (B,) whose logits; None takes the predicted ones.

    Raises:
        GricolZooError: an optimized model, tokens instead of a map, no classifier, or images or classes of another shape.
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
    """Put a model into evaluation mode with gradients on, whatever surrounds it; then put every module's mode back.

    Raises:
        GricolZooError: an optimized model, or one without a classifier.
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
    """Return the images, checked, as a tensor of its own on the model's device.

    Raises:
        GricolZooError: not (B, C, H, W); for the full form also another size than the spec's.
    """
    if isinstance(model, GridModel):
        check_images(images, model.spec)
    elif images.ndim != 4 or images.shape[1] != model.in_chans:
        raise GricolZooError(f"Expected images of shape (B, {model.in_chans}, H, W), but got {tuple(images.shape)}.")
    parameter = next(model.parameters())
    return images.detach().clone().to(parameter.device, parameter.dtype)


@contextlib.contextmanager
def _clipped(rectifiers: Sequence[nn.Module]) -> Iterator[None]:
    """Clip at 0 the gradient that comes back to each call of these modules.

    The hook sits on the output tensor, not on the module: it so works for a module that is called several times or writes over
    its input, and goes with the graph.
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
    """(B, classes) logits -> (B,) of the chosen classes, or of the largest."""
    if classes is None:
        return logits.gather(1, logits.argmax(1, keepdim=True))[:, 0]  # not amax, which shares a tie out
    if len(classes) != len(logits) or not all(0 <= index < logits.shape[1] for index in classes):
        raise GricolZooError(
            f"Expected {len(logits)} `classes`, one per image, in 0..{logits.shape[1] - 1}, but got {list(classes)}."
        )
    return logits.gather(1, torch.as_tensor(classes, device=logits.device).view(-1, 1))[:, 0]
