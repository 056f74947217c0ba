"""The nets' 4x4 stride-2 convolutions as matrix products, for the deep layers where those are the faster form."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import grad as nn_grad

from ganime.config import FORMS
from ganime.nets.dcgan import Discriminator, Generator

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# Convolution, its transpose and the gradient in the weight are one trilinear form read in three ways:
# <down(fine, weight), coarse> = <fine, up(coarse, weight)> = <weight, kernel(coarse, fine)>. So the derivatives of each
# are the two others, and the functions below, which call each other in backward, can be differentiated any number of
# times. fine: (B, C, 2H, 2W), coarse: (B, K, H, W), weight: (K, C, 4, 4).


class Down(torch.autograd.Function):
    """(fine, weight, form) -> coarse, what nn.Conv2d(C, K, 4, 2, 1) computes."""

    @staticmethod
    def forward(ctx: Any, fine: Tensor, weight: Tensor, form: str) -> Tensor:
        ctx.save_for_backward(fine, weight)
        ctx.form = form
        return down(fine, weight, form == "matmul").detach()  # no view, so that what follows may work in place

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor | None, None]:
        (grad,), (fine, weight), needed = grads, ctx.saved_tensors, ctx.needs_input_grad
        in_fine = Up.apply(grad, weight, ctx.form) if needed[0] else None
        in_weight = Kernel.apply(grad, fine, ctx.form) if needed[1] else None
        return in_fine, in_weight, None


class Up(torch.autograd.Function):
    """(coarse, weight, form) -> fine, what nn.ConvTranspose2d(K, C, 4, 2, 1) computes."""

    @staticmethod
    def forward(ctx: Any, coarse: Tensor, weight: Tensor, form: str) -> Tensor:
        ctx.save_for_backward(coarse, weight)
        ctx.form = form
        return up(coarse, weight, form == "matmul").detach()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor | None, None]:
        (grad,), (coarse, weight), needed = grads, ctx.saved_tensors, ctx.needs_input_grad
        in_coarse = Down.apply(grad, weight, ctx.form) if needed[0] else None
        in_weight = Kernel.apply(coarse, grad, ctx.form) if needed[1] else None
        return in_coarse, in_weight, None


class Kernel(torch.autograd.Function):
    """(coarse, fine, form) -> weight, the gradient in the weight of both."""

    @staticmethod
    def forward(ctx: Any, coarse: Tensor, fine: Tensor, form: str) -> Tensor:
        ctx.save_for_backward(coarse, fine)
        ctx.form = form
        return kernel(coarse, fine, form != "convolution")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor | None, None]:
        (grad,), (coarse, fine), needed = grads, ctx.saved_tensors, ctx.needs_input_grad
        in_coarse = Down.apply(fine, grad, ctx.form) if needed[0] else None
        in_fine = Up.apply(coarse, grad, ctx.form) if needed[1] else None
        return in_coarse, in_fine, None


def down(fine: Float[Tensor, "b c h2 w2"], weight: Float[Tensor, "k c 4 4"], product: bool) -> Float[Tensor, "b k h w"]:
    """The 4x4 stride-2 convolution; as a matrix product where `product` says so. Both sides must be even."""
    with torch.autocast(fine.device.type, enabled=False):  # the caller has chosen the precision
        if not product:
            return F.conv2d(fine, weight, None, 2, 1)
        batch, _, height, width = fine.shape
        flat = patches(fine) @ rows(weight).T  # (B * H * W, K)
    return flat.view(batch, height // 2, width // 2, -1).permute(0, 3, 1, 2)  # (B, K, H, W), channels-last in memory


def up(coarse: Float[Tensor, "b k h w"], weight: Float[Tensor, "k c 4 4"], product: bool) -> Float[Tensor, "b c h2 w2"]:
    """The transpose of `down` in `fine`: every coarse pixel adds its 4x4 patch to the fine picture."""
    with torch.autocast(coarse.device.type, enabled=False):
        if not product:
            return F.conv_transpose2d(coarse, weight, None, 2, 1)
        batch, _, height, width = coarse.shape
        pixels = coarse.permute(0, 2, 3, 1).reshape(batch * height * width, -1)  # (B * H * W, K)
        added = (pixels @ rows(weight)).view(batch, height, width, 4, 2, -1)  # (B, H, W, 4, 2, 2C), columns in pairs
    padded = added.new_zeros(batch, height + 1, 2, width + 1, added.shape[-1])  # (B, H + 1, 2, W + 1, 2C)
    for row in range(4):
        for pair in range(2):
            padded[:, row // 2 : row // 2 + height, row % 2, pair : pair + width] += added[:, :, :, row, pair]
    padded = padded.view(batch, 2 * height + 2, 2 * width + 2, -1)  # (B, 2H + 2, 2W + 2, C)
    return padded[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)  # (B, C, 2H, 2W), channels-last in memory


def kernel(
    coarse: Float[Tensor, "b k h w"], fine: Float[Tensor, "b c h2 w2"], product: bool
) -> Float[Tensor, "k c 4 4"]:
    """The gradient of <down(fine, weight), coarse> in `weight`, summed over the batch."""
    coarse_channels, channels = coarse.shape[1], fine.shape[1]
    with torch.autocast(fine.device.type, enabled=False):
        if not product:
            return nn_grad.conv2d_weight(fine, [coarse_channels, channels, 4, 4], coarse, 2, 1)
        pixels = coarse.permute(0, 2, 3, 1).reshape(-1, coarse_channels)  # (B * H * W, K)
        flat = pixels.T @ patches(fine)  # (K, 16C)
    return flat.view(coarse_channels, 4, 4, channels).permute(0, 3, 1, 2)  # (K, C, 4, 4), channels-last in memory


def patches(fine: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "rows c16"]:
    """The 4x4 patch that each coarse pixel sees, one a row, its channels innermost: (B * H * W, 16C)."""
    padded = F.pad(fine.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (B, 2H + 2, 2W + 2, C)
    seen = padded.unfold(1, 4, 2).unfold(2, 4, 2)  # (B, H, W, C, 4, 4), a view
    return seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, 16 * fine.shape[1])


def rows(weight: Float[Tensor, "k c 4 4"]) -> Float[Tensor, "k c16"]:
    """A weight as a matrix whose rows are ordered like `patches`; a view when it is channels-last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)  # (K, 16C)


