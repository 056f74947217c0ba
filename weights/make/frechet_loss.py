"""The Fréchet distance as a loss: it moves the statistics of drawn pictures to those of real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganime.nets.anime_features import FEATURE_SIDE, FeatureNet, load_features
from ganime.nets.averaging import decay_of
from ganime.nets.critic import BROAD_EYES, BROAD_SIDE, CRITIC_EYES
from ganime.nets.mobilenet import MobileNet, load_mobilenet
from ganime.shapes import Float

WHOLE, PIECE = (0.82, 1.0), (0.42, 0.68)  # windows: the smallest and the largest share of a picture's side
MAX_DEVIATION_CHANNELS = 400  # channel deviations are features only of maps with at most this many channels
MAX_QUARTER_CHANNELS = 100  # and means over the four quarters only with at most this many
MEAN_HALF_LIFE, COVARIANCE_HALF_LIFE = 48, 1500  # pictures: half-lives of the moving statistics of drawn pictures
RIDGE = 1e-3  # added to the variance in every direction; a real feature has variance 1
MIN_DEVIATION = 0.2  # smallest unit of a feature, as a share of the median deviation; else constant features dominate


@dataclass(frozen=True)
class View:
    """Features of pictures in [-1, 1]: random windows of them, through a frozen network.

    name: appears in the facts of a polished model.
    maps: the network, from (B, 3, side, side) to one feature map (B, C, H, W) per depth.
    window: the smallest and the largest share of a picture's side that a window covers, `WHOLE` or `PIECE`.
    side: the size of a window for the network, in px; None for the picture's own size.
    every: in the loss, the view takes part in every `every`-th batch.
    """

    name: str
    maps: Callable[[Tensor], Sequence[Tensor]]
    window: tuple[float, float] = WHOLE
    side: int | None = None
    every: int = 1

    def __call__(self, images: Float[Tensor, "b 3 side side"], source: torch.Generator) -> list[Float[Tensor, "b d"]]:
        """The features of pictures at each depth, see `map_features`; `source` gives the windows."""
        cropped = windows(images, self.window, self.side or images.shape[-1], source)
        return [map_features(depth.float()) for depth in self.maps(cropped)]


def windows(
    images: Float[Tensor, "b 3 h h"], share: tuple[float, float], side: int, source: torch.Generator
) -> Float[Tensor, "b 3 side side"]:
    """A random square of each picture, resized to `side` px.

    Networks stride over pictures on a grid; with random windows no part of a drawn picture always has the same place on
    it.

    share: the smallest and the largest side of a square, as a share of the picture's side.
    """
    full = images.shape[-1]
    size, top, left = torch.rand(3, len(images), generator=source).to(images.device)  # (B,) each
    size = full * (share[0] + (share[1] - share[0]) * size)
    rows, columns = (resampling(full, side, (full - size) * place, size) for place in (top, left))
    cropped = (rows[:, None] @ images @ columns[:, None].mT).clamp(-1, 1)  # (B, 3, side, side)
    return cropped.contiguous(memory_format=torch.channels_last)


def resampling(
    full: int, side: int, first: Float[Tensor, " b"], size: Float[Tensor, " b"]
) -> Float[Tensor, "b side full"]:
    """The weights that resample a part of each row of `full` pixels to `side` pixels, for one row per picture.

    The kernel is cubic (Keys 1981, "Cubic convolution interpolation for digital image processing"); it is widened when
    the part is made smaller.

    first, size: (B,), the start and the length of the part in pixels.
    """
    step = size / side  # (B,)
    centres = first[:, None] + step[:, None] * (torch.arange(side, device=step.device) + 0.5)  # (B, side)
    pixels = torch.arange(full, device=step.device) + 0.5  # (full,)
    offsets = (centres[:, :, None] - pixels).abs() / step.clamp_min(1)[:, None, None]  # (B, side, full)
    near = 1.5 * offsets**3 - 2.5 * offsets**2 + 1
    far = -0.5 * offsets**3 + 2.5 * offsets**2 - 4 * offsets + 2
    weights = torch.where(offsets < 1, near, torch.where(offsets < 2, far, 0))
    return weights / weights.sum(2, keepdim=True)


def map_features(depth: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """The features of a map: the mean of each channel, with at most 400 channels also its standard deviation, and with
    at most 100 also its means over the four quarters."""
    flat = depth.flatten(2)  # (B, C, H * W)
    parts = [flat.mean(2)]  # (B, C)
    if depth.shape[1] <= MAX_DEVIATION_CHANNELS:
        parts.append(flat.std(2))  # (B, C)
    if depth.shape[1] <= MAX_QUARTER_CHANNELS:
        parts.append(nn.functional.adaptive_avg_pool2d(depth, 2).flatten(1))  # (B, 4 * C)
    return torch.cat(parts, 1)


def shipped_views(device: torch.device | str = "cpu") -> list[View]:
    """The default views: whole faces and pieces, through the two networks that Ganime ships for critics.

    The network that measures faces takes no part, so its measurements stay independent.
    """
    broad: MobileNet = load_mobilenet(BROAD_EYES).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return [
        View("broad, whole", broad, side=BROAD_SIDE),
        View("broad, piece", lambda images: broad(images)[:-1], PIECE, BROAD_SIDE),
        *anime_views("anime", load_features(CRITIC_EYES).to(device)),
    ]


def anime_views(name: str, net: FeatureNet) -> list[View]:
    """Whole faces and pieces through a feature network that `feature_training` made."""
    return [
        View(f"{name}, whole", net.activations, side=FEATURE_SIDE),
        View(f"{name}, piece", net.activations, PIECE, FEATURE_SIDE),
    ]


def view_names(views: Sequence[View]) -> str:
    """The names of the views, as they appear in a model's facts."""
    return "; ".join(view.name for view in views)


