"""Effects of light, lens, camera and file format on a batch of canvases, (B, H, W) float 0..1, background 0.

All change the images in place, and return them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gricol_zoo.data.draws import Draws, replace

RIM = 0.02  # of full scale: darker pixels are background
VEIL = 0.1  # of full scale: largest remainder of an uneven background
PITCH, ROWS = 1.5, 128  # noise is drawn at crop pixels: at least this many canvas pixels each, at most this many per canvas
QUALITY = (20, 90)
BLOCK, FREQUENCIES = 12, 8  # side on the canvas of a JPEG block of 8x8 crop pixels; its frequencies per side
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""The quantisation table of quality 50 that the JPEG standard suggests (ITU-T T.81, table K.1)."""


def add_veil(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Brighten or darken some of the chromosomes by a smooth field of up to ``VEIL``, and leave the background."""
    which = draws.chosen(probability)
    corners = (draws.rand(1, 3, 2)[which] * 2 - 1).to(images.device) * VEIL
    if not len(which):
        return images
    own = images[which]
    field = F.interpolate(corners, images.shape[1:], mode="bilinear", align_corners=True)[:, 0]
    return replace(images, which, torch.where(own > RIM, own + field, own))


def blur_some(images: Tensor, draws: Draws, highest: float) -> Tensor:
    """Blur half of the images with a Gaussian of up to ``highest`` pixels; the bright bands keep their brightness."""
    which = draws.chosen(0.5)
    deviation = draws.rand(1)[which].to(images.device) * highest
    if not len(which):
        return images
    own = images[which]
    reach = math.ceil(3 * highest)
    distance = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-((distance / deviation.clamp_min(1e-3)) ** 2) / 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None]
    soft = F.conv2d(own[None], kernel[..., None], padding=(reach, 0), groups=len(which))
    soft = F.conv2d(soft, kernel[:, :, None], padding=(0, reach), groups=len(which))[0]
    return replace(images, which, soft * (_brightness(own) / _brightness(soft).clamp_min(1e-6)))


def soften(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Blur some of the images with a mean over 3x3 pixels."""
    which = draws.chosen(probability)
    if not len(which):
        return images
    soft = F.avg_pool2d(F.pad(images[which].unsqueeze(1), (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    return replace(images, which, soft)


def _brightness(images: Tensor) -> Tensor:
    """Return the brightness of the bright bands, (n, 1, 1): the power mean with exponent 8."""
    square = images * images
    fourth = square * square
    return (fourth * fourth).mean((1, 2), keepdim=True) ** 0.125


def add_grain(images: Tensor, draws: Draws, highest: float) -> Tensor:
    """Add noise with a standard deviation of up to ``highest`` to the chromosome.

    The noise is drawn at the pixels of a crop. It is a random mixture of noise at each pixel and noise smoothed over 3x3
    pixels, and is resampled like a crop, so the noise of neighbouring canvas pixels is correlated.
    """
    height, width = images.shape[1:]
    pitch = max(PITCH, height / ROWS)
    white = draws.randn(1, math.ceil(height / pitch), math.ceil(width / pitch)).to(images.device)
    strength, smooth = draws.rand(1, 1, 1, rows=2).to(images.device)
    soft = F.pad(white, (1, 1, 1, 1))
    soft = (soft[..., :-2, :] + soft[..., 1:-1, :] + soft[..., 2:, :]) / 3
    soft = soft[..., :-2] + soft[..., 1:-1] + soft[..., 2:]
    # The variances (1 each) and the covariance (1/3) of the two that remain after resampling.
    variance = 0.42 * (1 - smooth) ** 2 + 0.78 * smooth**2 + 0.67 * smooth * (1 - smooth)
    gain = highest * strength / variance.sqrt()
    noise = F.interpolate((white * (1 - smooth) + soft * smooth) * gain, (height, width), mode="bilinear")[:, 0]
    return images.add_(noise.mul_(images > RIM))


def compress_some(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Apply JPEG quantisation to some of the images, at a quality of 20 to 90."""
    which = draws.chosen(probability)
    quality, top, left = draws.rand(3)[which].unbind(1)
    if not len(which):
        return images
    own = images[which]
    quality = QUALITY[0] + (QUALITY[1] - QUALITY[0]) * quality.to(images.device)
    shifts = torch.stack([top, left], 1).mul(BLOCK).long().tolist()
    return replace(images, which, quantise(own, quality, shifts) * grow(own > RIM))


def grow(mask: Tensor) -> Tensor:
    """Return masks (n, H, W) dilated by two pixels: pixels further out are set to background again."""
    height, width = mask.shape[1:]
    mask = F.pad(mask, (2, 2, 2, 2))
    tall = torch.stack([mask[:, shift : shift + height] for shift in range(5)]).amax(0)
    return torch.stack([tall[:, :, shift : shift + width] for shift in range(5)]).amax(0)


def quantise(images: Tensor, quality: Tensor, shifts: list[list[int]]) -> Tensor:
    """Return images, (n, H, W), after the quantised discrete cosine transform of a JPEG file and back.

    Args:
        images: (n, H, W) float in 0..1.
        quality: (n,) 1 to 100.
        shifts: (down, right) offset of each image from the grid of blocks, less than a block.
    """
    height, width = images.shape[1:]
    tall, wide = (math.ceil((side + BLOCK) / BLOCK) for side in (height, width))
    padded = images.new_zeros(len(images), tall * BLOCK, wide * BLOCK)
    for to, image, (down, right) in zip(padded, images, shifts, strict=True):
        to[down : down + height, right : right + width] = image
    place, order = torch.arange(BLOCK, device=images.device), torch.arange(FREQUENCIES, device=images.device)
    waves = torch.cos(math.pi / BLOCK * (place + 0.5) * order[:, None]) * math.sqrt(2 / BLOCK)
    waves[0] /= math.sqrt(2)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    table = ((torch.tensor(LUMINANCE, device=images.device) * percent + 50) / 100).floor().clamp(1, 255)
    table = (table * (BLOCK / FREQUENCIES / 255)).transpose(1, 2)[:, None, None]
    # Rows of the blocks, then columns: (n, tall, BLOCK, wide, BLOCK) -> (n, tall, wide, FREQUENCIES, FREQUENCIES) and back.
    blocks = F.linear(padded.view(-1, tall, BLOCK, wide, BLOCK), waves).permute(0, 1, 3, 4, 2)
    kept = (F.linear(blocks, waves) / table).round() * table
    rows = F.linear(kept, waves.T).permute(0, 1, 4, 2, 3)
    back = F.linear(rows, waves.T).reshape(padded.shape)
    return torch.stack([image[d : d + height, r : r + width] for image, (d, r) in zip(back, shifts, strict=True)])


def cross(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Put a bright stripe across some of the images, and darken the whole so that the maximum stays the same."""
    chosen, angle, place, thick, gain = draws.rand(1, 1, rows=5)
    which = (chosen[:, 0, 0] < probability).nonzero()[:, 0]
    if not len(which):
        return images
    angle, place, thick, gain = angle[which], place[which], thick[which], gain[which]
    own, (height, width) = images[which], images.shape[1:]
    angle = (angle - 0.5) * math.pi
    rows = torch.arange(height).view(1, -1, 1) - height * (0.2 + 0.6 * place)
    columns = torch.arange(width).view(1, 1, -1) - width / 2
    distance = (rows * torch.cos(angle) + columns * torch.sin(angle)).abs()
    stripe = 1 + (distance < height * (0.04 + 0.08 * thick)).float() * (0.3 + 0.7 * gain)
    crossed = own * stripe.to(images.device)
    crossed = crossed * (own.amax((1, 2), keepdim=True) / crossed.amax((1, 2), keepdim=True).clamp_min(1e-6))
    return replace(images, which, crossed)


def erase(images: Tensor, draws: Draws, probability: float) -> Tensor:
    """Blank a random box of up to a fifth of each side in some of the images."""
    chosen, top, left, tall, wide = draws.rand(1, 1, rows=5)
    which = (chosen[:, 0, 0] < probability).nonzero()[:, 0]
    top, left, tall, wide = top[which], left[which], tall[which], wide[which]
    height, width = images.shape[1:]
    rows = torch.arange(height).view(1, -1, 1) / height
    columns = torch.arange(width).view(1, 1, -1) / width
    inside = (rows >= top) & (rows < top + tall / 5) & (columns >= left) & (columns < left + wide / 5)
    return replace(images, which, images[which] * (~inside).float().to(images.device))
