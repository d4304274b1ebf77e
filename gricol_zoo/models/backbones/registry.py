"""The table of backbones, and how one is built by name."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import nn

from gricol_zoo.models.contracts import Backbone, complete
from gricol_zoo.models.names import parse_backbone_name
from gricol_zoo.models.parts import build_part
from gricol_zoo.registry import Registry

BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone", "gricol_zoo.backbones")


def build_backbone(
    name: str,
    in_chans: int,
    input_size: tuple[int, int],
    num_classes: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Backbone:
    """Build a backbone for (B, in_chans, *input_size) images.

    Args:
        name: a registered name, or ``timm/<name>``.
        in_chans: channels of its input.
        input_size: (height, width) of its input, in pixels.
        num_classes: for backbones that have their own classifiers in training.
        options: the backbone's own options.

    Raises:
        GricolZooError: an unknown name or option, or a size that the backbone does not support.
    """
    offered = {"in_chans": in_chans, "input_size": input_size, "num_classes": num_classes}
    is_timm, name = parse_backbone_name(name)
    if is_timm:
        from gricol_zoo.models.backbones.from_timm import TimmBackbone

        return cast(Backbone, build_part("backbone", f"timm/{name}", TimmBackbone, {**offered, "name": name}, options or {}))
    return complete(build_part("backbone", name, BACKBONES.get(name), offered, options or {}), Backbone)
