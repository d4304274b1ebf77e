"""Any timm model as a backbone: (B, C, h, w) -> (B, F, h', w').

Convolutional maps, channels-last maps (Swin) and token sequences (ViT) are all brought to channels-first maps; class and
register tokens are dropped. The model is run once at its input size when built, so an unsuitable one fails at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Backbone


def create_timm(name: str, changes: Mapping[str, Any]) -> Any:
    """Return one of timm's own models, with random weights.

    Raises:
        GricolZooError: timm cannot create it.
    """
    import timm

    try:
        return timm.create_model(name, **changes)
    except Exception as error:  # timm raises many kinds of errors
        raise GricolZooError(f"timm cannot create {name!r}: {str(error).splitlines()[0]}") from error


class TimmBackbone(Backbone):
    """Wrap a timm model without its classifier and pooling.

    Args:
        name: timm's name, with or without a tag.
        in_chans: image channels.
        input_size: (height, width) of its input; needed by models with position embeddings.
        pretrained: load timm's weights for it (needs the network or timm's cache).

    Raises:
        GricolZooError: timm has no such model, or it gives no feature map at this size.
    """

    def __init__(self, name: str, in_chans: int, input_size: tuple[int, int], pretrained: bool = False) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name.split('.')[0][:8]}*")[:3])
            raise GricolZooError(f"timm has no model {name!r}." + (f" Similar names: {near}." if near else ""))
        config = timm.get_pretrained_cfg(name)
        sized: dict[str, Any] = {"img_size": input_size} if config is not None and config.fixed_input_size else {}
        try:
            net: Any = timm.create_model(name, pretrained=pretrained, in_chans=in_chans, num_classes=0, global_pool="", **sized)
            self.net: Any = net
            self.net.eval()
            with torch.no_grad():
                # The layout of its features is determined once, so that `forward` can be traced and scripted.
                given = self.net.forward_features(torch.zeros(1, in_chans, *input_size))
                self.layout, self.prefix = layout_of(self.net, given), int(getattr(self.net, "num_prefix_tokens", 0))
                features = self._map(given)
        except Exception as error:  # timm's models raise many kinds of errors, such as a failed download
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise GricolZooError(
                f"timm/{name} cannot be used as a backbone for {in_chans}x{input_size[0]}x{input_size[1]} inputs: {reason}"
            ) from error
        self.net.train()
        self.num_features = features.shape[1]
        self.name, self.sized = name, bool(sized)
        if hasattr(net, "forward_intermediates") and hasattr(net, "prune_intermediate_layers"):
            self.feature_info: Any = [{**level, "module": f"net.{level['module']}"} for level in net.feature_info]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h', w')."""
        return self._map(self.net.forward_features(x))

    def _map(self, features: Tensor) -> Tensor:
        if self.layout == "NHWC":
            return features.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            # The features are only pooled over positions, so one row of tokens is as good as a square.
            return features[:, self.prefix :].transpose(1, 2).unsqueeze(2)
        return features

    @torch.jit.ignore
    def forward_intermediates(self, x: Tensor, indices: Sequence[int], stop_early: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the last map and the maps of these levels, channels-first; ``stop_early`` ends at the last of them."""
        final, maps = self.net.forward_intermediates(x, indices=list(indices), stop_early=stop_early, output_fmt="NCHW")
        cut = stop_early and max(indices) < len(self.feature_info) - 1  # timm returns that map in its own layout
        return (maps[-1] if cut else self._map(final)), maps

    @torch.jit.ignore
    def prune_intermediate_layers(self, indices: Sequence[int]) -> None:
        """Remove what comes after the last of these levels."""
        self.net.prune_intermediate_layers(list(indices))

    @torch.jit.ignore
    def parameter_layers(self, coarse: bool) -> dict[str, int]:
        """Return each parameter's layer, as the timm model groups them."""
        from timm.models import group_parameters

        layers = group_parameters(self.net, self.net.group_matcher(coarse=coarse), reverse=True)
        return {f"net.{name}": int(layer) for name, layer in layers.items()}

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Return the parameters that the timm model lists."""
        return {f"net.{name}" for name in self.net.no_weight_decay()} if hasattr(self.net, "no_weight_decay") else set()

    @torch.jit.ignore
    def set_input_size(self, size: tuple[int, int]) -> None:
        """Adapt to images of another (height, width).

        Raises:
            GricolZooError: the timm model is made for one size, and cannot be changed.
        """
        if hasattr(self.net, "set_input_size"):
            self.net.set_input_size(img_size=size)
        elif self.sized:
            raise GricolZooError(f"timm/{self.name} cannot change its image size. Create the model with `image_size={size}`.")

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory, as the timm model does."""
        self.net.set_grad_checkpointing(enable)


def layout_of(net: Any, features: Any) -> str:
    """Return "NCHW", "NHWC" or "tokens": the layout of a timm model's features.

    Raises:
        ValueError: another layout.
    """
    if not isinstance(features, Tensor):
        raise ValueError(f"its features are a {type(features).__name__}, not one tensor")
    if features.ndim == 4:
        return str(getattr(net, "output_fmt", "NCHW"))
    if features.ndim == 3:
        return "tokens"
    raise ValueError(f"its features have shape {tuple(features.shape)}, neither a feature map nor tokens")
