"""The lower branch, which both forms of a model share: overview, backbone, pooling, one classifier (paper, step 7)."""

# No `from __future__ import annotations` here: torch.fx and TorchScript read the annotations of `forward` as objects.
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Backbone, Checkpointing, Layered, OwnClasses, Resizable
from gricol_zoo.models.info import WeightsInfo
from gricol_zoo.models.overview import build_overview
from gricol_zoo.models.pretrained_cfg import live_config
from gricol_zoo.spec import ModelSpec

GRID_KEYS = ("head.", "splitter.", "cell_norm.", "backbone.auxiliary.")
"""Prefixes of the tensor names that only the full form has."""


def pool_map(features: Tensor, kind: str) -> Tensor:
    """(B, F, h, w) -> (B, F) by the mean ("avg") or maximum ("max") over positions; "" leaves the map."""
    if kind == "avg":
        return features.mean((-2, -1))
    if kind == "max":
        return features.amax((-2, -1))
    return features


class LowerBranch(nn.Module):
    """(B, C, H, W) images -> (B, classes) logits.

    Args:
        spec: description of the model.
        overview, backbone: its parts; ``backbone.num_features`` sets the classifier's width.

    Attributes:
        pretrained_cfg, default_cfg: the config that timm reads from a model, such as its input size.
    """

    __jit_unused_properties__ = ("info",)  # TorchScript would compile it

    def __init__(self, spec: ModelSpec, overview: nn.Module, backbone: Backbone) -> None:
        super().__init__()
        self.spec = spec
        self.name = ""  # the registered name, set where it is created by name
        self._info = WeightsInfo()
        self.load_report: Any = None
        self.hub_ref = ""  # "org/repo@commit" of weights from the Hub
        self.training_pixels: bytes | None = None  # which images the weights were trained on: gricol_zoo.weights.pixels
        self.pretrained_cfg: Any = live_config(spec)
        self.default_cfg: Any = self.pretrained_cfg
        self.num_classes = spec.num_classes
        self.polarity = spec.polarity
        self.in_chans = spec.in_chans
        self.num_features = int(backbone.num_features)
        self.drop_rate = spec.drop_rate
        self.grad_checkpointing = False
        self.global_pool = spec.global_pool
        self.overview = overview
        self.backbone = backbone
        self.drop = nn.Dropout(spec.drop_rate)
        self.classifier = make_classifier(self.num_features, spec.num_classes, polarity=spec.polarity)

    @property
    def info(self) -> WeightsInfo:
        """What came with the weights: calibration, training record. A plain mapping may be assigned."""
        return self._info

    @info.setter
    def info(self, entries: Mapping[str, Any]) -> None:
        self._info = entries if isinstance(entries, WeightsInfo) else WeightsInfo(entries)

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, F, h', w'), before pooling."""
        return self.backbone(self.overview(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(B, F, h', w') -> (B, classes), or (B, F) before the classifier."""
        x = self.drop(pool_map(x, self.global_pool))
        if pre_logits:
            return x
        x = self.classifier(x)
        if self.polarity and self.num_classes > 0:
            return sum_polarities(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes)."""
        return self.forward_head(self.forward_features(x))

    @torch.jit.ignore
    def joint_head(self, x: Tensor) -> Tensor:
        """(B, F, h', w') -> (B, classes, 2): the logits of each class with its short arm up, and down.

        Raises:
            GricolZooError: a model without polarity, or without a classifier.
        """
        if self.num_classes == 0:
            raise GricolZooError("This model has no classifier (`num_classes=0`), so it predicts no polarity. Give it classes.")
        if not self.polarity:
            raise GricolZooError(
                "This model does not predict polarity. Use weights with polarity, or create and train it with `polarity=True`."
            )
        return self.classifier(self.drop(pool_map(x, self.global_pool))).unflatten(-1, (-1, 2))

    @torch.jit.ignore
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict class and polarity in one pass: (B, C, H, W) -> logits (B, classes), probability (B,) of short arm up.

        The logits are those of ``model(x)``; the probability is float32, summed over all classes.

        Raises:
            GricolZooError: a model without polarity, or without a classifier.
        """
        joint = self.joint_head(self.forward_features(x))
        return sum_polarities(joint.flatten(1)), short_arm_up(joint)

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in training: the backbone recomputes its blocks in the backward pass.

        Raises:
            GricolZooError: the backbone does not support it.
        """
        if not isinstance(self.backbone, Checkpointing):
            raise GricolZooError(f"The backbone {self.spec.backbone!r} does not support gradient checkpointing. Leave it off.")
        self.backbone.set_grad_checkpointing(enable)
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """Return the lower branch's classifier, or its name."""
        return "classifier" if name_only else self.classifier

    @torch.jit.ignore
    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier, and drop what was valid for the old one only (temperature, review threshold, scores).

        The new classifier has no polarity; ``create_model(..., num_classes=N)`` keeps polarity.

        Args:
            num_classes: number of classes of the new classifier; 0 makes the model return features.
            global_pool: "avg", "max" or "" (the unpooled map, for 0 classes). None keeps the pooling, except that an unpooled
                model that gets classes again uses "avg".

        Raises:
            GricolZooError: an unknown pooling, or classes without pooling.
        """
        if global_pool is None:
            global_pool = self.global_pool or ("avg" if num_classes else "")
        self.spec = self.spec.replace(num_classes=num_classes, polarity=False, global_pool=global_pool)
        like = next(self.classifier.parameters(), next(self.parameters()))
        self.global_pool, self.num_classes, self.polarity = global_pool, num_classes, False
        self.classifier = make_classifier(self.num_features, num_classes, like).train(self.training)
        self.info = self.info.for_other_classes()

    @torch.jit.ignore
    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Adapt the model to images of another (height, width); one number means a square. All weights are kept.

        Raises:
            GricolZooError: a size that the backbone does not support.
        """
        spec = self.spec.replace(image_size=img_size)
        overview, seen = build_overview(spec.overview, spec.in_chans, spec.image_size, spec.cell_size)
        if isinstance(self.backbone, Resizable):
            self.backbone.set_input_size(seen)
        for name, part in self.overview.named_children():  # none of them depends on the size
            overview.add_module(name, part)
        self.spec, self.overview = spec, overview.train(self.training)
        sizes = {key: live_config(spec)[key] for key in ("input_size", "pool_size")}
        self.pretrained_cfg = self.default_cfg = {**self.pretrained_cfg, **sizes}

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any] | Callable[[str], float]:
        """Return how layer-wise learning rates group the parameters: patterns, or a function from a name to its layer."""
        if isinstance(self.backbone, Layered):
            layers = self.backbone.parameter_layers(coarse)
            return lambda name: -1 if name.startswith("overview.") else layers.get(name.removeprefix("backbone."), math.inf)
        first, layer = self.backbone.first_conv, r"^backbone\.(?:\w+\.)*?layer"
        return {
            "stem": rf"^overview|^backbone\.(?:{re.escape(first)}|bn1)\.",
            "blocks": rf"{layer}(\d+)" if coarse else rf"{layer}(\d+)\.(\d+)",
        }

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay, besides biases and norms: those that the backbone lists."""
        return {f"backbone.{name}" for name in self.backbone.no_weight_decay()} if isinstance(self.backbone, Layered) else set()


def sum_polarities(outputs: Tensor) -> Tensor:
    """(B, classes * 2) logits, each class with short arm up and down -> (B, classes) ``logsumexp`` over both, same dtype.

    It is computed in float32, or in float64 for float64 logits.
    """
    joint = outputs.reshape(outputs.shape[0], -1, 2)
    if joint.dtype != torch.float64:
        joint = joint.float()
    return joint.logsumexp(-1).to(outputs.dtype)


fx.wrap("sum_polarities")  # it branches on a dtype, which symbolic tracing cannot follow


def short_arm_up(joint: Tensor) -> Tensor:
    """(B, classes, 2) joint logits -> (B,) float32 probability that the short arm is up."""
    return joint.flatten(1).float().softmax(1).unflatten(1, (-1, 2))[..., 0].sum(1)


def reset_classes(backbone: Backbone, num_classes: int, like: Tensor) -> None:
    """Replace a backbone's own classifiers (``gricol_zoo.models.baselines``) by new ones, on the device of ``like``."""
    if isinstance(backbone, OwnClasses):
        backbone.reset_classes(num_classes)
        backbone.get_submodule("auxiliary").to(like.device, like.dtype)


def make_classifier(num_features: int, num_classes: int, like: Tensor | None = None, polarity: bool = False) -> nn.Module:
    """Return a linear classifier (the identity for no classes), on the device and in the dtype of ``like``.

    With ``polarity`` it has two outputs per class.
    """
    if num_classes == 0:
        return nn.Identity()
    layer = nn.Linear(num_features, num_classes * 2 if polarity else num_classes)
    if like is not None:
        layer = layer.to(device=like.device, dtype=like.dtype)
    start_classifier(layer)
    return layer


def start_classifier(layer: nn.Linear) -> None:
    """Fill a classifier with random weights, in place."""
    nn.init.trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)


def check_images(images: Tensor, spec: ModelSpec) -> None:
    """Reject a batch that is not (B, C, H, W) with the spec's channels and size.

    Raises:
        GricolZooError: another shape; the message names both shapes and says how to get a model for these images.
    """
    expected = (spec.in_chans, *spec.image_size)
    if images.ndim != 4 or tuple(images.shape[1:]) != expected:
        raise GricolZooError(
            f"Expected images of shape (B, {', '.join(map(str, expected))}), but got {tuple(images.shape)}. "
            "Resize them, or create the model with `in_chans` and `image_size` to match."
        )
