"""Adversarial losses as in their papers: pure functions of the discriminator's logits, shape (B,)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def discriminator_loss(kind: str, real: Float[Tensor, " b"], fake: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """The loss the discriminator descends, averaged over the batch.

    "bce": -log D(x) - log(1 - D(G(z))), Goodfellow et al. 2014.
    "hinge": max(0, 1 - D(x)) + max(0, 1 + D(G(z))), Lim & Ye 2017.
    "relativistic": softplus(D(G(z)) - D(x)) on pairs, Jolicoeur-Martineau 2018.
    """
    if kind == "bce":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    if kind == "relativistic":
        return F.softplus(fake - real).mean()
    raise ValueError(f"unknown loss {kind!r}")


def generator_loss(kind: str, real: Float[Tensor, " b"], fake: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """The loss the generator descends, averaged over the batch; `real` matters to "relativistic" alone.

    "bce": -log D(G(z)), the non-saturating form. "hinge": -D(G(z)). "relativistic": softplus(D(x) - D(G(z))).
    """
    if kind == "bce":
        return F.softplus(-fake).mean()
    if kind == "hinge":
        return -fake.mean()
    if kind == "relativistic":
        return F.softplus(real - fake).mean()
    raise ValueError(f"unknown loss {kind!r}")


def gradient_penalty(logits: Float[Tensor, " b"], images: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean squared norm of the logits' gradient in the images: R1 on real ones, R2 on fakes (Mescheder et al. 2018).

    `images` must require grad and `logits` must come from them; the result can be differentiated again.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)  # (B, C, H, W)
    return gradient.square().flatten(1).sum(1).mean()


def penalties(
    discriminator: Callable[[Tensor], Tensor],
    r1: float,
    r2: float,
    real: Float[Tensor, "b c h w"],
    fake: Float[Tensor, "b c h w"],
) -> Float[Tensor, ""]:
    """R1 on real pictures and R2 on fakes, half as strong as told, as in the paper (Mescheder et al. 2018); in fp32."""
    total = real.new_zeros(())
    for weight, images in ((r1, real), (r2, fake)):
        if weight:
            images = images.detach().float().requires_grad_(True)  # (B, 3, S, S)
            total = total + weight / 2 * gradient_penalty(discriminator(images), images)
    return total


def weighted(weights: Sequence[float], losses: Sequence[Tensor]) -> Tensor:
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()
