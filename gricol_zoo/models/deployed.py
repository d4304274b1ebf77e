"""The deployed form: the lower branch alone, with timm's whole model contract (timm 1.0.29 to 1.0.31).

Made by ``GridModel.deploy()``, by ``create_model(..., deployed=True)`` and by timm through ``gricol_zoo.timm_bridge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Backbone, Initialising, Level, MultiLevel
from gricol_zoo.models.lower import GRID_KEYS, LowerBranch, start_classifier
from gricol_zoo.spec import ModelSpec


class DeployedModel(LowerBranch):
    """(B, C, H, W) images -> (B, classes) logits; any H and W that the backbone takes.

    Attributes:
        num_features: channels of ``forward_features``; ``head_hidden_size``: width before the classifier.
        feature_info: one dict per feature level (num_chs, reduction from the image, module).
    """

    def __init__(self, spec: ModelSpec, overview: nn.Module, backbone: Backbone) -> None:
        if "auxiliary" in dict(backbone.named_children()):  # needed in training only
            backbone.set_submodule("auxiliary", nn.Identity())
        super().__init__(spec, overview, backbone)
        self.head_hidden_size = self.num_features
        # The overview shrinks the image before the backbone sees it; reductions are counted from the image.
        self.shrink = 1 if spec.overview == "none" else max(1, round(spec.image_size[0] / spec.cell_size[0]))
        self.has_levels = isinstance(backbone, MultiLevel)
        reduction = 32 if backbone.gives_map else -(-spec.image_size[0] // self.shrink)
        one: Level = {"num_chs": self.num_features, "reduction": reduction, "module": ""}
        self.feature_info: list[Level] = [
            {
                "num_chs": level["num_chs"],
                "reduction": level["reduction"] * self.shrink,
                "module": f"backbone.{level['module']}",
            }
            for level in (backbone.feature_info if isinstance(backbone, MultiLevel) else [one])
        ]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load tensors as torch does; those that only the full form has (its grid's) are ignored."""
        own = {key: tensor for key, tensor in state_dict.items() if not key.startswith(GRID_KEYS)}
        return super().load_state_dict(own, strict, assign)

    @torch.jit.ignore
    def init_weights(self) -> None:
        """Start again from random weights, for instance after ``to_empty``."""
        for part in (self.overview, self.backbone):
            if isinstance(part, Initialising):
                part.init_weights()
        if isinstance(self.classifier, nn.Linear):
            start_classifier(self.classifier)

    @torch.jit.ignore
    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Return (final features, maps at ``indices``), or the maps alone.

        Args:
            x: (B, C, H, W) images.
            indices: None for every level, n for the last n, or a list (negative from the end).
            norm: accepted for compatibility with timm; there is no final norm.
            stop_early: do not run past the last requested level.
            output_fmt: "NCHW" only.
            intermediates_only: return the maps alone.

        Raises:
            GricolZooError: another output format, or a level that does not exist.
        """
        if output_fmt != "NCHW":
            raise GricolZooError(f"Expected `output_fmt` to be 'NCHW', but got {output_fmt!r}.")
        taps = take_levels(len(self.feature_info), indices)
        x = self.overview(x)
        if self.has_levels:
            levels = cast(MultiLevel, self.backbone)
            final, maps = levels.forward_intermediates(x, taps, stop_early=stop_early)
        else:
            final = self.backbone(x)
            maps = [final] if taps else []
        return maps if intermediates_only else (final, maps)

    @torch.jit.ignore
    def prune_intermediate_layers(
        self, indices: int | Sequence[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what comes after the last requested level; return the levels as absolute indices."""
        taps = take_levels(len(self.feature_info), indices)
        cut = self.has_levels and max(taps) < len(self.feature_info) - 1
        if cut:
            cast(MultiLevel, self.backbone).prune_intermediate_layers(taps)
            self.num_features = self.head_hidden_size = self.feature_info[max(taps)]["num_chs"]
        if prune_head or cut:
            self.reset_classifier(0, "")
        return taps


def take_levels(count: int, indices: int | Sequence[int] | None) -> list[int]:
    """Return sorted absolute level indices: None for all, n for the last n, a list as it is (negative from the end).

    Raises:
        GricolZooError: an index out of range.
    """
    if indices is None:
        return list(range(count))
    wanted = list(range(-indices, 0)) if isinstance(indices, int) else list(indices)
    taps = sorted({index + count if index < 0 else index for index in wanted})
    if not taps or taps[0] < 0 or taps[-1] >= count:
        raise GricolZooError(f"Expected feature indices in {-count}..{count - 1}, but got {indices!r}.")
    return taps
