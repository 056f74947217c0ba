"""The moving average of the generator's weights, which draws better faces than the weights of any one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from ganime.config import TrainConfig
from ganime.nets.dcgan import Generator

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

SETTLING_LATENTS = 512  # latents that BatchNorm's statistics are taken from
SETTLING_BATCH, SETTLING_SEED = 64, 2**32  # a seed that nothing else is drawn from
SKIPPED_POINTS = 1_024  # points: the very first one may be rounded to what no latent stands for


def decay_of(count: int, half_life: float) -> float:
    """Which share of a moving average stays when `count` new pictures enter it, from its half-life in pictures."""
    return 0.5 ** (count / half_life) if half_life > 0 else 0.0


def ema_decay(config: TrainConfig, images: int) -> float:
    """How much of the average stays after one step, from the half-life in images (Karras et al. 2024)."""
    return decay_of(config.batch_size, min(config.ema_images, images * config.ema_warmup))


@torch.no_grad()
def update_ema(ema: Generator, generator: Generator, decay: float) -> None:
    """Move the average towards the generator, BatchNorm's running statistics included."""
    latest = generator.state_dict()
    for name, average in ema.state_dict().items():
        current = latest[name]
        if average.is_floating_point() and not name.endswith(("._u", "._v")):  # an average of unit vectors is none
            average.lerp_(current, 1 - decay)
        else:
            average.copy_(current)


@torch.no_grad()
def settle_statistics(ema: Generator, latents: int = SETTLING_LATENTS, part: nn.Module | None = None) -> None:
    """Give BatchNorm in an averaged generator the statistics of its own activations (Brock et al. 2019, appendix D).

    The running statistics belong to the weights of single steps, which the average is not. These are taken over even
    latents, always the same ones, so that they depend on the weights alone. latents: how many, rounded up to a multiple
    of 64. part: of `ema`, where only its statistics are to be taken anew.
    """
    norms = [layer for layer in (part or ema).modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
        layer.train()
    source, device = quasirandom_latents(ema.config.latent_dim, SETTLING_SEED), next(ema.parameters()).device
    for _ in range(0, latents, SETTLING_BATCH):
        ema(source(SETTLING_BATCH).to(device))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def quasirandom_latents(dimensions: int, seed: int, drawn: int = 0) -> Callable[[int], Float[Tensor, "n z"]]:
    """count -> the next latents (fp32, on the CPU), normally distributed and spread more evenly than by chance, so that
    the mean of a few faces is nearer to that of all: scrambled Sobol points (Matousek 1998) of up to 21,201 dimensions.

    drawn: how many were drawn with this seed before.
    """
    points = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    points.fast_forward(SKIPPED_POINTS + drawn % 2**22)  # more would take minutes, and any point serves
    middle = 2.0 ** -(points.MAXBIT + 1)  # of the interval that a point stands for; never 0, which has no latent
    return lambda count: torch.special.ndtri(points.draw(count, dtype=torch.float64) + middle).float()
