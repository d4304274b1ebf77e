"""The full form of a model: lower branch, grid and head, for training and for ``full`` inference (paper, Fig. 1)."""

from __future__ import annotations

import copy
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gricol_zoo.cell_norm import copy_norms, with_norms
from gricol_zoo.deployed import DeployedModel
from gricol_zoo.heads import build_head
from gricol_zoo.lower import LowerBranch, check_images, make_classifier, pool_map, reset_classes
from gricol_zoo.spec import GridOutput, ModelSpec


class GridModel(LowerBranch):
    """Two branches over one shared backbone.

    ``model(x)`` is the lower branch's logits, in training mode too; ``branches`` has every classifier's, ``full`` their
    mean. Its parameters are those of the paper's Table 2. Made by ``gricol_zoo.create_model``.
    """

    def __init__(self, spec: ModelSpec, overview: nn.Module, backbone: nn.Module, splitter: nn.Module, head: nn.Module) -> None:
        super().__init__(spec, overview, backbone)
        self.splitter = splitter
        self.head = head
        self.cell_norm: nn.Module | None = copy_norms(backbone) if spec.cell_norm == "own" and splitter.num_cells else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes): the lower branch (paper, step 7).

        Raises:
            GricolZooError: images of another shape than the spec's.
        """
        check_images(x, self.spec)
        return super().forward(x)

    def branches(self, x: Tensor) -> GridOutput:
        """Return every classifier's logits for (B, C, H, W) images.

        Raises:
            GricolZooError: images of another shape than the spec's.
        """
        check_images(x, self.spec)
        cells = self.splitter(x)
        overview = self.overview(x)
        batch, num_cells = cells.shape[:2]
        flat = cells.flatten(0, 1)
        if self.cell_norm is None and flat.shape[1:] == overview.shape[1:]:
            # One call of the shared backbone (Eq. 1), so that its batch-norm sees cells and overviews together.
            maps = self.backbone(torch.cat([overview, flat]))
            lower_map, cell_maps = maps[:batch], maps[batch:]
        else:
            lower_map = self.backbone(overview)
            cell_maps = self.cell_backbone(flat) if num_cells else lower_map[:0]
        features = pool_map(cell_maps, "avg").reshape(batch, num_cells, self.num_features)
        cell_logits, merged_logits = self.head(features)
        return GridOutput(self.forward_head(lower_map), cell_logits, merged_logits)

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
        cells = self.splitter(x)
        maps = self.cell_backbone(cells.flatten(0, 1))
        return pool_map(maps, "avg").reshape(*cells.shape[:2], self.num_features)

    def full(self, x: Tensor) -> Tensor:
        """Return the log of the mean probability over all classifiers: (B, C, H, W) -> (B, classes)."""
        output = self.branches(x)
        logits = [output.logits.unsqueeze(1), output.cell_logits]
        if output.merged_logits is not None:
            logits.append(output.merged_logits.unsqueeze(1))
        log_probabilities = torch.cat(logits, dim=1).float().log_softmax(-1)
        return log_probabilities.logsumexp(1) - math.log(log_probabilities.shape[1])

    def reset_classifier(self, num_classes: int) -> None:
        """Give the model new classifiers, all of them, for another number of classes."""
        like = next(self.classifier.parameters(), next(self.backbone.parameters()))
        self.spec = self.spec.replace(num_classes=num_classes)
        self.num_classes = num_classes
        self.classifier = make_classifier(self.num_features, num_classes, like)
        reset_classes(self.backbone, num_classes, like)
        head = build_head(self.spec, self.num_features, int(self.splitter.num_cells))  # type: ignore[arg-type]
        self.head = head.to(like.device, like.dtype)

    def deploy(self) -> DeployedModel:
        """Return the lower branch alone, a copy with timm's model contract; its logits equal ``model(x)`` bit for bit."""
        deployed = DeployedModel(self.spec, copy.deepcopy(self.overview), copy.deepcopy(self.backbone))
        deployed.classifier = copy.deepcopy(self.classifier)
        deployed.name, deployed.info, deployed.hub_ref = self.name, self.info, self.hub_ref
        return deployed.train(self.training)

    @classmethod
    def from_pretrained(
        cls,
        repo_or_dir: str,
        revision: str | None = None,
        cache_dir: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        **changes: Any,
    ) -> GridModel:
        """Load a model from a Hub repository ("org/repo") or a folder written by ``save_pretrained``.

        Args:
            repo_or_dir: which one; an existing folder is taken as such.
            revision: branch, tag or commit.
            cache_dir: of huggingface_hub, if not its own.
            token: for a private repository.
            local_files_only: make no request.
            force_download: take nothing from the cache.
            changes: fields of the spec to change, such as ``num_classes``.

        Raises:
            GricolZooError: not found, altered, or not a model of this zoo.
        """
        from gricol_zoo.factory import create_from
        from gricol_zoo.hub import find_on_hub
        from gricol_zoo.sources import find_in_dir

        if Path(repo_or_dir).is_dir():
            source = find_in_dir(Path(repo_or_dir))
        else:
            source = find_on_hub(repo_or_dir, revision or "", cache_dir, token, local_files_only, force_download)
        model = create_from(source, pretrained=True, **changes)
        assert isinstance(model, GridModel)
        return model

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` (fp16) and ``config.json``, which ``local-dir:folder`` loads again."""
        from gricol_zoo.weights import save_model

        save_model(self, Path(folder))

    def push_to_hub(
        self, repo: str, token: str | None = None, private: bool | None = None, branch: str = "main", commit_message: str = ""
    ) -> str:
        """Upload weights, config and a short card (if there is none) to "org/repo"; return the commit, to pin it by.

        Args:
            repo: made if need be.
            token: if you are not logged in.
            private: whether a new repository is.
            branch: to upload to.
            commit_message: of the commit.

        Raises:
            HubError: the Hub refuses, or cannot be reached.
        """
        from gricol_zoo.hub import upload
        from gricol_zoo.hub.upload import CARD, README

        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            (Path(folder) / README).write_text(CARD.format(name=self.name or "A model"), encoding="utf-8")
            message = commit_message or f"Weights of {self.name or 'a model'} of gricol_zoo"
            return upload(Path(folder), repo, message, token, private, branch, keep_card=True)
