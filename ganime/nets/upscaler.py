"""Real-CUGAN, a network that enlarges anime drawings four times and draws their lines anew.

Two U-Nets in a row, with squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507), after waifu2x; published by
bilibili (https://github.com/bilibili/ailab, Real-CUGAN). None of its convolutions pads, so the picture is padded first.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganime.embedded import UPSCALER
from ganime.files import load_tensors
from ganime.shapes import Float

SCALE = 4
PADDING = 19  # px on each side, which the convolutions use up
LEAST_SIDE = PADDING + 1  # px; reflection needs one more than it adds


class Upscaler(nn.Module):
    """A picture (B, 3, H, W) in [0, 1] -> (B, 3, 4H, 4W), of which some values lie just outside [0, 1].

    H and W are even and at least 20. The layers are in the order in which the published weights list them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = FirstUNet(), SecondUNet()
        self.last = nn.Conv2d(64, 3 * 4, 3)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h4 w4"]:
        x = F.pad(pictures, (PADDING,) * 4, mode="reflect")  # (B, 3, H + 38, W + 38)
        x = self.first(x)  # (B, 64, 2H + 44, 2W + 44)
        x = self.second(x) + cropped(x, 20)  # (B, 64, 2H + 4, 2W + 4)
        x = cropped(self.last(x), 1)  # (B, 12, 2H, 2W)
        return F.pixel_shuffle(x, 2) + F.interpolate(pictures, scale_factor=SCALE, mode="nearest")  # (B, 3, 4H, 4W)


class FirstUNet(nn.Module):
    """(B, 3, H, W) -> (B, 64, 2H - 32, 2W - 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = convolutions(3, 32, 64)
        self.down = halving(64)
        self.middle = convolutions(64, 128, 64, excite=True)
        self.up = doubling(64)
        self.leave = nn.Sequential(nn.Conv2d(64, 64, 3), activation())
        self.enlarge = nn.ConvTranspose2d(64, 64, 4, stride=2, padding=3)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 64 h2 w2"]:
        x = self.enter(x)  # (B, 64, H - 4, W - 4)
        inner = self.up(self.middle(self.down(x)))  # (B, 64, H - 12, W - 12)
        return self.enlarge(self.leave(cropped(x, 4) + inner))  # (B, 64, 2H - 32, 2W - 32)


class SecondUNet(nn.Module):
    """(B, 64, H, W) -> (B, 64, H - 40, W - 40)."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = convolutions(64, 32, 64)
        self.down = halving(64)
        self.inner_enter = convolutions(64, 64, 128, excite=True)
        self.inner_down = halving(128)
        self.middle = convolutions(128, 256, 128, excite=True)
        self.inner_up = doubling(128)
        self.inner_leave = convolutions(128, 64, 64, excite=True)
        self.up = doubling(64)
        self.leave = nn.Sequential(nn.Conv2d(64, 64, 3), activation())
        self.last = nn.Conv2d(64, 64, 3)

    def forward(self, x: Float[Tensor, "b 64 h w"]) -> Float[Tensor, "b 64 h2 w2"]:
        x = self.enter(x)  # (B, 64, H - 4, W - 4)
        inner = self.inner_enter(self.down(x))  # (B, 128, H / 2 - 6, W / 2 - 6)
        innermost = self.inner_up(self.middle(self.inner_down(inner)))  # (B, 128, H / 2 - 14, W / 2 - 14)
        inner = self.up(self.inner_leave(cropped(inner, 4) + innermost))  # (B, 64, H - 36, W - 36)
        return self.last(self.leave(cropped(x, 16) + inner))  # (B, 64, H - 40, W - 40)


class Excitation(nn.Module):
    """Squeeze-and-excitation: weighs each channel by what the means of all channels say; the shape stays."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 8)
        self.excite = nn.Linear(channels // 8, channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))  # (B, C)
        return x * weights[:, :, None, None]


def convolutions(inputs: int, inner: int, outputs: int, excite: bool = False) -> nn.Sequential:
    """Two 3x3 convolutions without padding: (B, inputs, H, W) -> (B, outputs, H - 4, W - 4)."""
    layers = [nn.Conv2d(inputs, inner, 3), activation(), nn.Conv2d(inner, outputs, 3), activation()]
    return nn.Sequential(*layers, Excitation(outputs)) if excite else nn.Sequential(*layers)


def halving(channels: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, C, H / 2, W / 2)."""
    return nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2), activation())


def doubling(channels: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, C, 2H, 2W)."""
    return nn.Sequential(nn.ConvTranspose2d(channels, channels, 2, stride=2), activation())


def activation() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.1, inplace=True)


def cropped(x: Float[Tensor, "b c h w"], margin: int) -> Float[Tensor, "b c h2 w2"]:
    """The map without `margin` points on each side: (B, C, H, W) -> (B, C, H - 2 margin, W - 2 margin)."""
    return x[..., margin:-margin, margin:-margin]


def load_upscaler(path: Path = UPSCALER) -> Upscaler:
    """The network in fp32, channels-last, for inference only.

    Raises CheckpointError, which names the file, when it is missing or does not fit.
    """
    net = Upscaler()
    net.load_state_dict(load_tensors(path, net.state_dict()))
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
