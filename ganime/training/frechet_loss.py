"""The Fréchet distance as a loss: drawn pictures are led to the statistics of real ones, with no discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganime.nets.anime_features import FEATURE_SIDE, FeatureNet, load_features
from ganime.nets.averaging import decay_of
from ganime.nets.critic import BROAD_EYES, BROAD_SIDE, CRITIC_EYES
from ganime.nets.mobilenet import MobileNet, load_mobilenet

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

WHOLE, PIECE = (0.82, 1.0), (0.42, 0.68)  # the least and the most of the side that a broad and a close look see
MOST_QUARTERED, MOST_DEVIATING = 100, 400  # channels of a map whose means over quarters, and deviations, count, too
MEAN_MEMORY, COVARIANCE_MEMORY = 48, 1500  # pictures: half-lives of what is known of the drawn ones
LEAST = 1e-3  # variance, where that of a real number is 1, that is added to every direction's
FLOOR = 0.2  # of the median deviation: the least that a number's own is taken for, so that no still one rules


@dataclass(frozen=True)
class View:
    """One way to look at pictures in [-1, 1]: a frozen network that makes maps at several depths of them.

    maps: (B, 3, side, side) -> maps (B, C, H, W), one for each depth. window: the least and the most of each picture's
    side that it sees, `WHOLE` or `PIECE`. side: px it is shown them at; their own where it is None.
    """

    name: str
    maps: Callable[[Tensor], Sequence[Tensor]]
    window: tuple[float, float] = WHOLE
    side: int | None = None

    def __call__(
        self, images: Float[Tensor, "b 3 side side"], source: torch.Generator
    ) -> list[Float[Tensor, "b numbers"]]:
        """What it says of pictures at each depth, as `numbers_of`; the windows come from `source`."""
        seen = windows(images, self.window, self.side or images.shape[-1], source)
        return [numbers_of(depth.float()) for depth in self.maps(seen)]


def windows(
    images: Float[Tensor, "b 3 h h"], share: tuple[float, float], side: int, source: torch.Generator
) -> Float[Tensor, "b 3 side side"]:
    """Of each picture a square of a size and at a place of its own, made `side` px large.

    Networks stride over pictures in a grid; so no part of a drawn one always lies at the same place of it.
    """
    full = images.shape[-1]
    size, top, left = torch.rand(3, len(images), generator=source).to(images.device)
    size = full * (share[0] + (share[1] - share[0]) * size)
    rows, columns = (resampling(full, side, (full - size) * place, size) for place in (top, left))
    seen = (rows[:, None] @ images @ columns[:, None].mT).clamp(-1, 1)
    return seen.contiguous(memory_format=torch.channels_last)


def resampling(
    full: int, side: int, first: Float[Tensor, " b"], size: Float[Tensor, " b"]
) -> Float[Tensor, "b side full"]:
    """The weight that each of `full` pixels in a row has in each of `side`, which show `size` of it from `first` on: a
    cubic kernel's (Keys 1981, "Cubic convolution interpolation for digital image processing"), widened where that makes
    the row smaller."""
    step = size / side  # (B,)
    centres = first[:, None] + step[:, None] * (torch.arange(side, device=step.device) + 0.5)  # (B, side)
    places = torch.arange(full, device=step.device) + 0.5
    apart = (centres[:, :, None] - places).abs() / step.clamp_min(1)[:, None, None]
    near = 1.5 * apart**3 - 2.5 * apart**2 + 1
    far = -0.5 * apart**3 + 2.5 * apart**2 - 4 * apart + 2
    weights = torch.where(apart < 1, near, torch.where(apart < 2, far, 0))
    return weights / weights.sum(2, keepdim=True)


def numbers_of(seen: Float[Tensor, "b c h w"]) -> Float[Tensor, "b numbers"]:
    """The channels' means over all places, their deviations where they are at most 400, and of at most 100 also the
    means over the four quarters."""
    flat = seen.flatten(2)  # (B, C, H * W)
    parts = [flat.mean(2)]
    if seen.shape[1] <= MOST_DEVIATING:
        parts.append(flat.std(2))
    if seen.shape[1] <= MOST_QUARTERED:
        parts.append(nn.functional.adaptive_avg_pool2d(seen, 2).flatten(1))  # (B, 4 * C)
    return torch.cat(parts, 1)


def shipped_views(device: torch.device | str = "cpu") -> list[View]:
    """The whole and a piece through each of the two networks that come with Ganime for critics, the broad and the anime
    eyes; not through the network that faces are measured with."""
    broad: MobileNet = load_mobilenet(BROAD_EYES).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return [
        View("broad, whole", broad, side=BROAD_SIDE),
        View("broad, piece", lambda images: broad(images)[:-1], PIECE, BROAD_SIDE),
        *anime_views("anime", load_features(CRITIC_EYES).to(device)),
    ]


def anime_views(name: str, net: FeatureNet) -> list[View]:
    """The whole and a piece through a feature network, as `fit-features` makes them."""
    return [
        View(f"{name}, whole", net.activations, side=FEATURE_SIDE),
        View(f"{name}, piece", net.activations, PIECE, FEATURE_SIDE),
    ]


def view_names(views: Sequence[View]) -> str:
    """Their names, as a model's facts hold them."""
    return "; ".join(view.name for view in views)


