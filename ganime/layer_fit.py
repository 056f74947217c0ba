"""Layers fitted by least squares to stand in for others, where a model takes another shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from ganime.nets.dcgan import Discriminator, Generator, with_condition

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

FACES = 64  # that a layer is fitted on
RIDGE = 1e-4  # of the mean square of what the layer sees
WHITEST = 0.9995  # the inverse of tanh has no end at 1
FLATTEST = 1e-3  # slope of tanh that still counts


@torch.no_grad()
def fit_first(net: Discriminator, old: Discriminator, generator: Generator) -> None:
    """Give `net`, which has all but two layers of `old`, a first one that sees what they saw in larger pictures."""

    def seen(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        picture = generator(z)  # (1, 3, S, S)
        wanted = old.blocks[0][0](old.from_rgb(F.interpolate(picture, scale_factor=2.0, mode="bilinear")))  # pyright: ignore
        return F.unfold(picture, 4, padding=1, stride=2), wanted.flatten(2), torch.ones_like(wanted.flatten(2)[:, :1])

    solved, bias = fitted(generator, seen)
    norm = torch.linalg.matrix_norm(solved, 2)  # spectral norm divides the weight by it, and the bias belongs to that
    weights = net.state_dict()  # shares its memory with the net
    first = weights["from_rgb.0.parametrizations.weight.original"]
    first.copy_((solved / norm).T.reshape(first.shape))
    weights["from_rgb.0.bias"].copy_(bias / norm)


@torch.no_grad()
def fit_doubled(old: Generator) -> tuple[Float[Tensor, "c 3 4 4"], Float[Tensor, " 3"]]:
    """A transposed convolution, and its bias, that make of the last map of `old` what it draws, magnified bilinearly.

    Each of the four pixels that come of one sees other 2 x 2 pixels of the map.
    """
    draws, biases = torch.zeros(old.config.channels[-1], 3, 4, 4), []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):

        def seen(z: Tensor, down: int = down, right: int = right) -> tuple[Tensor, Tensor, Tensor]:
            x = last_map(old, z)  # (1, C, S, S)
            patches = F.unfold(F.pad(x, (1 - right, right, 1 - down, down)), 2)  # (1, 4C, S * S)
            large = F.interpolate(old.drawn(x), scale_factor=2.0, mode="bilinear")
            return patches, *before_tanh(large[:, :, down::2, right::2])

        solved, bias = fitted(old, seen)
        pixels = solved.view(-1, 2, 2, 3).permute(0, 3, 1, 2)  # (C, 3, 2, 2)
        draws[:, :, 1 - down :: 2, 1 - right :: 2] = pixels.flip(2, 3)  # a transposed convolution's kernel is mirrored
        biases.append(bias)
    return draws, torch.stack(biases).mean(0)


def last_map(generator: Generator, z: Float[Tensor, "1 z"]) -> Float[Tensor, "1 c h w"]:
    """What the last layer sees."""
    return generator.blocks(generator.stem(with_condition(z, None, generator.config.attributes)[:, :, None, None]))


def before_tanh(pictures: Float[Tensor, "1 3 h w"]) -> tuple[Float[Tensor, "1 3 p"], Float[Tensor, "1 1 p"]]:
    """What tanh makes those pictures of, and how much an error in it matters in the picture, squared."""
    wanted = pictures.clamp(-WHITEST, WHITEST).flatten(2)
    return wanted.atanh(), (1 - wanted.square() + FLATTEST).square().mean(1, True)


def fitted(
    generator: Generator, seen: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
) -> tuple[Float[Tensor, "k c"], Float[Tensor, " c"]]:
    """Weights and bias that make of what is seen of a latent (1, K, P) what is wanted (1, C, P), each place mattering
    that much (1, 1, P), by least squares over some latents."""
    square, product = torch.zeros(()), torch.zeros(())
    for z in torch.randn(FACES, 1, generator.config.latent_dim):
        x, wanted, matters = (each[0].double() for each in seen(z))
        x = torch.cat([x, torch.ones_like(x[:1])])  # (K + 1, P)
        square = square + (x * matters) @ x.T  # (K + 1, K + 1)
        product = product + (x * matters) @ wanted.T  # (K + 1, C)
    ridge = RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    solved = torch.linalg.solve(square + ridge, product).float()
    return solved[:-1], solved[-1]