@torch.no_grad()
def collect_features(
    views: Sequence[View], batches: Iterable[Tensor], source: torch.Generator
) -> list[list[Float[Tensor, "n d"]]]:
    """The features of all pictures of `batches`, for each view and each of its depths."""
    features = [[view(batch, source) for view in views] for batch in batches]
    return [[torch.cat(depth) for depth in zip(*view, strict=True)] for view in zip(*features, strict=True)]


class Transport:
    """The optimal transport map from the features of drawn pictures to those of real ones, both taken as Gaussian.

    The Fréchet distance (Dowson & Landau 1982) is the cost of this transport, and its gradient moves the features of
    each picture towards their image under the map. A loss therefore only needs `target`: pictures come in small
    batches, and moving statistics stand for all others (Yang et al. 2026, "Representation Fréchet Loss for Visual
    Generation", arXiv:2604.28190).

    real, drawn: (N, D) and (M, D), features; both need more pictures than features.
    unit: (D,), the scale of each feature: its standard deviation over the real pictures, within limits.
    map: (D, D), the linear part of the transport map, as of the last `renew`.
    distance: the Fréchet distance divided by D, at least 0, as of the last `renew`.
    """

    def __init__(self, real: Float[Tensor, "n d"], drawn: Float[Tensor, "m d"]) -> None:
        spread = real.std(0)
        self.unit = spread.clamp_min(max(MIN_DEVIATION * float(spread.median()), torch.finfo(spread.dtype).eps))  # (D,)
        real, drawn = real / self.unit, drawn / self.unit
        self.real_mean, self.mean = real.mean(0), drawn.mean(0)  # (D,)
        self.real_covariance, self.covariance = torch.cov(double(real).T), torch.cov(double(drawn).T)  # (D, D)
        self.root = square_root(self.real_covariance)
        self.renew()

    def renew(self) -> None:
        """Recompute the map and the distance from the current statistics."""
        covariance = self.covariance + RIDGE * torch.eye(len(self.mean)).to(self.root)  # (D, D)
        values, vectors = torch.linalg.eigh(self.root @ covariance @ self.root)
        values = values.clamp_min(RIDGE**2)
        self.map = (self.root @ (vectors * values.rsqrt()) @ vectors.T @ self.root).to(self.mean)
        means_apart = float((self.mean - self.real_mean).square().sum())
        covariances_apart = float(covariance.trace() + self.real_covariance.trace() - 2 * values.sqrt().sum())
        self.distance = max(0.0, means_apart + covariances_apart) / len(self.mean)

    def target(self, scaled: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """The image of drawn pictures' features under the map; both in multiples of `unit`."""
        return self.real_mean + (scaled - self.mean) @ self.map

    def remember(self, scaled: Float[Tensor, "b d"]) -> None:
        """Move the statistics of drawn pictures towards those of this batch; its features in multiples of `unit`."""
        offsets = double(scaled - self.mean)  # from the mean without this batch
        self.covariance.lerp_(offsets.T @ offsets / len(offsets), 1 - decay_of(len(scaled), COVARIANCE_HALF_LIFE))
        self.mean.lerp_(scaled.mean(0), 1 - decay_of(len(scaled), MEAN_HALF_LIFE))


def double(features: Tensor) -> Tensor:
    """The features in double precision; moved to the CPU if their device has none."""
    return (features.cpu() if features.device.type == "mps" else features).double()


def square_root(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The square root of a symmetric matrix; eigenvalues that rounding made negative count as 0."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


class FrechetLoss:
    """The mean squared distance of features to their transport targets, summed over all depths of all views.

    Its gradient lowers the Fréchet distance between drawn and real pictures at each depth of each view. Whatever no
    view detects can drift. Use it for a generator that already draws well, and only while independent measures improve.

    views: the views.
    real, drawn: batches of pictures in [-1, 1] for the first statistics, several times as many as a view has features.
    seed: seed of the windows.
    """

    def __init__(self, views: Sequence[View], real: Iterable[Tensor], drawn: Iterable[Tensor], seed: int = 0) -> None:
        self.views, self.source = views, torch.Generator().manual_seed(seed)
        self.batches = 0
        self.transports = [
            [Transport(*both) for both in zip(*depths, strict=True)]
            for depths in zip(
                *(collect_features(self.views, batches, self.source) for batches in (real, drawn)), strict=True
            )
        ]

    def __call__(self, images: Float[Tensor, "b 3 side side"]) -> Tensor:
        """The loss of drawn pictures, a scalar; they enter the statistics. Call `renew` every 30 steps or so.

        A view that takes part in every n-th batch only begins with the batch of its place among the views, so such
        views take turns.
        """
        total = images.new_zeros(())
        for place, (view, transports) in enumerate(zip(self.views, self.transports, strict=True)):
            if (self.batches - place) % view.every:
                continue
            for features, transport in zip(view(images, self.source), transports, strict=True):
                scaled = features / transport.unit  # (B, D)
                with torch.no_grad():
                    target = transport.target(scaled)
                    transport.remember(scaled)
                total = total + (scaled - target).square().mean()
        self.batches += 1
        return total

    def renew(self) -> float:
        """Recompute all maps from the current statistics. Returns the mean of `Transport.distance` over all depths."""
        all_transports = [transport for transports in self.transports for transport in transports]
        for transport in all_transports:
            transport.renew()
        return sum(transport.distance for transport in all_transports) / len(all_transports)
