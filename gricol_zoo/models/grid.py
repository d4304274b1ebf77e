"""The full form of a model: lower branch, grid and head, for training and for ``full`` inference (paper, Fig. 1)."""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.cell_norm import copy_norms, with_norms
from gricol_zoo.models.contracts import Backbone, Cuttable, Splitter
from gricol_zoo.models.deployed import DeployedModel
from gricol_zoo.models.heads import build_head
from gricol_zoo.models.lower import LowerBranch, check_images, make_classifier, pool_map, reset_classes, sum_polarities
from gricol_zoo.spec import GridOutput, ModelSpec


def check_cut(spec: ModelSpec, backbone: Backbone, splitter: Splitter) -> int | None:
    """Return the backbone's stage after which the splitter cuts; None where it cuts the image.

    Raises:
        GricolZooError: the backbone cannot be run in two parts, or has no such stage, or none after it.
    """
    stage = splitter.stage
    if stage is None:
        return None
    if not isinstance(backbone, Cuttable):
        raise GricolZooError(
            f"The splitter {spec.splitter!r} cuts the map after a stage of the backbone, but {spec.backbone!r} cannot be run "
            "in two parts. Use r18half, r50half or r50, or the splitter 'overlap'."
        )
    last = len(backbone.stages_after(0)) - 1
    if stage > last:
        raise GricolZooError(f"Expected `stage` in 0..{last} of the backbone {spec.backbone!r}, but got {stage}.")
    return stage


