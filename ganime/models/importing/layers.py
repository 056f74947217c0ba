"""A layer read from a weight file: its block, its numbers, and how it computes before it is part of a network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ganime.config import Block
from ganime.nets.blocks import activate

STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class ReadLayer:
    """A layer of a foreign generator.

    name: in the file.
    block: what it is; where the file does not say so, the activation, eps and enlargement are guesses until
        `fitting.fit` has compared them.
    weight: (numbers, inputs) of a linear layer, channels first; else as torch has it.
    bias: None without one.
    norm: weight and bias of the norm, and its running statistics if it has some; empty without a norm.
    """

    name: str
    block: Block
    weight: Tensor
    bias: Tensor | None = None
    norm: dict[str, Tensor] = field(default_factory=dict)

    def changed(self, **changes: object) -> ReadLayer:
        """The layer with fields of its block changed."""
        return replace(self, block=replace(self.block, **changes))  # pyright: ignore[reportArgumentType]

    @property
    def measured(self) -> bool:
        """Whether its norm tells what arrives at it."""
        return "running_var" in self.norm

    def weighted(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W'): the map at twice the side where the block says so, through the weight."""
        block = self.block
        if block.enlarge != "none":
            x = F.interpolate(x, scale_factor=2.0, mode=block.enlarge)
        if block.kind == "linear":
            return F.linear(x.flatten(1), self.weight, self.bias).unflatten(1, (-1, block.kernel, block.kernel))
        if block.kind == "transposed":
            return F.conv_transpose2d(x, self.weight, self.bias, block.stride, block.padding)
        return F.conv2d(x, self.weight, self.bias, block.stride, block.padding)

    def normed(self, x: Tensor) -> Tensor:
        """(B, C, H, W), as the norm leaves it."""
        if self.block.norm == "none":
            return x
        if self.block.norm == "instance":
            return F.instance_norm(x, weight=self.norm["weight"], bias=self.norm["bias"], eps=self.block.eps)
        shape = x.shape
        x = x.flatten(1) if self.block.norm == "batch-1d" else x
        mean, variance = (self.norm[name] for name in STATISTICS)
        x = F.batch_norm(x, mean, variance, self.norm["weight"], self.norm["bias"], eps=self.block.eps)
        return x.view(shape)

    def behind(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the weight, as it leaves the layer: through norm and activation in their order."""
        if self.block.activation_first:
            return self.normed(activate(self.block, x))
        return activate(self.block, self.normed(x))

    def mismatch(self, x: Tensor) -> float:
        """How far the statistics of what arrives at the norm, (B, C, H, W), are from those that are stored.

        The root mean square over channels of the difference of means, in standard deviations, and of the logarithm of
        the ratio of standard deviations: 0 for the same, 0.7 where each is off by half.
        """
        x = x.flatten(1)[..., None] if self.block.norm == "batch-1d" else x.flatten(2)
        mean, variance = x.mean((0, 2)), x.var((0, 2))
        stored_mean, stored = (self.norm[name] for name in STATISTICS)
        floor = 1e-3 * stored.mean() + 1e-12  # channels that hardly vary tell little
        shift = (mean - stored_mean).square() / (stored + floor)
        ratio = (0.5 * torch.log((variance + floor) / (stored + floor))).square()
        return float((shift.clamp(max=4) + ratio.clamp(max=4)).mean().sqrt())


def symmetric(weight: Tensor, before: int, after: int) -> tuple[Tensor, int]:
    """A kernel (a, b, K, K) and its padding, where `before` and `after` rows are cut off or added at the two ends.

    Zeros are added to the kernel at one end until both numbers are the same, which changes no picture. So a transposed
    convolution of 5x5 and stride 2 becomes one of 6x6: PyTorch crops it by 2 and 1 (output_padding 1), TensorFlow by 1
    and 2.
    """
    padding = max(before, after, 0)
    first, last = padding - before, padding - after
    return F.pad(weight, (first, last, first, last)), padding