@torch.no_grad()
def looked(
    views: Sequence[View], batches: Iterable[Tensor], source: torch.Generator
) -> list[list[Float[Tensor, "n numbers"]]]:
    """What each view sees at each depth of all pictures in batches."""
    seen = [[view(batch, source) for view in views] for batch in batches]
    return [[torch.cat(depth) for depth in zip(*view, strict=True)] for view in zip(*seen, strict=True)]


class Transport:
    """From the numbers of drawn pictures to those of real ones, both taken for Gaussian: the map of least effort.

    The Fréchet distance (Dowson & Landau 1982) is that effort, and the way down from it leads each picture to where the
    map takes it. So `target` is all that a loss needs: pictures enter it a few at a time, while what is known of the
    others is remembered (Yang et al. 2026, "Representation Fréchet Loss for Visual Generation", arXiv:2604.28190).

    real, drawn: the numbers of many pictures of both kinds, more than there are numbers. unit: (D,), what each number
    is divided by, its deviation over the real ones. map: (D, D), the linear part. distance: the Fréchet distance
    divided by D, at least 0; it and the map are of what was known when `renew` was called last.
    """

    def __init__(self, real: Float[Tensor, "n d"], drawn: Float[Tensor, "m d"]) -> None:
        spread = real.std(0)
        self.unit = spread.clamp_min(max(FLOOR * float(spread.median()), torch.finfo(spread.dtype).eps))  # (D,)
        real, drawn = real / self.unit, drawn / self.unit
        self.real_mean, self.mean = real.mean(0), drawn.mean(0)  # (D,)
        self.real_covariance, self.covariance = torch.cov(exact(real).T), torch.cov(exact(drawn).T)  # (D, D)
        self.root = square_root(self.real_covariance)
        self.renew()

    def renew(self) -> None:
        """Work out the map, and the distance, from what is known by now."""
        covariance = self.covariance + LEAST * torch.eye(len(self.mean)).to(self.root)  # (D, D)
        values, vectors = torch.linalg.eigh(self.root @ covariance @ self.root)
        values = values.clamp_min(LEAST**2)
        self.map = (self.root @ (vectors * values.rsqrt()) @ vectors.T @ self.root).to(self.mean)
        apart = float((self.mean - self.real_mean).square().sum())
        wider = float(covariance.trace() + self.real_covariance.trace() - 2 * values.sqrt().sum())
        self.distance = max(0.0, apart + wider) / len(self.mean)

    def target(self, scaled: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Where the map takes the numbers of some drawn pictures; both divided by `unit`."""
        return self.real_mean + (scaled - self.mean) @ self.map

    def see(self, scaled: Float[Tensor, "b d"]) -> None:
        """Remember some drawn pictures, and forget as much of those before."""
        off = exact(scaled - self.mean)  # from what the others are, which these have no part in yet
        self.covariance.lerp_(off.T @ off / len(off), 1 - decay_of(len(scaled), COVARIANCE_MEMORY))
        self.mean.lerp_(scaled.mean(0), 1 - decay_of(len(scaled), MEAN_MEMORY))


def exact(numbers: Tensor) -> Tensor:
    """In double precision; on the CPU, where the device has none."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()


def square_root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """Of a symmetric matrix without negative eigenvalues, beyond rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


class FrechetLoss:
    """Pictures -> how far they are from where they should lie, summed over the depths of several views.

    It lowers the Fréchet distance between all drawn and all real pictures, in each depth of each view, and knows
    nothing else: what no view sees it lets drift. So it is for a generator that draws well already, and for as long as
    measures that it does not use become better, too.

    views: how to look. real, drawn: batches of pictures in [-1, 1] that it learns the statistics from, several times as
    many as a view has numbers. seed: of the windows.
    """

    def __init__(self, views: Sequence[View], real: Iterable[Tensor], drawn: Iterable[Tensor], seed: int = 0) -> None:
        self.views, self.source = views, torch.Generator().manual_seed(seed)
        self.transports = [
            [Transport(*both) for both in zip(*depths, strict=True)]
            for depths in zip(*(looked(self.views, batches, self.source) for batches in (real, drawn)), strict=True)
        ]

    def __call__(self, images: Float[Tensor, "b 3 side side"]) -> Tensor:
        """The loss of drawn pictures, which are remembered; `renew` now and then, every 30 steps or so."""
        total = images.new_zeros(())
        for view, transports in zip(self.views, self.transports, strict=True):
            for numbers, transport in zip(view(images, self.source), transports, strict=True):
                scaled = numbers / transport.unit
                with torch.no_grad():
                    target = transport.target(scaled)
                    transport.see(scaled)
                total = total + (scaled - target).square().mean()
        return total

    def renew(self) -> float:
        """Work out all maps from what is known by now. Returns the mean over all depths of `Transport.distance`."""
        every = [transport for transports in self.transports for transport in transports]
        for transport in every:
            transport.renew()
        return sum(transport.distance for transport in every) / len(every)
