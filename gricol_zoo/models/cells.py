"""The grid: from images to the lower branch's map and the features of the cells (paper, Fig. 1).

A grid is made from a splitter (``make_grid``) and has no weights. The parts of the model are passed to it at each call:

    overview    the whole image, as the lower branch sees it
    backbone    the backbone of the lower branch
    cells       the backbone of the cells: the same one, or a copy with batch-norms of their own
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.contracts import Backbone, Cuttable, Splitter
from gricol_zoo.models.lower import pool_map
from gricol_zoo.spec import ModelSpec


class Grid(Protocol):
    """Where the cells come from, and what they share with the lower branch."""

    @property
    def shared(self) -> bool:
        """Whether the first stages are run once for both branches, which then cost less than their sum."""
        ...

    def stages_of_cells(self, backbone: Backbone) -> list[nn.Module] | None:
        """Return the stages in which the cells can have norms of their own; None for all stages."""
        ...

    def __call__(self, images: Tensor, overview: nn.Module, backbone: Backbone, cells: Any) -> tuple[Tensor, Tensor]:
        """Run both branches: (B, C, H, W) -> the lower branch's map (B, F, h', w'), the cells' features (B, K, F)."""
        ...

    def features(self, images: Tensor, backbone: Backbone, cells: Any) -> Tensor:
        """Run the cells alone: (B, C, H, W) -> (B, K, F)."""
        ...


def make_grid(spec: ModelSpec, backbone: Backbone, splitter: Splitter) -> Grid:
    """Return the grid of a splitter.

    Raises:
        GricolZooError: the splitter cuts a map, but the backbone cannot be run in two parts, or it does not have that stage
            or any stage after it.
    """
    stage = splitter.stage
    if stage is None:
        return PixelGrid(splitter)
    if not isinstance(backbone, Cuttable):
        raise GricolZooError(
            f"The splitter {spec.splitter!r} cuts the map after a stage of the backbone, but {spec.backbone!r} cannot be run "
            "in two parts. Use r18half, r50half or r50, or the splitter 'overlap'."
        )
    last = len(backbone.stages_after(0)) - 1
    if stage > last:
        raise GricolZooError(f"Expected `stage` in 0..{last} of the backbone {spec.backbone!r}, but got {stage}.")
    return MapGrid(splitter, stage, shared=spec.overview == "none")


@dataclass(frozen=True)
class PixelGrid:
    """Cells are cut from the image."""

    splitter: Splitter
    shared: bool = False

    def stages_of_cells(self, backbone: Backbone) -> None:
        """Return None: the cells go through all stages."""

    def __call__(self, images: Tensor, overview: nn.Module, backbone: Backbone, cells: Any) -> tuple[Tensor, Tensor]:
        """Run both branches."""
        pieces, whole = self.splitter(images), overview(images)
        batch, num_cells = pieces.shape[:2]
        flat = pieces.flatten(0, 1)
        if cells is backbone and flat.shape[1:] == whole.shape[1:]:
            # One call of the shared backbone (Eq. 1), so that its batch-norm sees cells and overviews together.
            maps = backbone(torch.cat([whole, flat]))
            return maps[:batch], pool_cells(maps[batch:], batch, num_cells)
        lower_map = backbone(whole)
        cell_maps = cells(flat) if num_cells else lower_map[:0]
        return lower_map, pool_cells(cell_maps, batch, num_cells)

    def features(self, images: Tensor, backbone: Backbone, cells: Any) -> Tensor:
        """Run the cells alone."""
        pieces = self.splitter(images)
        return pool_cells(cells(pieces.flatten(0, 1)), *pieces.shape[:2])


@dataclass(frozen=True)
class MapGrid:
    """Cells are cut from the backbone's map after a stage; the stages up to it are shared if both branches see one image."""

    splitter: Splitter
    stage: int
    shared: bool

    def stages_of_cells(self, backbone: Backbone) -> list[nn.Module] | None:
        """Return the stages after the cut, if those before it are shared."""
        return cast(Cuttable, backbone).stages_after(self.stage) if self.shared else None

    def __call__(self, images: Tensor, overview: nn.Module, backbone: Backbone, cells: Any) -> tuple[Tensor, Tensor]:
        """Run both branches."""
        net = cast(Cuttable, backbone)
        early = net.to_stage(overview(images), self.stage)
        lower_map = net.from_stage(early, self.stage)
        return lower_map, self._cut(early if self.shared else cells.to_stage(images, self.stage), cells)

    def features(self, images: Tensor, backbone: Backbone, cells: Any) -> Tensor:
        """Run the cells alone."""
        first = cast(Cuttable, backbone) if self.shared else cells
        return self._cut(first.to_stage(images, self.stage), cells)

    def _cut(self, early: Tensor, cells: Any) -> Tensor:
        pieces = self.splitter(early)
        return pool_cells(cells.from_stage(pieces.flatten(0, 1), self.stage), *pieces.shape[:2])


def pool_cells(maps: Tensor, batch: int, num_cells: int) -> Tensor:
    """(B * K, F, h', w') -> (B, K, F)."""
    return pool_map(maps, "avg").reshape(batch, num_cells, maps.shape[1])
