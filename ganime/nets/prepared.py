"""A generator prepared once for fast drawing: the same pictures from fewer and better-shaped operations."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ganime.nets.dcgan import Generator, downsample, subsample_chroma

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


LEAST_ROWS = 4  # of a matrix product; products of fewer are computed in another order, with other last bits
# Of a 4x4 transposed convolution of stride 2: padding, padding of the output, stride, dilation, groups.
GEOMETRY = ([1, 1], [0, 0], [2, 2], [1, 1], 1)


class PreparedGenerator:
    """Draws what `generator` draws, up to rounding: the pictures differ by less than 0.01 of 255 levels.

    On one core a latent gives the same picture, bit for bit, in any batch.

    Each BatchNorm is folded into the weights before it, the first layer is a matrix product, and all maps are
    channels-last. On a CPU, the weights of transposed convolutions are laid out once as oneDNN needs them. They are
    copied in fp32, so training the generator later does not change them; there are no gradients. The generator must be
    in eval mode, for BatchNorm's running statistics are what is folded. Of an imported generator with blocks of its
    own, a copy draws.
    """

    def __init__(self, generator: Generator) -> None:
        if generator.training:
            raise ValueError("A generator is prepared in eval mode; call generator.eval() first.")
        self.config = generator.config
        self.copy = None
        if generator.config.blocks:
            self.copy = copy.deepcopy(generator).requires_grad_(False)
            return
        weight, bias = folded(generator.stem)  # (Z, C, 4, 4), (C,)
        self.stem_channels = weight.shape[1]
        self.stem_weight = weight.permute(0, 2, 3, 1).flatten(1).contiguous()  # (Z, 16 C), the channels last
        self.stem_bias = bias.repeat(16)  # (16 C,)
        self.blocks = [Doubling(*folded(block), "relu") for block in generator.blocks]  # pyright: ignore[reportArgumentType]
        weight, bias = folded(nn.Sequential(generator.to_rgb))
        doubles = isinstance(generator.to_rgb, nn.ConvTranspose2d)
        self.to_rgb = Doubling(weight, bias, "none") if doubles else SameSize(weight, bias)

    @property
    def device(self) -> torch.device:
        return self.copy.device if self.copy else self.stem_weight.device

    @torch.inference_mode()
    def __call__(self, z: Float[Tensor, "b latent"]) -> Float[Tensor, "b 3 size size"]:
        """Pictures in [-1, 1] for latents from N(0, 1)."""
        if self.copy:
            return self.copy(z)
        x = self.begun(z)  # (B, C, 4, 4)
        for block in self.blocks:
            x = block(x)  # (B, C', 2H, 2W)
        x = torch.tanh(self.to_rgb(x)).contiguous()  # (B, 3, H, W); coarse colours are faster plane by plane
        return downsample(subsample_chroma(x, self.config.chroma_stride), self.config.supersampling)  # (B, 3, S, S)

    @torch.inference_mode()
    def maps(self, z: Float[Tensor, "b latent"], side: int) -> Float[Tensor, "b c h h"]:
        """The first maps of at least `side` px on the way to the pictures, or else the last ones."""
        x = self.copy.stem(z[:, :, None, None]) if self.copy else self.begun(z)
        for block in (self.copy or self).blocks:
            if x.shape[-1] >= side:
                break
            x = block(x)
        return x

    def begun(self, z: Float[Tensor, "b latent"]) -> Float[Tensor, "b c 4 4"]:
        """The first maps, channels-last in memory."""
        rows = F.pad(z, (0, 0, 0, max(0, LEAST_ROWS - len(z))))  # (max(B, 4), Z)
        x = torch.addmm(self.stem_bias, rows, self.stem_weight)[: len(z)].relu_()  # (B, 16 C)
        return x.view(-1, 4, 4, self.stem_channels).permute(0, 3, 1, 2)


class SameSize:
    """A 3x3 convolution of stride 1: (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, weight: Float[Tensor, "c2 c 3 3"], bias: Float[Tensor, " c2"]) -> None:
        self.weight, self.bias = weight.contiguous(memory_format=torch.channels_last), bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, padding=1)


class Doubling:
    """A 4x4 transposed convolution of stride 2: (B, C, H, W) -> (B, C', 2H, 2W).

    activation: "relu" or "none".
    """

    def __init__(self, weight: Float[Tensor, "c c2 4 4"], bias: Float[Tensor, " c2"], activation: str) -> None:
        self.packed, self.bias, self.activation = packed(weight), bias, activation
        self.weight = weight.contiguous(memory_format=torch.channels_last) if self.packed is None else None

    def __call__(self, x: Tensor) -> Tensor:
        if self.packed is not None:
            return doubled(x, self.packed, self.bias, self.activation)
        assert self.weight is not None
        x = F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)
        return x.relu_() if self.activation == "relu" else x


def packed(weight: Float[Tensor, "c c2 4 4"]) -> Tensor | None:
    """The weight laid out for oneDNN, which else does that for every batch; None where there is no oneDNN.

    The operations are those that torch.compile calls. They are private, so a torch without them draws without them.
    """
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    map = weight.new_zeros(1, weight.shape[0], 4, 4)
    try:
        laid_out = torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *GEOMETRY, map.shape)
        doubled(map, laid_out, None, "none")
    except (AttributeError, RuntimeError):
        return None
    return laid_out


def doubled(x: Tensor, laid_out: Tensor, bias: Tensor | None, activation: str) -> Tensor:
    """A map (B, C, H, W) through a weight that `packed` laid out: (B, C', 2H, 2W)."""
    return torch.ops.mkldnn._convolution_transpose_pointwise(x, laid_out, bias, *GEOMETRY, activation, [], "")


@torch.no_grad()
def folded(layer: nn.Sequential) -> tuple[Tensor, Tensor]:
    """The weight and bias of a convolution together with the BatchNorm behind it, if there is one.

    BatchNorm in eval mode is a factor and a shift for each output channel (Ioffe and Szegedy 2015).
    """
    convolution, *rest = layer
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    channels = convolution.out_channels
    weight = convolution.weight.detach().float().clone()  # with spectral norm, the normalised weight
    bias = torch.zeros(channels, device=weight.device) if convolution.bias is None else convolution.bias.float().clone()
    for norm in rest:
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # (C,)
            shape = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
            weight *= factor.view(shape)
            bias = (bias - norm.running_mean) * factor + norm.bias
    return weight, bias
