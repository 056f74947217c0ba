"""The moving average of the generator's weights, which draws better faces than the weights of a single step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganime.config import TrainConfig
from ganime.nets.dcgan import Generator
from ganime.shapes import Float

SETTLING_LATENTS = 512  # for the statistics of BatchNorm
SETTLING_BATCH, SETTLING_SEED = 64, 2**32  # a seed that nothing else uses
SKIPPED_POINTS = 1_024  # the first point may be rounded to 0, which has no latent


def decay_of(count: int, half_life: float) -> float:
    """The share of a moving average that stays when `count` new pictures enter it. half_life: in pictures."""
    return 0.5 ** (count / half_life) if half_life > 0 else 0.0


def ema_decay(config: TrainConfig, images: int) -> float:
    """The share of the average that stays in a step after `images` images (Karras et al. 2024)."""
    return decay_of(config.batch_size, min(config.ema_images, images * config.ema_warmup))


@torch.no_grad()
def update_ema(ema: Generator, generator: Generator, decay: float) -> None:
    """Move the average towards the generator, including the running statistics of BatchNorm."""
    latest = generator.state_dict()
    for name, average in ema.state_dict().items():
        current = latest[name]
        if average.is_floating_point() and not name.endswith(("._u", "._v")):  # averaging breaks unit vectors
            average.lerp_(current, 1 - decay)
        else:
            average.copy_(current)


@torch.no_grad()
def settle_statistics(ema: Generator, latents: int = SETTLING_LATENTS, part: nn.Module | None = None) -> None:
    """Recompute the BatchNorm statistics of an averaged generator from its activations (Brock et al. 2019, appendix D).

    The running statistics belong to the weights of single steps, not to their average. The latents are quasi-random and
    always the same, so the statistics depend only on the weights.

    latents: number of latents, rounded up to a multiple of 64.
    part: the part of `ema` whose statistics are recomputed, by default all of it.
    """
    norms = [layer for layer in (part or ema).modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
        layer.train()
    source, device = quasirandom_latents(ema.config.latent_dim, SETTLING_SEED), ema.device
    for _ in range(0, latents, SETTLING_BATCH):
        ema(source(SETTLING_BATCH).to(device))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def quasirandom_latents(dimensions: int, seed: int, drawn: int = 0) -> Callable[[int], Float[Tensor, "n z"]]:
    """A source of normally distributed latents (fp32, on the CPU) that are spread more evenly than random ones.

    It is called with the number of latents to draw next. The mean over a few faces is then closer to that over all.
    The latents are scrambled Sobol points (Matousek 1998).

    dimensions: length of a latent, at most 21,201.
    drawn: number of latents drawn with this seed before.
    """
    points = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    points.fast_forward(SKIPPED_POINTS + drawn % 2**22)  # without the limit it could take minutes
    middle = 2.0 ** -(points.MAXBIT + 1)  # of a point's interval, so never 0, which has no latent
    return lambda count: torch.special.ndtri(points.draw(count, dtype=torch.float64) + middle).float()
