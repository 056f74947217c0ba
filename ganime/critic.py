"""A second judge for the training: it looks at pictures through the frozen layers of a feature network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganime.features import SIDE, WIDTHS, FeatureNet, activations, load_features
from ganime.files import load_tensors
from ganime.model import init_weights, with_norm

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CRITIC_FILE = "critic.safetensors"
EYES = Path(__file__).resolve().parent.parent / "weights" / "anime-critic"  # not the network that measures
WIDEST = 256  # channels of a head
SIDES = tuple(SIDE // 2**depth for depth in range(1, len(WIDTHS)))  # of the maps that have a head: 32, 16, 8 and 4 px


class FeatureCritic(nn.Module):
    """Pictures -> a logit for each of four depths: heads that learn, on the maps of a feature network that does not.

    The network knows eyes, hair and the marks of poor drawing before the first step, so the generator is told of them
    from the beginning (Projected GANs, Sauer et al. 2021, arXiv:2111.01007). It judges beside the discriminator, not
    in its place (Kumari et al. 2022, arXiv:2112.09130), for it sees pictures at 64 px, and what it was not taught it
    may not see at all. The network is another than the one that faces are measured with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.eyes = FeatureNet(["unused"], 1).stages.requires_grad_(False)
        self.heads = nn.ModuleList(head(width, side) for width, side in zip(WIDTHS[1:], SIDES, strict=True))
        self.heads.apply(init_weights)
        self.train()

    @classmethod
    def fresh(cls) -> FeatureCritic:
        """With the network that comes with Ganime, and heads that know nothing yet."""
        critic = cls()
        critic.eyes.load_state_dict(load_features(EYES).stages.state_dict())
        return critic

    @classmethod
    def load(cls, path: Path) -> FeatureCritic:
        """As a model's file holds it, in eval mode. Raises CheckpointError, naming the file, when it does not fit."""
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source: leave it as it was
            critic = cls()
        critic.load_state_dict(load_tensors(path, critic.state_dict()))
        return critic.eval()

    def train(self, mode: bool = True) -> FeatureCritic:
        """Only the heads ever are in training mode."""
        super().train(mode)
        self.eyes.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 4"]:
        """One logit a picture and depth, positive for real; pictures in [-1, 1]."""
        maps = activations(self.eyes, images)[1:]  # (B, C, side, side) at each depth
        return torch.cat([judge(seen) for judge, seen in zip(self.heads, maps, strict=True)], 1)  # (B, 4)


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
