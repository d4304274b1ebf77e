"""Destruction and construction learning, Chen et al., CVPR 2019, 5152-5161; [24] in the paper.

(B, C, h, w) -> (B, F, h/32, w/32). In training each image is used a second time with its patches shuffled; the network has to
classify both, tell which is which, and predict where each patch came from. At inference only the trunk is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gricol_zoo.errors import GricolZooError
from gricol_zoo.models.backbones import BACKBONES, build_backbone
from gricol_zoo.models.contracts import Backbone, Classify, Criterion


def region_confusion(count: int, grid: int, reach: int = 2) -> Tensor:
    """Draw where the patches of shuffled images come from, with torch's global generator.

    Each row is sorted by place plus noise of +-reach/2, then each column of the result, so no patch moves ``reach`` or more.

    Args:
        count: number of images.
        grid: patches per side.
        reach: every patch moves by fewer rows and columns than this.

    Returns:
        (count, grid * grid) int64: the original index (row by row) of the patch that now lies at each place.
    """
    place = torch.arange(grid, dtype=torch.float32)
    index = torch.arange(grid * grid).reshape(1, grid, grid).expand(count, grid, grid)
    across = (place + reach * (torch.rand(count, grid, grid) - 0.5)).argsort(2)
    index = index.gather(2, across)
    down = (place[:, None] + reach * (torch.rand(count, grid, grid) - 0.5)).argsort(1)
    return index.gather(1, down).flatten(1)


def shuffle(images: Tensor, index: Tensor, grid: int) -> Tensor:
    """Move the patches of (B, C, H, W) images to their places; rows and columns left over (H mod grid) stay.

    Args:
        images: of any dtype.
        index: (B, grid * grid) as ``region_confusion`` draws it.
        grid: patches per side.

    Raises:
        GricolZooError: an image of fewer rows or columns than patches.
    """
    batch, channels, height, width = images.shape
    h, w = height // grid, width // grid
    if min(h, w) == 0:
        raise GricolZooError(f"Expected an image of at least {grid}x{grid} pixels to cut into tiles, but got {height}x{width}.")
    cut = images[:, :, : grid * h, : grid * w].reshape(batch, channels, grid, h, grid, w)
    patches = cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    moved = patches[torch.arange(batch, device=images.device)[:, None], index]
    moved = moved.unflatten(1, (grid, grid)).permute(0, 3, 1, 4, 2, 5)
    out = images.clone()
    out[:, :, : grid * h, : grid * w] = moved.reshape(batch, channels, grid * h, grid * w)
    return out


class _Auxiliary(nn.Module):
    """Predict whether an image is the original or the shuffled one, per class, and where each patch came from."""

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        # The 2K-way classifier, in halves: each has the classes as its first dimension.
        self.whole = nn.Linear(num_features, num_classes, bias=False)
        self.shuffled = nn.Linear(num_features, num_classes, bias=False)
        self.location = nn.Conv2d(num_features, 1, 1)


@BACKBONES.register("dcl")
class DCL(Backbone):
    """23.66 M parameters with 24 classes, of which 23.55 M are deployed.

    Args:
        in_chans, input_size: of the images.
        num_classes: of the auxiliary classifier.
        trunk: the registered backbone inside.
        grid: patches per side.
        gamma: weight of the location loss.

    Raises:
        GricolZooError: a grid of fewer than 2x2 patches.
    """

    first_conv = "trunk.conv1"

    def __init__(
        self,
        in_chans: int,
        input_size: tuple[int, int],
        num_classes: int,
        trunk: str = "r50",
        grid: int = 7,
        gamma: float = 0.01,
    ) -> None:
        super().__init__()
        if grid < 2:
            raise GricolZooError(f"Expected `grid` to be at least 2, but got {grid}.")
        self.trunk = build_backbone(trunk, in_chans, input_size)
        self.num_features = int(self.trunk.num_features)
        self.grid, self.gamma = grid, gamma
        self.reset_classes(num_classes)

    def reset_classes(self, num_classes: int) -> None:
        """Replace the layers that only the objective needs."""
        self.auxiliary: Any = _Auxiliary(self.num_features, num_classes) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, F, h/32, w/32): the trunk."""
        return self.trunk(x)

    def training_loss(self, images: Tensor, labels: Tensor, epoch: float, classify: Classify, criterion: Criterion) -> Tensor:
        """Return the losses class + original or shuffled (2K-way) + gamma * location, over originals and shuffled copies.

        Raises:
            GricolZooError: images too small for the grid.
        """
        index = region_confusion(len(images), self.grid).to(images.device)
        maps = self.trunk(torch.cat([images, shuffle(images, index, self.grid)]))
        logits = classify(maps)
        classes = F.one_hot(labels, logits.shape[1]) if labels.ndim == 1 else labels
        classes = classes.to(torch.float32)
        nothing = torch.zeros_like(classes)
        kinds = torch.cat([torch.cat([classes, nothing], 1), torch.cat([nothing, classes], 1)])
        pooled = maps.mean((-2, -1))
        told = torch.cat([self.auxiliary.whole(pooled), self.auxiliary.shuffled(pooled)], 1)
        location = self.gamma * self._location(maps, index)
        return criterion(logits, torch.cat([labels, labels])) + criterion(told, kinds) + location

    def _location(self, maps: Tensor, index: Tensor) -> Tensor:
        """Mean absolute error of where the patches came from, with their index scaled to -0.5..0.5, where tanh is steep."""
        said = F.adaptive_avg_pool2d(self.auxiliary.location(maps), self.grid).flatten(1).float().tanh()
        whole = torch.arange(self.grid**2, device=index.device).expand_as(index)
        return F.l1_loss(said, torch.cat([whole, index]) / (self.grid**2 - 1) - 0.5)
