"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) as a frozen feature network for pictures of any size."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from ganime.files import WEIGHTS_FILE, load_tensors
from ganime.shapes import Float

FIRST_CHANNELS = 32  # channels of the first convolution
STAGES = (  # at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side: groups of bottlenecks (table 2 of the paper)
    ((1, 16, 1, 1),),  # of a group: expansion factor, output channels, number of bottlenecks, stride of the first
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)
MOBILENET_WIDTHS = tuple(stage[-1][1] for stage in STAGES)  # output channels of the stages: 16, 24, 32, 96 and 320


class MobileNet(nn.Module):
    """Pictures -> maps at five depths. BatchNorm is folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Convolution(3, FIRST_CHANNELS, 3, 2)
        stages, width = [], FIRST_CHANNELS
        for stage in STAGES:
            layers = []
            for widening, outputs, count, stride in stage:
                for number in range(count):
                    layers.append(Bottleneck(width, outputs, widening, stride if number == 0 else 1))
                    width = outputs
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c h2 w2"]]:
        """Maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side, for pictures in [-1, 1] whose side is a multiple of 32."""
        x = self.first(images / 2 + 0.5)  # (B, 32, H / 2, W / 2); it was trained on pictures in [0, 1]
        maps = []
        for stage in self.stages:
            x = stage(x)  # (B, width, H / 2^(depth + 1), ...)
            maps.append(x)
        return maps


class Bottleneck(nn.Module):
    """Inverted residual: expand, depthwise convolution, project; (B, C, H, W) -> (B, C', H / s, W / s).

    The input is added to the output if both have the same shape.
    """

    def __init__(self, inputs: int, outputs: int, widening: int, stride: int) -> None:
        super().__init__()
        inner = inputs * widening
        self.adds = stride == 1 and inputs == outputs
        self.widen = Convolution(inputs, inner, 1) if widening > 1 else nn.Identity()
        self.look = Convolution(inner, inner, 3, stride, groups=inner)
        self.narrow = nn.Conv2d(inner, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k g f"]:
        y = self.narrow(self.look(self.widen(x)))  # (B, C * widening, H, W) -> (B, C', H / s, W / s)
        return x + y if self.adds else y


class Convolution(nn.Conv2d):
    """Convolution and ReLU6, padded as in TensorFlow: with a stride of 2, only below and to the right."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride, 0 if stride > 1 else side // 2, groups=groups)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k g f"]:
        x = F.pad(input, (0, 1, 0, 1)) if self.stride[0] > 1 else input
        return F.relu6(super().forward(x), inplace=True)


def load_mobilenet(folder: Path) -> MobileNet:
    """Read a MobileNet, in fp32. Raises CheckpointError, naming the file, when it is missing or does not fit."""
    net = MobileNet()
    net.load_state_dict(load_tensors(folder / WEIGHTS_FILE, net.state_dict()))
    return net
