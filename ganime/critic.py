"""A second judge for the training: it looks at pictures through the frozen layers of a feature network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganime.features import SIDE, WIDTHS, FeatureNet, activations, brought_to, load_features
from ganime.files import fitting, read_tensors
from ganime.mobilenet import WIDTHS as BROAD_WIDTHS
from ganime.mobilenet import load_mobilenet
from ganime.model import init_weights, with_norm

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CRITIC_FILE = "critic.safetensors"
EYES = Path(__file__).resolve().parent.parent / "weights" / "anime-critic"  # not the network that measures
BROAD_EYES = EYES.with_name("broad-eyes")
BROAD_SIDE = 128  # px at which they see a picture
WIDEST = 256  # channels of a head
STEPS = (0.7548776662466927, 0.5698402909980532)  # of the R2 sequence: places spread evenly, however many there are
SIDES = tuple(SIDE // 2**depth for depth in range(1, len(WIDTHS)))  # of the maps that have a head: 32, 16, 8 and 4 px


class FeatureCritic(nn.Module):
    """Pictures -> a logit for each of four depths: heads that learn, on the maps of feature networks that do not.

    The first network sees 64 px: the whole picture, made that small, and of larger ones also a piece of 64 px as it is,
    which other heads judge. The piece is at another place each time. The second, broad one was taught photographs of
    all kinds and sees the picture at 128 px: it knows little of faces, and sees much of how they are drawn.

    The networks know eyes, hair and the marks of poor drawing before the first step, so the generator is told of them
    from the beginning (Projected GANs, Sauer et al. 2021, arXiv:2111.01007). They judge beside the discriminator, not
    in its place (Kumari et al. 2022, arXiv:2112.09130), for what they were not taught they may not see at all. Both
    are others than the one that faces are measured with.

    close: whether it looks at pieces, too. looks: how many it has looked at, from which their places derive. broad:
    whether it has the second network.
    """

    looks: Tensor

    def __init__(self, close: bool = False, broad: bool = False) -> None:
        super().__init__()
        self.eyes = FeatureNet(["unused"], 1).stages.requires_grad_(False)
        self.heads, self.close = new_heads(), new_heads() if close else None
        self.broad_eyes, self.broad = (
            (load_mobilenet(BROAD_EYES), new_heads(BROAD_WIDTHS[1:])) if broad else (None, None)
        )
        if close:
            self.register_buffer("looks", torch.zeros((), dtype=torch.int64))
        self.train()

    @classmethod
    def fresh(cls, image_size: int, broad: bool = False) -> FeatureCritic:
        """With the networks that come with Ganime, and heads that know nothing yet, for pictures of that many px."""
        critic = cls(image_size > SIDE, broad)
        critic.eyes.load_state_dict(load_features(EYES).stages.state_dict())
        return critic

    @classmethod
    def load(cls, path: Path) -> FeatureCritic:
        """From the file of a model, in eval mode. Raises CheckpointError, naming the file, when it does not fit."""
        tensors = read_tensors(path)
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source: leave it as it was
            critic = cls("looks" in tensors, any(name.startswith("broad.") for name in tensors))
        critic.load_state_dict(fitting(tensors, critic.stored(), path), strict=False)
        return critic.eval()

    def stored(self) -> dict[str, Tensor]:
        """What the file of a model holds of it: all but the broad eyes, which come with Ganime."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("broad_eyes.")}

    @property
    def views(self) -> int:
        """How many pictures it sees of each: the whole one, a piece where it looks closely, the whole one broadly."""
        return 1 + (self.close is not None) + (self.broad is not None)

    def train(self, mode: bool = True) -> FeatureCritic:
        """Only the heads ever are in training mode."""
        super().train(mode)
        self.eyes.eval()
        if self.broad_eyes:
            self.broad_eyes.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b logits"]:
        """Four logits a picture and view, positive for real; pictures in [-1, 1], not below 64 px to look closely."""
        logits = [judged(self.heads, activations(self.eyes, images)[1:])]
        if self.close:
            logits.append(judged(self.close, activations(self.eyes, self.pieces(images))[1:]))
        if self.broad and self.broad_eyes:
            logits.append(judged(self.broad, self.broad_eyes(brought_to(BROAD_SIDE, images))[1:]))
        return torch.cat(logits, 1)  # (B, 4 * views)

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


def judged(heads: nn.ModuleList, maps: list[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b 4"]:
    return torch.cat([head(seen) for head, seen in zip(heads, maps, strict=True)], 1)  # (B, 4)


def new_heads(widths: tuple[int, ...] = WIDTHS[1:]) -> nn.ModuleList:
    """A head for each depth that has one."""
    heads = nn.ModuleList(head(width, side) for width, side in zip(widths, SIDES, strict=True))
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