class TwoBranchModel(LowerBranch):
    """Two branches over one shared backbone.

    ``model(x)`` is the lower branch's logits, in training mode too; ``branches`` has every classifier's, ``full`` their
    mean. Its parameters are those of the paper's Table 2. Made by ``gricol_zoo.create_model``.
    """

    def __init__(self, spec: ModelSpec, overview: nn.Module, backbone: Backbone, splitter: Splitter, head: nn.Module) -> None:
        super().__init__(spec, overview, backbone)
        self.splitter = splitter
        self.head = head
        self.cut_after = check_cut(spec, backbone, splitter)
        own = spec.cell_norm == "own" and splitter.num_cells
        # Of stages that the two branches compute as one, the cells have no norms.
        parts = self._stages_of_cells()
        self.cell_norm: nn.Module | None = copy_norms(backbone, parts) if own else None

    def _stages_of_cells(self) -> list[nn.Module] | None:
        """Return the stages that the cells go through alone; None where those are all."""
        if self.cut_after is None or not self.shares_stages:
            return None
        return cast(Cuttable, self.backbone).stages_after(self.cut_after)

    @property
    def shares_stages(self) -> bool:
        """Whether the stages before the cut are run once for both branches."""
        return self.cut_after is not None and self.spec.overview == "none"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes): the lower branch (paper, step 7).

        Raises:
            GricolZooError: images of another shape than the spec's.
        """
        check_images(x, self.spec)
        return super().forward(x)

    @torch.jit.ignore
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tell class and polarity in one pass: (B, C, H, W) -> logits (B, classes), probability (B,) that the short arm is up.

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
        lower_map, features = self._both(x) if self.cut_after is None else self._both_cut(x, self.cut_after)
        cell_logits, merged_logits = self.head(features)
        if not self.polarity:
            return GridOutput(self.forward_head(lower_map), cell_logits, merged_logits)
        joint = self.joint_head(lower_map)
        return GridOutput(sum_polarities(joint.flatten(1)), cell_logits, merged_logits, joint)

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lower branch's map (B, F, h', w') and the cells' features (B, K, F); cells are pixels."""
        cells, overview = self.splitter(x), self.overview(x)
        batch, num_cells = cells.shape[:2]
        flat = cells.flatten(0, 1)
        if self.cell_norm is None and flat.shape[1:] == overview.shape[1:]:
            # One call of the shared backbone (Eq. 1), so that its batch-norm sees cells and overviews together.
            maps = self.backbone(torch.cat([overview, flat]))
            return maps[:batch], self._pool_cells(maps[batch:], batch, num_cells)
        lower_map = self.backbone(overview)
        cell_maps = self.cell_backbone(flat) if num_cells else lower_map[:0]
        return lower_map, self._pool_cells(cell_maps, batch, num_cells)

    def _both_cut(self, x: Tensor, stage: int) -> tuple[Tensor, Tensor]:
        """Return the same, where the cells are cut from a map after a stage of the backbone."""
        net = cast(Cuttable, self.backbone)
        early = net.to_stage(self.overview(x), stage)
        return net.from_stage(early, stage), self._cut(early if self.shares_stages else self._whole(x, stage), stage)

    def _whole(self, x: Tensor, stage: int) -> Tensor:
        net = cast(Cuttable, self.backbone) if self.shares_stages else self.cell_backbone
        return net.to_stage(x, stage)

    def _cut(self, whole: Tensor, stage: int) -> Tensor:
        cells = self.splitter(whole)
        return self._pool_cells(self.cell_backbone.from_stage(cells.flatten(0, 1), stage), *cells.shape[:2])

    def _pool_cells(self, maps: Tensor, batch: int, num_cells: int) -> Tensor:
        return pool_map(maps, "avg").reshape(batch, num_cells, self.num_features)

    @property
    def cell_backbone(self) -> Any:
        """The backbone as the cells go through it, with their own batch-norms where the spec says so."""
        if isinstance(self.cell_norm, nn.ModuleDict):
            return with_norms(self.backbone, self.cell_norm)
        return self.backbone if self.cell_norm is None else self.cell_norm  # `optimize` folds them into a whole backbone

    def upper(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the upper branch alone: (B, C, H, W) -> cell logits (B, K, classes), merged (B, classes) or None."""
        return self.head(self.cell_features(x))

    def cell_features(self, x: Tensor) -> Tensor:
        """Return the pooled features y_1..y_K of the cells: (B, C, H, W) -> (B, K, F)."""
        check_images(x, self.spec)
        if self.cut_after is not None:
            return self._cut(self._whole(x, self.cut_after), self.cut_after)
        cells = self.splitter(x)
        return self._pool_cells(self.cell_backbone(cells.flatten(0, 1)), *cells.shape[:2])

    def full(self, x: Tensor) -> Tensor:
        """Return the log of the mean probability over all classifiers: (B, C, H, W) -> (B, classes)."""
        output = self.branches(x)
        logits = [output.logits.unsqueeze(1), output.cell_logits]
        if output.merged_logits is not None:
            logits.append(output.merged_logits.unsqueeze(1))
        log_probabilities = torch.cat(logits, dim=1).float().log_softmax(-1)
        return log_probabilities.logsumexp(1) - math.log(log_probabilities.shape[1])

    def reset_classifier(self, num_classes: int) -> None:
        """Give the model new classifiers, all of them, for another number of classes; the lower branch's without polarity."""
        like = next(self.classifier.parameters(), next(self.backbone.parameters()))
        self.spec = self.spec.replace(num_classes=num_classes, polarity=False)
        self.num_classes, self.polarity = num_classes, False
        self.classifier = make_classifier(self.num_features, num_classes, like)
        reset_classes(self.backbone, num_classes, like)
        head = build_head(self.spec, self.num_features, self.splitter.num_cells)
        self.head = head.to(like.device, like.dtype)

    def deploy(self) -> DeployedModel:
        """Return the lower branch alone, a copy with timm's model contract; its logits equal ``model(x)`` bit for bit."""
        deployed = DeployedModel(self.spec, copy.deepcopy(self.overview), copy.deepcopy(self.backbone))
        deployed.classifier = copy.deepcopy(self.classifier)
        deployed.name, deployed.info, deployed.hub_ref = self.name, self.info, self.hub_ref
        deployed.training_pixels = self.training_pixels
        return deployed.train(self.training)
