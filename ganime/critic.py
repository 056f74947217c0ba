"""A second judge for the training: it looks at pictures through the frozen layers of a feature network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganime.features import SIDE, WIDTHS, FeatureNet, activations, load_features
from ganime.files import fitting, read_tensors
from ganime.model import init_weights, with_norm

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CRITIC_FILE = "critic.safetensors"
EYES = Path(__file__).resolve().parent.parent / "weights" / "anime-critic"  # not the network that measures
WIDEST = 256  # channels of a head
STEPS = (0.7548776662466927, 0.5698402909980532)  # of the R2 sequence: places spread evenly, however many there are
SIDES = tuple(SIDE // 2**depth for depth in range(1, len(WIDTHS)))  # of the maps that have a head: 32, 16, 8 and 4 px


class FeatureCritic(nn.Module):
    """Pictures -> a logit for each of four depths: heads that learn, on the maps of a feature network that does not.

    The network sees 64 px: the whole picture, made that small, and of larger ones also a piece of 64 px as it is, which
    other heads judge. The piece is at another place each time.

    The network knows eyes, hair and the marks of poor drawing before the first step, so the generator is told of them
    from the beginning (Projected GANs, Sauer et al. 2021, arXiv:2111.01007). It judges beside the discriminator, not
    in its place (Kumari et al. 2022, arXiv:2112.09130), for what it was not taught it may not see at all. The network
    is another than the one that faces are measured with.

    close: whether it looks at pieces, too. looks: how many it has looked at, from which their places derive.
    """

    looks: Tensor

    def __init__(self, close: bool = False) -> None:
        super().__init__()
        self.eyes = FeatureNet(["unused"], 1).stages.requires_grad_(False)
        self.heads, self.close = new_heads(), new_heads() if close else None
        if close:
            self.register_buffer("looks", torch.zeros((), dtype=torch.int64))
        self.train()

    @classmethod
    def fresh(cls, image_size: int) -> FeatureCritic:
        """With the network that comes with Ganime, and heads that know nothing yet, for pictures of that many px."""
        critic = cls(close=image_size > SIDE)
        critic.eyes.load_state_dict(load_features(EYES).stages.state_dict())
        return critic

    @classmethod
    def load(cls, path: Path) -> FeatureCritic:
        """As a model's file holds it, in eval mode. Raises CheckpointError, naming the file, when it does not fit."""
        tensors = read_tensors(path)
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source: leave it as it was
            critic = cls(close="looks" in tensors)
        critic.load_state_dict(fitting(tensors, critic.state_dict(), path))
        return critic.eval()

    @property
    def views(self) -> int:
        """How many pictures it sees of each: the whole one, and a piece where it looks closely."""
        return 2 if self.close else 1

    def train(self, mode: bool = True) -> FeatureCritic:
        """Only the heads ever are in training mode."""
        super().train(mode)
        self.eyes.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b logits"]:
        """Four logits a picture and view, positive for real; pictures in [-1, 1], not below 64 px to look closely."""
        logits = self.judge(self.heads, images)
        return logits if self.close is None else torch.cat([logits, self.judge(self.close, self.pieces(images))], 1)

    def judge(self, heads: nn.ModuleList, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 4"]:
        maps = activations(self.eyes, images)[1:]  # (B, C, side, side) at each depth
        return torch.cat([head(seen) for head, seen in zip(heads, maps, strict=True)], 1)  # (B, 4)

    def pieces(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 64 64"]:
        """Of each picture a piece as it is, at the next place (Roberts 2018, "The unreasonable effectiveness of
        quasirandom sequences")."""
        numbers = int(self.looks) + torch.arange(len(images), dtype=torch.float64)  # (B,)
        room = torch.tensor(images.shape[-2:]) - SIDE + 1
        corners = ((numbers[:, None] * torch.tensor(STEPS, dtype=torch.float64)) % 1 * room).long().tolist()  # (B, 2)
        if self.training:
            self.looks += len(images)
        seen = [picture[:, y : y + SIDE, x : x + SIDE] for picture, (y, x) in zip(images, corners, strict=True)]
        return torch.stack(seen).contiguous(memory_format=torch.channels_last)  # (B, 3, 64, 64)


def new_heads() -> nn.ModuleList:
    """A head for each depth that has one."""
    heads = nn.ModuleList(head(width, side) for width, side in zip(WIDTHS[1:], SIDES, strict=True))
    return heads.apply(init_weights)


def head(width: int, side: int) -> nn.Sequential:
    """(B, width, side, side) -> (B, 1), halving the side down to 4 px as the discriminator does.

    With BatchNorm, for the maps' values are small: without it the heads' loss hardly fell.
    """
    layers: list[nn.Module] = []
    if side == 4:
        layers += [with_norm(nn.Conv2d(width, width, 1, bias=False), "spectral"), *norm(width)]
    while side > 4:
        wider = min(2 * width, WIDEST)
        layers += [with_norm(nn.Conv2d(width, wider, 4, 2, 1, bias=False), "spectral"), *norm(wider)]
        width, side = wider, side // 2
    return nn.Sequential(*layers, with_norm(nn.Conv2d(width, 1, 4), "spectral"), nn.Flatten())


def norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.LeakyReLU(0.2, inplace=True)
