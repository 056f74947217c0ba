"""Adversarial losses as in their papers: pure functions of the discriminator's logits."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ganime.shapes import Float


def discriminator_loss(kind: str, real: Float[Tensor, " *n"], fake: Float[Tensor, " *n"]) -> Float[Tensor, ""]:
    """The loss that the discriminator minimises, averaged over all logits.

    "bce": -log D(x) - log(1 - D(G(z))), Goodfellow et al. 2014.
    "hinge": max(0, 1 - D(x)) + max(0, 1 + D(G(z))), Lim & Ye 2017.

    Raises ValueError for another `kind`.
    """
    if kind == "bce":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if kind == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    raise ValueError(f"unknown loss {kind!r}")


def generator_loss(kind: str, fake: Float[Tensor, " *n"]) -> Float[Tensor, ""]:
    """The loss that the generator minimises, averaged over all logits.

    "bce": -log D(G(z)), the non-saturating form of Goodfellow et al. 2014. "hinge": -D(G(z)), Lim & Ye 2017.

    Raises ValueError for another `kind`.
    """
    if kind == "bce":
        return F.softplus(-fake).mean()
    if kind == "hinge":
        return -fake.mean()
    raise ValueError(f"unknown loss {kind!r}")
