"""A second judge for the training: it looks at pictures through the frozen layers of a feature network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrizations

from ganime.errors import CheckpointError
from ganime.files import WEIGHTS, checked_tensors, read_tensors
from ganime.nets.anime_features import (
    FEATURE_SIDE,
    FEATURE_WIDTHS,
    FeatureNet,
    activations,
    load_features,
    resize_pictures,
)
from ganime.nets.dcgan import init_weights, with_norm
from ganime.nets.mobilenet import MOBILENET_WIDTHS, load_mobilenet

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

CRITIC_FILE = "critic.safetensors"
CRITIC_EYES = WEIGHTS / "anime-critic"  # not the network that measures
BROAD_EYES = WEIGHTS / "broad-eyes"
BROAD_SIDE = 128  # px at which they see a picture
WIDEST = 256  # channels of a head
MOMENTUM, EPSILON = 0.01, 1e-4  # of the running statistics; added to a variance, so a constant channel has no effect
R2_STEPS = (0.7548776662466927, 0.5698402909980532)  # of the R2 sequence, which spreads any number of places evenly
SIDES = (32, 16, 8, 4)  # px; of the maps that have a head


class FeatureCritic(nn.Module):
    """Pictures -> a logit for each of four depths: heads that learn, on the maps of feature networks that do not.

    The anime eyes see 64 px: the whole picture, made that small, and of larger ones also a piece of 64 px as it is,
    which other heads judge. The piece is at another place each time. The broad eyes, a network that was taught pictures
    of all kinds, see 128 px: they know little of faces, and much of how they are drawn; with them comes a rule on the
    means and deviations of their maps.

    The networks know eyes, hair and the marks of poor drawing before the first step, so the generator is told of them
    from the beginning (Projected GANs, Sauer et al. 2021, arXiv:2111.01007). They judge beside the discriminator, not
    in its place (Kumari et al. 2022, arXiv:2112.09130), for what they were not taught they may not see at all. Both
    are others than the one that faces are measured with.

    anime, broad: which eyes it has, one of them at least. close: whether the anime eyes look at pieces, too. looks: how
    many they have looked at, from which their places derive.
    """

    looks: Tensor

    def __init__(self, anime: bool = True, close: bool = False, broad: bool = False) -> None:
        super().__init__()
        self.eyes = FeatureNet(["unused"], 1).stages.requires_grad_(False) if anime else None
        self.heads, self.close = new_heads() if anime else None, new_heads() if anime and close else None
        self.broad_eyes = load_mobilenet(BROAD_EYES) if broad else None
        self.broad = new_heads(MOBILENET_WIDTHS[1:], normed=False) if broad else None
        self.statistics = Statistics(2 * sum(MOBILENET_WIDTHS[1:])) if broad else None
        if self.close:
            self.register_buffer("looks", torch.zeros((), dtype=torch.int64))
        self.train()

    @classmethod
    def fresh(cls, image_size: int, eyes: str = "anime") -> FeatureCritic:
        """With the networks that come with Ganime, and heads that know nothing yet, for pictures of that many px."""
        anime = eyes != "broad"
        critic = cls(anime, anime and image_size > FEATURE_SIDE, eyes in ("broad", "both"))
        if critic.eyes:
            critic.eyes.load_state_dict(load_features(CRITIC_EYES).stages.state_dict())
        return critic

    @classmethod
    def load(cls, path: Path) -> FeatureCritic:
        """From the file of a model, in eval mode. Raises CheckpointError, naming the file, when it does not fit."""
        tensors = read_tensors(path)
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source: leave it as it was
            critic = cls(*(any(name.startswith(part) for name in tensors) for part in ("heads.", "close.", "broad.")))
        if not critic.kind_of_eyes:
            raise CheckpointError(
                f"{path} holds no critic: it needs heads for one kind of eyes at least. Save it again."
            )
        critic.load_state_dict(checked_tensors(tensors, critic.stored(), path), strict=False)
        return critic.eval()

    def stored(self) -> dict[str, Tensor]:
        """What the file of a model holds of it: all but the broad eyes, which come with Ganime."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("broad_eyes.")}

    @property
    def views(self) -> int:
        """How many pictures it sees of each: the whole one, a piece where it looks closely, the whole one broadly."""
        return sum(heads is not None for heads in (self.heads, self.close, self.broad))

    @property
    def kind_of_eyes(self) -> str:
        """What it looks through, as `TrainConfig.eyes` has it; nothing where it has no eyes."""
        return {(True, False): "anime", (False, True): "broad", (True, True): "both"}.get(
            (self.heads is not None, self.broad is not None), ""
        )

    def train(self, mode: bool = True) -> FeatureCritic:
        """Only the heads ever are in training mode."""
        super().train(mode)
        for eyes in (self.eyes, self.broad_eyes):
            if eyes:
                eyes.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b logits"]:
        """Four logits a picture and view, positive for real; pictures in [-1, 1], not below 64 px to look closely."""
        logits = []
        if self.eyes and self.heads:
            logits.append(logits_of(self.heads, activations(self.eyes, images)[1:]))
        if self.eyes and self.close:
            logits.append(logits_of(self.close, activations(self.eyes, self.pieces(images))[1:]))
        if self.broad_eyes and self.broad and self.statistics:
            maps = self.broad_eyes(resize_pictures(BROAD_SIDE, images))[1:]
            logits += [logits_of(self.broad, maps), self.statistics(maps)]
        return torch.cat(logits, 1)  # (B, 4 * views), and one more of the broad eyes

    def pieces(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 64 64"]:
        """Of each picture a piece as it is, at the next place (Roberts 2018, "The unreasonable effectiveness of
        quasirandom sequences")."""
        numbers = int(self.looks) + torch.arange(len(images), dtype=torch.float64)  # (B,)
        room = torch.tensor(images.shape[-2:]) - FEATURE_SIDE + 1
        steps = torch.tensor(R2_STEPS, dtype=torch.float64)
        corners = (numbers[:, None] * steps % 1 * room).long().tolist()  # (B, 2)
        if self.training:
            self.looks += len(images)
        squares = [
            picture[:, y : y + FEATURE_SIDE, x : x + FEATURE_SIDE]
            for picture, (y, x) in zip(images, corners, strict=True)
        ]
        return torch.stack(squares).contiguous(memory_format=torch.channels_last)  # (B, 3, 64, 64)


class Statistics(nn.Module):
    """Maps -> a logit by their channels' means and deviations alone: what faces of one kind have in common.

    A linear rule on them, each standardised by running statistics of all pictures seen; unit length, so it never says
    more than the difference itself. Nothing that a head might be fooled by stands between it and the maps.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(count, EPSILON, MOMENTUM).requires_grad_(False)
        self.rule = parametrizations.spectral_norm(nn.Linear(count, 1))

    def forward(self, maps: list[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b 1"]:
        flat = [seen.flatten(2).float() for seen in maps]  # (B, C, side^2)
        both = [part for seen in flat for part in (seen.mean(2), seen.std(2))]
        numbers = torch.cat(both, 1)[:, :, None, None]  # (B, N, 1, 1)
        if self.training:
            with torch.no_grad():
                self.norm.train()(numbers)  # for its running statistics; a batch's own would hide how it differs
        return self.rule(self.norm.eval()(numbers).flatten(1))  # (B, 1)


def logits_of(heads: nn.ModuleList, maps: list[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b 4"]:
    return torch.cat([head(seen) for head, seen in zip(heads, maps, strict=True)], 1)  # (B, 4)


def new_heads(widths: tuple[int, ...] = FEATURE_WIDTHS[1:], normed: bool = True) -> nn.ModuleList:
    """A head for each depth that has one."""
    heads = nn.ModuleList(head(width, side, normed) for width, side in zip(widths, SIDES, strict=True))
    return heads.apply(init_weights)


def head(width: int, side: int, normed: bool) -> nn.Sequential:
    """(B, width, side, side) -> (B, 1), halving the side down to 4 px as the discriminator does.

    normed: with BatchNorm, which small values need: without it the heads on the anime eyes hardly learned. As real and
    drawn faces are judged apart, it hides how the two differ on average; the broad eyes' large values do without.
    """
    layers: list[nn.Module] = []
    if side == 4:
        layers += [
            with_norm(nn.Conv2d(width, width, 1, bias=not normed), "spectral"),
            *norm_and_activation(width, normed),
        ]
    while side > 4:
        wider = min(2 * width, WIDEST)
        layers += [
            with_norm(nn.Conv2d(width, wider, 4, 2, 1, bias=not normed), "spectral"),
            *norm_and_activation(wider, normed),
        ]
        width, side = wider, side // 2
    return nn.Sequential(*layers, with_norm(nn.Conv2d(width, 1, 4), "spectral"), nn.Flatten())


def norm_and_activation(channels: int, normed: bool) -> list[nn.Module]:
    """What follows a convolution: BatchNorm, if so, and LeakyReLU."""
    return [*[nn.BatchNorm2d(channels)] * normed, nn.LeakyReLU(0.2, inplace=True)]
