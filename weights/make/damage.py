"""Artificial damage and augmentation of faces, from which the feature network learns to detect poor drawing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator as RandomSource
from torch import Tensor

from ganime.shapes import Float, Int

DAMAGES = ("none", "blur", "checkerboard", "smear", "warp", "tear", "coarse", "mixture")


def damaged_batch(
    faces: Float[Tensor, "b 3 side side"], random: RandomSource
) -> tuple[Float[Tensor, "b 3 side side"], Int[Tensor, " b"]]:
    """Augment faces and damage the first quarter of them.

    Returns the faces, and for each its kind of damage, (B,), 0 for none; see `damage`.
    """
    count = len(faces) // 4
    kinds = torch.zeros(len(faces), dtype=torch.long)
    kinds[:count] = torch.randint(1, len(DAMAGES), (count,), generator=random)
    faces = augment(faces, random)
    faces[:count] = damage(faces[:count], kinds[:count], 0.2 + 0.8 * torch.rand(count, generator=random), random)
    return add_faint_noise(faces, random).contiguous(memory_format=torch.channels_last), kinds


def damage(
    images: Float[Tensor, "b 3 side side"],
    kinds: Int[Tensor, " b"],
    strength: Float[Tensor, " b"],
    random: RandomSource,
) -> Float[Tensor, "b 3 side side"]:
    """Damage each picture in one way, with typical faults of poor generators.

    images: in [-1, 1].
    kinds: (B,), index in `DAMAGES`: 0 changes nothing, 1 blurs, 2 adds a checkerboard, 3 smears parts, 4 warps, 5 tears
        the picture into shifted squares, 6 makes its pixels coarse, 7 inserts parts of the next picture.
    strength: (B,), from 0, little or no damage, to 1, clearly visible.
    random: the CPU generator of all random numbers.
    """
    (count, side), amount = (len(images), images.shape[-1]), strength.view(-1, 1, 1, 1)
    is_kind = [(kinds == kind).view(-1, 1, 1, 1) for kind in range(len(DAMAGES))]
    blurred = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, 1)
    out = torch.where(is_kind[1], torch.lerp(images, blurred, amount), images)
    period = 2 * torch.randint(
        1, 3, (count, 1, 1), generator=random
    )  # 2 or 4 px, like artefacts of strided convolutions
    line = torch.arange(side)
    board = ((line[:, None] * 2 // period + line * 2 // period) % 2 * 2 - 1).view(count, 1, side, side)
    out = torch.where(is_kind[2], images + 0.25 * amount * board, out)
    parts = F.interpolate(torch.randn(count, 1, 4, 4, generator=random), (side, side), mode="bicubic")
    inside = parts > 1 - amount
    flat = F.interpolate(F.avg_pool2d(images, 16), (side, side), mode="bilinear")
    out = torch.where(is_kind[3] & inside, flat, out)
    shifts = 0.16 * torch.randn(count, 2, 8, 8, generator=random) * amount  # in halves of the side
    smooth = F.interpolate(shifts, (side, side), mode="bicubic")
    squares = F.interpolate(shifts, (side, side), mode="nearest")
    moved = torch.where(is_kind[4], smooth, squares).permute(0, 2, 3, 1)  # (B, S, S, 2)
    grid = F.affine_grid(torch.eye(2, 3).expand(count, 2, 3), [count, 3, side, side], align_corners=False)
    warped = F.grid_sample(images, grid + moved, mode="bilinear", padding_mode="border", align_corners=False)
    out = torch.where(is_kind[4] | is_kind[5], warped, out)
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2.0, mode="nearest")
    out = torch.where(is_kind[6], torch.lerp(images, coarse, amount), out)
    out = torch.where(is_kind[7] & inside, images.roll(1, 0), out)
    return out.clamp(-1, 1)


def augment(images: Float[Tensor, "b 3 side side"], random: RandomSource) -> Float[Tensor, "b 3 side side"]:
    """Mirror half of the pictures and shift each by up to 4 px. Colours do not change: hair and eyes are labels."""
    count, side = len(images), images.shape[-1]
    sign = torch.randint(0, 2, (count,), generator=random) * 2.0 - 1
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sign, 1
    theta[:, :, 2] = (
        torch.randint(-4, 5, (count, 2), generator=random) * 2 / side
    )  # whole pixels, so nothing is blurred
    grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", padding_mode="reflection", align_corners=False)


def add_faint_noise(images: Float[Tensor, "b 3 side side"], random: RandomSource) -> Float[Tensor, "b 3 side side"]:
    """Add random blur and noise, too faint to see, so that the features do not depend on them."""
    count = (len(images), 1, 1, 1)
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    images = torch.lerp(images, blurred, 0.4 * torch.rand(count, generator=random))
    return images + 0.05 * torch.rand(count, generator=random) * torch.randn(images.shape, generator=random)
