"""Differentiable augmentation of real and drawn pictures (Zhao et al. 2020, arXiv:2006.10738)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator as RandomSource
from torch import Tensor

from ganime.shapes import Float


def diff_augment(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Change the colours of each picture at random, then shift it by up to an eighth of its side.

    images: (B, C, H, W), usually in [-1, 1]; the result can exceed that range. Gradients pass through.
    random: the CPU generator of all random numbers.
    """
    return translate(jitter_color(images, random), random)


def jitter_color(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Add a brightness in [-0.5, 0.5], scale the saturation by [0, 2] and the contrast by [0.5, 1.5], per picture."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, generator=random).to(images)  # (B, 1, 1, 1)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)  # (B, 1, H, W)
    images = grey + (images - grey) * (saturation * 2)
    mean = images.mean((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Shift each square picture by a random whole number of pixels in both directions; new pixels are 0 (grey)."""
    side = images.shape[-1]
    reach = max(1, side // 8)
    shifts = torch.randint(-reach, reach + 1, (2, len(images)), generator=random).to(images.device)  # (2, B)
    padded = F.pad(images, [reach] * 4)  # (B, C, H + 2R, W + 2R)
    positions = torch.arange(side, device=images.device) + reach  # (side,)
    rows = (positions + shifts[0, :, None])[:, None, :, None]  # (B, 1, H, 1)
    columns = (positions + shifts[1, :, None])[:, None, None, :]  # (B, 1, 1, W)
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[batch, channel, rows, columns]  # (B, C, H, W)
