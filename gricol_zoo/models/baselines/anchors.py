"""Anchor boxes for NTS-Net: scored by a navigator, chosen by suppression, cut out of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = ((32, 48, (1, 2)), (64, 96, (1, 2)), (128, 192, (0, 1, 2)))
"""(stride, side, scales) of the anchors in pixels, for any image; scale s makes boxes 2 ** (s / 3) times larger."""
RATIOS = (2 / 3, 1.0, 1.5)
"""Height / width."""


class Level(nn.Module):
    """Scores and boxes of one level: (B, 128, h, w) -> (B, n) scores and (n, 4) boxes, n = anchors * h * w.

    A box is (top, left, bottom, right) in pixels of the image, and may reach beyond it.
    """

    def __init__(self, channels: int, stride: int, side: int, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride
        self.sizes: Tensor
        areas = [(side * 2 ** (scale / 3), ratio**0.5) for scale in scales for ratio in RATIOS]
        sizes = torch.tensor([(length * root, length / root) for length, root in areas], dtype=torch.float32)
        self.register_buffer("sizes", sizes, persistent=False)  # (anchors, 2), height and width
        self.score = nn.Conv2d(channels, len(areas), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score each anchor at each position."""
        ones = torch.ones_like(x[0, 0], dtype=torch.float32)
        centre = torch.stack([ones.cumsum(0), ones.cumsum(1)], dim=-1)  # (h, w, 2), counted from 1
        centre = (centre - 0.5) * self.stride
        half = self.sizes.float()[:, None, None] / 2
        boxes = torch.cat([centre - half, centre + half], dim=-1)  # (anchors, h, w, 4)
        return self.score(x).flatten(1), boxes.flatten(0, 2)


class Navigator(nn.Module):
    """(B, F, h, w) -> (B, n) scores and (n, 4) boxes of all levels: n = 1614 on the map of a 448x448 image."""

    def __init__(self, num_features: int, channels: int = 128) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(num_features, channels, 3, 1, 1)
        self.down2 = nn.Conv2d(channels, channels, 3, 2, 1)
        self.down3 = nn.Conv2d(channels, channels, 3, 2, 1)
        self.level1 = Level(channels, *LEVELS[0])
        self.level2 = Level(channels, *LEVELS[1])
        self.level3 = Level(channels, *LEVELS[2])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score every anchor."""
        x1 = F.relu(self.down1(x))
        x2 = F.relu(self.down2(x1))
        scores1, boxes1 = self.level1(x1)
        scores2, boxes2 = self.level2(x2)
        scores3, boxes3 = self.level3(F.relu(self.down3(x2)))
        return torch.cat([scores1, scores2, scores3], dim=1), torch.cat([boxes1, boxes2, boxes3])


def choose(scores: Tensor, boxes: Tensor, count: int, overlap: float = 0.25) -> Tensor:
    """Choose boxes by greedy suppression: the best, then the best that it does not overlap, and so on.

    No library function is used, because only ``count`` boxes are wanted: a fixed number of steps for the whole batch can be
    traced, scripted and counted. If every box is suppressed, the best of those not yet taken comes next.

    Args:
        scores: (B, n).
        boxes: (n, 4), as (top, left, bottom, right).
        count: how many, at most n.
        overlap: intersection / union above which a box is suppressed.

    Returns:
        (B, count) int64 indices, the best first.
    """
    left = scores.detach().float()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    taken: list[Tensor] = []
    for _ in range(count):
        best = left.argmax(1)
        taken.append(best)
        chosen = boxes[best].unsqueeze(1)  # (B, 1, 4)
        sides = torch.minimum(chosen[..., 2:], boxes[:, 2:]) - torch.maximum(chosen[..., :2], boxes[:, :2])
        common = sides.clamp(min=0.0).prod(-1)
        union = areas[best].unsqueeze(1) + areas - common
        left = left - 1e6 * (common > overlap * union).float()
        left = left.scatter(1, best.unsqueeze(1), float("-inf"))
    return torch.stack(taken, dim=1)


def crop(images: Tensor, boxes: Tensor, shrink: int = 2) -> Tensor:
    """Cut out boxes and resize them to one size (bilinear), with a gradient to the boxes; pixels beyond the image are 0.

    Args:
        images: (B, C, H, W).
        boxes: (B, M, 4), as (top, left, bottom, right) in pixels.
        shrink: how many times smaller than the images the result is.

    Returns:
        (B * M, C, H // shrink, W // shrink), in the images' dtype.
    """
    ones = torch.ones_like(images[0, 0, shrink - 1 :: shrink, shrink - 1 :: shrink], dtype=torch.float32)
    rows = (ones.cumsum(0) - 0.5) / ones.shape[0]  # the pixels' centres, in 0..1 of a box
    columns = (ones.cumsum(1) - 0.5) / ones.shape[1]
    top, left, bottom, right = boxes.float()[..., None, None].unbind(2)  # (B, M, 1, 1) each
    y = (top + rows * (bottom - top)) * 2 / images.shape[2] - 1
    x = (left + columns * (right - left)) * 2 / images.shape[3] - 1
    grid = torch.stack([x, y], dim=-1)  # (B, M, h, w, 2)
    # One sampling per image, with its boxes one below the other.
    parts = F.grid_sample(images.float(), grid.flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=False)
    parts = parts.reshape(images.shape[0], images.shape[1], boxes.shape[1], ones.shape[0], ones.shape[1])
    return parts.transpose(1, 2).flatten(0, 1).to(images.dtype)
