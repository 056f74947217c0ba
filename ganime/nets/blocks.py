"""Modules for the blocks of an imported generator: `ganime.config.Block` as layers of torch."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ganime.config import Block

MAKERS: dict[str, Callable[[Block], nn.Module]] = {
    "relu": lambda block: nn.ReLU(),
    "leaky-relu": lambda block: nn.LeakyReLU(block.slope),
    "elu": lambda block: nn.ELU(block.slope),
    "selu": lambda block: nn.SELU(),
    "gelu": lambda block: nn.GELU(),
    "gelu-tanh": lambda block: nn.GELU("tanh"),
    "silu": lambda block: nn.SiLU(),
    "tanh": lambda block: nn.Tanh(),
    "sigmoid": lambda block: nn.Sigmoid(),
    "softplus": lambda block: nn.Softplus(),
    "mish": lambda block: nn.Mish(),
    "relu6": lambda block: nn.ReLU6(),
    "hard-swish": lambda block: nn.Hardswish(),
}


class Enlarged(nn.Module):
    """The map at twice the side."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.resize = functools.partial(F.interpolate, scale_factor=2.0, mode=mode)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)"""
        return self.resize(x)


class Projection(nn.Module):
    """A linear layer from a latent to a map: (B, Z, 1, 1) -> (B, C, K, K), with a bias for each number of the map."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        numbers = block.outputs * block.kernel**2
        self.linear = nn.Linear(block.inputs, numbers, bias=block.bias)
        self.shape = (block.outputs, block.kernel, block.kernel)
        nn.init.normal_(self.linear.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)).unflatten(1, self.shape)  # (B, C, K, K)


class NumberNorm(nn.BatchNorm1d):
    """BatchNorm of each number of a map by itself, as behind a linear layer: (B, C, K, K), unchanged in shape."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1)).view_as(input)


def make_block(block: Block, with_activation: bool = True) -> nn.Sequential:
    """The layers of a block in order. with_activation: False leaves its activation to the caller."""
    layers: list[nn.Module] = [Enlarged(block.enlarge)] if block.enlarge != "none" else []
    layers.append(make_weight(block))
    behind: list[nn.Module] = []
    if block.norm == "batch":
        behind.append(nn.BatchNorm2d(block.outputs, block.eps))
    elif block.norm == "batch-1d":
        behind.append(NumberNorm(block.outputs * block.kernel**2, block.eps))
    elif block.norm == "instance":
        behind.append(nn.InstanceNorm2d(block.outputs, block.eps, affine=True))
    if with_activation and block.activation != "none":
        behind.insert(0 if block.activation_first else len(behind), MAKERS[block.activation](block))
    return nn.Sequential(*layers, *behind)


def make_weight(block: Block) -> nn.Module:
    """The layer of a block that has the weight, drawn from N(0, 0.02)."""
    if block.kind == "linear":
        return Projection(block)
    kind = nn.ConvTranspose2d if block.kind == "transposed" else nn.Conv2d
    layer = kind(block.inputs, block.outputs, block.kernel, block.stride, block.padding, bias=block.bias)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    return layer


def activate(block: Block, x: Tensor) -> Tensor:
    """What the activation of a block makes of a map."""
    return x if block.activation == "none" else MAKERS[block.activation](block)(x)


def weight_of(layers: nn.Sequential) -> nn.Module:
    """The layer of a block that has the weight: Linear, Conv2d or ConvTranspose2d."""
    inner = [layer.linear if isinstance(layer, Projection) else layer for layer in layers]
    return next(layer for layer in inner if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d))
