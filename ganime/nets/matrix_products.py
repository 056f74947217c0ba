"""The nets' deep 4x4 stride-2 convolutions as matrix products, which processors with AMX compute faster in bf16."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.nets.dcgan import Discriminator, Generator
from ganime.shapes import Float

DEEP_LAYERS = 2  # of each net, from the 4x4 map upwards; further out the maps are large, and convolutions faster
LEAST_WEIGHTS = 500_000  # smaller layers stay convolutions

# Convolution, its transpose and the gradient in the weight are one trilinear form read in three ways:
# <down(fine, weight), coarse> = <fine, up(coarse, weight)> = <weight, kernel(fine, coarse)>. So the derivatives of each
# are the two others. fine: (B, C, 2H, 2W), coarse: (B, K, H, W), weight: (K, C, 4, 4).
FINE, COARSE, WEIGHT = range(3)


class Product(torch.autograd.Function):
    """One of the three operands of the form, computed from the two others, which are given in the order above.

    For COARSE it is what nn.Conv2d(C, K, 4, 2, 1) computes, for FINE what nn.ConvTranspose2d(K, C, 4, 2, 1) does. It
    calls itself in backward, so it can be differentiated any number of times.
    """

    @staticmethod
    def forward(ctx: Any, wanted: int, first: Tensor, second: Tensor) -> Tensor:
        ctx.wanted = wanted
        ctx.save_for_backward(first, second)
        return (up, down, kernel)[wanted](first, second).detach()  # not a view, so the next layer may work in place

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        others = [operand for operand in (FINE, COARSE, WEIGHT) if operand != ctx.wanted]
        given = dict(zip(others, ctx.saved_tensors, strict=True)) | {ctx.wanted: grads[0]}
        parts: list[Tensor | None] = [None, None, None]  # none for `wanted`
        for place, operand in enumerate(others, start=1):
            if ctx.needs_input_grad[place]:
                first, second = (given[other] for other in sorted(given) if other != operand)
                parts[place] = Product.apply(operand, first, second)
        return tuple(parts)


def down(fine: Float[Tensor, "b c h2 w2"], weight: Float[Tensor, "k c 4 4"]) -> Float[Tensor, "b k h w"]:
    """The 4x4 stride-2 convolution as a matrix product. Both sides of `fine` must be even."""
    batch, _, height, width = fine.shape
    with torch.autocast(fine.device.type, enabled=False):  # the caller has chosen the precision
        flat = patches(fine) @ rows(weight).T  # (B * H * W, K)
    return flat.view(batch, height // 2, width // 2, -1).permute(0, 3, 1, 2)  # (B, K, H, W), channels-last in memory


def up(coarse: Float[Tensor, "b k h w"], weight: Float[Tensor, "k c 4 4"]) -> Float[Tensor, "b c h2 w2"]:
    """The transpose of `down` in `fine`: every coarse pixel adds its 4x4 patch to the fine picture."""
    batch, _, height, width = coarse.shape
    with torch.autocast(coarse.device.type, enabled=False):
        pixels = coarse.permute(0, 2, 3, 1).reshape(batch * height * width, -1)  # (B * H * W, K)
        added = (pixels @ rows(weight)).view(batch, height, width, 4, 2, -1)  # (B, H, W, 4, 2, 2C), columns in pairs
    padded = added.new_zeros(batch, height + 1, 2, width + 1, added.shape[-1])  # (B, H + 1, 2, W + 1, 2C)
    for row in range(4):
        for pair in range(2):
            padded[:, row // 2 : row // 2 + height, row % 2, pair : pair + width] += added[:, :, :, row, pair]
    padded = padded.view(batch, 2 * height + 2, 2 * width + 2, -1)  # (B, 2H + 2, 2W + 2, C)
    return padded[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)  # (B, C, 2H, 2W), channels-last in memory


def kernel(fine: Float[Tensor, "b c h2 w2"], coarse: Float[Tensor, "b k h w"]) -> Float[Tensor, "k c 4 4"]:
    """The gradient of <down(fine, weight), coarse> in `weight`, summed over the batch."""
    coarse_channels, channels = coarse.shape[1], fine.shape[1]
    with torch.autocast(fine.device.type, enabled=False):
        pixels = coarse.permute(0, 2, 3, 1).reshape(-1, coarse_channels)  # (B * H * W, K)
        flat = pixels.T @ patches(fine)  # (K, 16C)
    return flat.view(coarse_channels, 4, 4, channels).permute(0, 3, 1, 2)  # (K, C, 4, 4), channels-last in memory


def patches(fine: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "rows c16"]:
    """The 4x4 patch under each coarse pixel as a row, channels innermost: (B * H * W, 16C)."""
    padded = F.pad(fine.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, 2H + 2, 2W + 2, C)
    windows = padded.unfold(1, 4, 2).unfold(2, 4, 2)  # (B, H, W, C, 4, 4), a view
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 16 * fine.shape[1])


def rows(weight: Float[Tensor, "k c 4 4"]) -> Float[Tensor, "k c16"]:
    """A weight as a matrix whose rows are ordered like those of `patches`; a view if the weight is channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)  # (K, 16C)


def deep_layers(net: Generator | Discriminator) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """The strided convolutions of a net that are worth a matrix product, the one at the 4x4 map first."""
    layers = [block[0] for block in net.blocks.children() if isinstance(block, nn.Sequential)]
    layers = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    layers = [layer for layer in layers if (layer.kernel_size, layer.stride, layer.padding) == ((4, 4), (2, 2), (1, 1))]
    deepest_first = layers if isinstance(net, Generator) else layers[::-1]
    deepest = deepest_first[:DEEP_LAYERS]  # reading a spectral weight would change it, so its size is computed
    return [layer for layer in deepest if 16 * layer.in_channels * layer.out_channels >= LEAST_WEIGHTS]


def use_products(net: Generator | Discriminator) -> None:
    """Compute the net's deep layers, and their derivatives of any order, as matrix products from now on.

    The results differ from those of convolutions by rounding alone. Parameters, buffers, their names and what a
    checkpoint contains stay the same; autocast is honoured.
    """
    for layer in deep_layers(net):
        vars(layer)["forward"] = functools.partial(multiply, layer)


def multiply(layer: nn.Conv2d | nn.ConvTranspose2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k g f"]:
    """The output of the layer, computed as a matrix product."""
    weight, bias, device = layer.weight, layer.bias, x.device.type  # spectral norm computes the weight at each access
    if torch.is_autocast_enabled(device):
        x, weight = (tensor.to(torch.get_autocast_dtype(device)) for tensor in (x, weight))
    wanted = FINE if isinstance(layer, nn.ConvTranspose2d) else COARSE
    y = Product.apply(wanted, x, weight)  # (B, K, H / 2, W / 2), or upwards (B, C, 2H, 2W)
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]
