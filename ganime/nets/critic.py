"""A second discriminator for training, which sees pictures through the frozen layers of feature networks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from ganime.embedded import BROAD_EYES, CRITIC_EYES
from ganime.errors import CheckpointError
from ganime.files import checked_tensors, read_tensors
from ganime.nets import anime_features
from ganime.nets.dcgan import init_weights, with_norm
from ganime.nets.mobilenet import MOBILENET_WIDTHS, load_mobilenet
from ganime.shapes import Float

CRITIC_FILE = "critic.safetensors"
BROAD_SIDE = 128  # px of the pictures that the broad eyes see
WIDEST = 256  # channels of a head
MOMENTUM, EPSILON = 0.01, 1e-4  # of the running statistics; added to a variance, so a constant channel has no effect
R2_STEPS = (0.7548776662466927, 0.5698402909980532)  # of the R2 sequence, which spreads any number of places evenly
SIDES = (32, 16, 8, 4)  # px; of the maps that have a head


class FeatureCritic(nn.Module):
    """Pictures -> a logit at each of four depths: trained heads on the maps of frozen feature networks, the eyes.

    The anime eyes see 64 px: the whole picture, resized, and of larger pictures also a piece of 64 px at full
    resolution, which has separate heads. The piece is at another place each time. The broad eyes, a network trained
    on pictures of all kinds, see 128 px: they know little of faces but much of how pictures are drawn. They come with a
    linear rule on the means and deviations of their maps (`Statistics`).

    The networks recognise eyes, hair and poor drawing before the first step, so the generator gets useful gradients
    from the start (Projected GANs, Sauer et al. 2021, arXiv:2111.01007). The critic complements the discriminator
    instead of replacing it (Kumari et al. 2022, arXiv:2112.09130), since the networks may miss what they were not
    trained on. The network that measures faces is another one.

    anime, broad: the eyes that it has, at least one of them.
    close: whether the anime eyes also see pieces.
    looks: number of pieces seen so far, which determines the place of the next one.
    """

    looks: Tensor

    def __init__(self, anime: bool = True, close: bool = False, broad: bool = False) -> None:
        super().__init__()
        self.eyes = anime_features.FeatureNet(["unused"], 1).stages.requires_grad_(False) if anime else None
        self.heads, self.close = new_heads() if anime else None, new_heads() if anime and close else None
        self.broad_eyes = load_mobilenet(BROAD_EYES) if broad else None
        self.broad = new_heads(MOBILENET_WIDTHS[1:], normed=False) if broad else None
        self.statistics = Statistics(2 * sum(MOBILENET_WIDTHS[1:])) if broad else None
        if self.close:
            self.register_buffer("looks", torch.zeros((), dtype=torch.int64))
        self.train()

    @classmethod
    def fresh(cls, image_size: int, eyes: str = "anime") -> FeatureCritic:
        """A critic with the embedded networks and untrained heads. image_size: of the pictures, in px."""
        anime = eyes != "broad"
        critic = cls(anime, anime and image_size > anime_features.FEATURE_SIDE, eyes in ("broad", "both"))
        if critic.eyes:
            critic.eyes.load_state_dict(anime_features.load_features(CRITIC_EYES).stages.state_dict())
        return critic

    @classmethod
    def load(cls, path: Path) -> FeatureCritic:
        """Read the critic of a model, in eval mode. Raises CheckpointError, naming the file, when it does not fit."""
        tensors = read_tensors(path)
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source
            critic = cls(*(any(name.startswith(part) for name in tensors) for part in ("heads.", "close.", "broad.")))
        if not critic.kind_of_eyes:
            raise CheckpointError(f"{path} holds no critic: it has heads for no kind of eyes. Save it again.")
        critic.load_state_dict(checked_tensors(tensors, critic.stored(), path), strict=False)
        return critic.eval()

    def stored(self) -> dict[str, Tensor]:
        """The tensors that are saved with a model: all except the broad eyes, which come with Ganime."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("broad_eyes.")}

    @property
    def views(self) -> int:
        """The number of views of each picture: anime eyes on the whole, anime eyes on a piece, broad eyes."""
        return sum(heads is not None for heads in (self.heads, self.close, self.broad))

    @property
    def kind_of_eyes(self) -> str:
        """The value of `TrainConfig.eyes` that makes such a critic; empty if it has no eyes."""
        if self.heads and self.broad:
            return "both"
        return "anime" if self.heads else "broad" if self.broad else ""

    def train(self, mode: bool = True) -> FeatureCritic:
        """Set the mode of the heads; the eyes always stay in eval mode."""
        super().train(mode)
        for eyes in (self.eyes, self.broad_eyes):
            if eyes:
                eyes.eval()
        return self

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b logits"]:
        """Four logits per picture and view, and one more with the broad eyes, positive for real.

        images: in [-1, 1], with at least 64 px if the critic sees pieces.
        """
        logits = []
        if self.eyes and self.heads:
            logits.append(logits_of(self.heads, anime_features.activations(self.eyes, images)[1:]))
        if self.eyes and self.close:
            logits.append(logits_of(self.close, anime_features.activations(self.eyes, self.pieces(images))[1:]))
        if self.broad_eyes and self.broad and self.statistics:
            maps = self.broad_eyes(anime_features.resize_pictures(BROAD_SIDE, images))[1:]
            logits += [logits_of(self.broad, maps), self.statistics(maps)]
        return torch.cat(logits, 1)  # (B, 4 * views), with broad eyes (B, 4 * views + 1)

    def pieces(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 64 64"]:
        """A piece of each picture at full resolution, at the next place of the R2 sequence.

        Roberts 2018, "The unreasonable effectiveness of quasirandom sequences".
        """
        numbers = int(self.looks) + torch.arange(len(images), dtype=torch.float64)  # (B,)
        room = torch.tensor(images.shape[-2:]) - anime_features.FEATURE_SIDE + 1
        steps = torch.tensor(R2_STEPS, dtype=torch.float64)
        corners = (numbers[:, None] * steps % 1 * room).long().tolist()  # (B, 2)
        if self.training:
            self.looks += len(images)
        side = anime_features.FEATURE_SIDE
        squares = [picture[:, y : y + side, x : x + side] for picture, (y, x) in zip(images, corners, strict=True)]
        return torch.stack(squares).contiguous(memory_format=torch.channels_last)  # (B, 3, 64, 64)


class Statistics(nn.Module):
    """Maps -> a logit from the means and standard deviations of their channels, which describe a set of pictures.

    The numbers are standardised by running statistics of all pictures seen, then weighted by a vector of unit length,
    so the logit never exceeds the distance. A linear rule cannot be fooled as a deep head can.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(count, EPSILON, MOMENTUM).requires_grad_(False)
        self.rule = parametrizations.spectral_norm(nn.Linear(count, 1))

    def forward(self, maps: list[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b 1"]:
        flat = [level.flatten(2).float() for level in maps]  # (B, C, side^2)
        both = [part for level in flat for part in (level.mean(2), level.std(2))]  # (B, C) each
        numbers = torch.cat(both, 1)[:, :, None, None]  # (B, N, 1, 1)
        if self.training:  # updates the running statistics; those of the batch would hide how it differs
            with torch.no_grad():
                self.norm.train()(numbers)
        return self.rule(self.norm.eval()(numbers).flatten(1))  # (B, 1)


def logits_of(heads: nn.ModuleList, maps: list[Float[Tensor, "b c side side"]]) -> Float[Tensor, "b 4"]:
    """The logit of each head on its map."""
    return torch.cat([head(level) for head, level in zip(heads, maps, strict=True)], 1)  # (B, 4)


def new_heads(widths: tuple[int, ...] = anime_features.FEATURE_WIDTHS[1:], normed: bool = True) -> nn.ModuleList:
    """Untrained heads for maps of 32, 16, 8 and 4 px with these channels."""
    heads = nn.ModuleList(head(width, side, normed) for width, side in zip(widths, SIDES, strict=True))
    return heads.apply(init_weights)


def head(width: int, side: int, normed: bool) -> nn.Sequential:
    """(B, width, side, side) -> (B, 1), halving the side down to 4 px like the discriminator.

    normed: use BatchNorm. The small activations of the anime eyes need it: without it their heads hardly learned. It
    hides how real and generated faces differ on average, since they are judged in separate batches; the large
    activations of the broad eyes do not need it.
    """
    layers: list[nn.Module] = []

    def add(convolution: nn.Conv2d) -> None:
        norms = [nn.BatchNorm2d(convolution.out_channels)] if normed else []
        layers.extend([with_norm(convolution, "spectral"), *norms, nn.LeakyReLU(0.2, inplace=True)])

    if side == 4:
        add(nn.Conv2d(width, width, 1, bias=not normed))
    while side > 4:
        wider = min(2 * width, WIDEST)
        add(nn.Conv2d(width, wider, 4, 2, 1, bias=not normed))
        width, side = wider, side // 2
    return nn.Sequential(*layers, with_norm(nn.Conv2d(width, 1, 4), "spectral"), nn.Flatten())
