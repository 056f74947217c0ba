"""Differentiable augmentation (Zhao et al. 2020): the same random views for real and fake, open to gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Generator as RandomSource
    from torch import Tensor


def diff_augment(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Colour jitter and translation of up to an eighth of the side, drawn anew for each picture.

    images: any range, usually [-1, 1]; random: the CPU source that everything is drawn from.
    """
    return translate(jitter_color(images, random), random)


def jitter_color(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Brightness by [-0.5, 0.5], saturation by a factor in [0, 2], contrast by a factor in [0.5, 1.5]."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, generator=random).to(images)
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)  # (B, 1, H, W)
    images = grey + (images - grey) * (saturation * 2)
    mean = images.mean((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
    return mean + (images - mean) * (contrast + 0.5)


def translate(images: Float[Tensor, "b c h w"], random: RandomSource) -> Float[Tensor, "b c h w"]:
    """Shift each picture by its own whole number of pixels; what enters at the border is 0 (grey)."""
    side = images.shape[-1]
    reach = max(1, side // 8)
    shifts = torch.randint(-reach, reach + 1, (2, len(images)), generator=random).to(images.device)  # (2, B)
    padded = F.pad(images, [reach] * 4)  # (B, C, H + 2R, W + 2R)
    line = torch.arange(side, device=images.device) + reach
    rows = (line + shifts[0, :, None])[:, None, :, None]  # (B, 1, H, 1)
    columns = (line + shifts[1, :, None])[:, None, None, :]  # (B, 1, 1, W)
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=images.device)[None, :, None, None]
    return padded[batch, channel, rows, columns]  # (B, C, H, W)
