"""The full form of a model: lower branch, grid and head, for training and for ``full`` inference (paper, Fig. 1)."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.cell_norm import copy_norms, with_norms
from gricol_zoo.models.cells import make_grid
from gricol_zoo.models.contracts import Backbone, Splitter
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.heads import build_head
from gricol_zoo.models.lower import LowerBranch, check_images, reset_classes, sum_polarities
from gricol_zoo.models.splitters import build_splitter
from gricol_zoo.spec import GridOutput, ModelSpec


class TwoBranchModel(LowerBranch):
    """Two branches over one shared backbone.

    ``model(x)`` is the lower branch's logits, in training mode too; ``branches`` gives every classifier's, ``full`` the log
    of their mean probability. Its parameters are those of the paper's Table 2. Made by ``gricol_zoo.create_model``.
    """

    def __init__(self, spec: ModelSpec, overview: nn.Module, backbone: Backbone, splitter: Splitter, head: nn.Module) -> None:
        super().__init__(spec, overview, backbone)
        self.splitter = splitter
        self.head = head
        self.grid = make_grid(spec, backbone, splitter)
        own = spec.cell_norm == "own" and splitter.num_cells
        # In stages that the two branches share, the cells have no norms of their own.
        self.cell_norm: nn.Module | None = copy_norms(backbone, self.grid.stages_of_cells(backbone)) if own else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes): the lower branch (paper, step 7).

        Raises:
            GricolZooError: images of another shape than the spec's.
        """
        check_images(x, self.spec)
        return super().forward(x)

    @torch.jit.ignore
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict class and polarity in one pass: (B, C, H, W) -> logits (B, classes), probability (B,) of short arm up.

        Raises:
            GricolZooError: images of another shape than the spec's, or a model without polarity.
        """
        check_images(x, self.spec)
        return super().both(x)

    def branches(self, x: Tensor) -> GridOutput:
        """Return every classifier's logits for (B, C, H, W) images.

        Raises:
            GricolZooError: images of another shape than the spec's.
        """
        check_images(x, self.spec)
        lower_map, features = self.grid(x, self.overview, self.backbone, self.cell_backbone)
        cell_logits, merged_logits = self.head(features)
        if not self.polarity:
            return GridOutput(self.forward_head(lower_map), cell_logits, merged_logits)
        joint = self.joint_head(lower_map)
        return GridOutput(sum_polarities(joint.flatten(1)), cell_logits, merged_logits, joint)

    @property
    def cell_backbone(self) -> Any:
        """The backbone of the cells, with their own batch-norms if the spec says so."""
        if isinstance(self.cell_norm, nn.ModuleDict):
            return with_norms(self.backbone, self.cell_norm)
        return self.backbone if self.cell_norm is None else self.cell_norm  # `optimize` has folded them into a whole backbone

    def upper(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the upper branch alone: (B, C, H, W) -> cell logits (B, K, classes), merged (B, classes) or None."""
        return self.head(self.cell_features(x))

    def cell_features(self, x: Tensor) -> Tensor:
        """Return the pooled features y_1..y_K of the cells: (B, C, H, W) -> (B, K, F)."""
        check_images(x, self.spec)
        return self.grid.features(x, self.backbone, self.cell_backbone)

    def full(self, x: Tensor) -> Tensor:
        """Return the log of the mean probability over all classifiers: (B, C, H, W) -> (B, classes).

        Raises:
            GricolZooError: images of another shape than the spec's, or a model without classifiers.
        """
        if not self.num_classes:
            raise GricolZooError("This model has no classifiers (`num_classes=0`), so it cannot classify. Give it classes.")
        output = self.branches(x)
        logits = [output.logits.unsqueeze(1), output.cell_logits]
        if output.merged_logits is not None:
            logits.append(output.merged_logits.unsqueeze(1))
        log_probabilities = torch.cat(logits, dim=1).float().log_softmax(-1)
        return log_probabilities.logsumexp(1) - math.log(log_probabilities.shape[1])

    def merged(self, x: Tensor) -> Tensor:
        """Return the logits of Y_0, the merged cells, alone: (B, C, H, W) -> (B, classes). The lower branch is not run.

        Raises:
            GricolZooError: images of another shape than the spec's, or a head without Y_0.
        """
        logits = self.upper(x)[1] if self.splitter.num_cells else None
        if logits is None:
            raise GricolZooError(f"The head {self.spec.head!r} has no Y_0. Take a model with the head 'reconstruction'.")
        return logits

    @torch.jit.ignore
    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace every classifier, as ``LowerBranch`` replaces its one; ``global_pool`` applies to the lower branch."""
        like = next(self.classifier.parameters(), next(self.backbone.parameters()))
        super().reset_classifier(num_classes, global_pool)
        reset_classes(self.backbone, num_classes, like)
        head = build_head(self.spec, self.num_features, self.splitter.num_cells)
        self.head = head.to(like.device, like.dtype).train(self.training)

    @torch.jit.ignore
    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Adapt the model to images of another (height, width), cells included; one number means a square.

        Raises:
            GricolZooError: a size that the grid or the backbone does not support.
        """
        splitter = build_splitter(self.spec.replace(image_size=img_size))  # raises before anything has changed
        super().set_input_size(img_size)
        splitter.load_state_dict(self.splitter.state_dict())
        self.splitter = splitter.to(next(self.backbone.parameters()).device).train(self.training)
        self.grid = make_grid(self.spec, self.backbone, self.splitter)

    def deploy(self) -> DeployedModel:
        """Return the lower branch alone, a copy with timm's model contract; its logits equal ``model(x)`` bit for bit."""
        deployed = DeployedModel(self.spec, copy.deepcopy(self.overview), copy.deepcopy(self.backbone))
        deployed.classifier = copy.deepcopy(self.classifier)
        deployed.name, deployed.info, deployed.hub_ref = self.name, self.info, self.hub_ref
        deployed.training_pixels = self.training_pixels
        deployed.pretrained_cfg = deployed.default_cfg = dict(self.pretrained_cfg)
        return deployed.train(self.training)