def deep_layers(net: Generator | Discriminator) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    """The strided convolutions of a net's blocks, the one at the 4x4 map first."""
    layers = [block[0] for block in net.blocks.children() if isinstance(block, nn.Sequential)]
    deepest_first = layers if isinstance(net, Generator) else layers[::-1]
    return [layer for layer in deepest_first if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def use_forms(net: Generator | Discriminator, forms: Sequence[str]) -> None:
    """Let the deep layers compute in the given forms from now on, the deepest first; layers beyond are convolutions.

    "convolution": as built. "gradient": the gradient in the weight is a matrix product. "matmul": the layer and all its
    gradients are. The results differ by rounding alone, derivatives of any order included; parameters, buffers, their
    names and what a checkpoint holds stay the same. Autocast is honoured. Raises ValueError for another form.
    """
    if unknown := sorted(set(forms) - set(FORMS)):
        raise ValueError(f"unknown forms {', '.join(unknown)}; they are {', '.join(FORMS)}")
    layers = deep_layers(net)
    for layer, form in zip(layers, [*forms, *["convolution"] * len(layers)], strict=False):
        vars(layer).pop("forward", None)
        if form != "convolution":
            vars(layer)["forward"] = functools.partial(convolve, layer, form)


def convolve(layer: nn.Conv2d | nn.ConvTranspose2d, form: str, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k g f"]:
    """What the layer computes, in the given form."""
    weight, bias, device = layer.weight, layer.bias, x.device.type  # with spectral norm the weight is made on asking
    if torch.is_autocast_enabled(device):
        x, weight = (tensor.to(torch.get_autocast_dtype(device)) for tensor in (x, weight))
    function = Up if isinstance(layer, nn.ConvTranspose2d) else Down
    y = function.apply(x, weight, form)  # (B, K, H / 2, W / 2), or (B, C, 2H, 2W) upwards
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]
