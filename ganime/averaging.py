"""The moving average of the generator's weights, which draws better faces than the weights of any one step."""

from __future__ import annotations

import torch
from torch import nn

from ganime.config import TrainConfig
from ganime.model import Generator

SETTLING = 512  # latents that BatchNorm's statistics are taken from
SETTLING_BATCH = 64


def staying(count: int, half_life: float) -> float:
    """Which share of a moving average stays when `count` new pictures enter it, from its half-life in pictures."""
    return 0.5 ** (count / half_life) if half_life > 0 else 0.0


def ema_decay(config: TrainConfig, images: int) -> float:
    """How much of the average stays after one step, from the half-life in images (Karras et al. 2024)."""
    return staying(config.batch_size, min(config.ema_images, images * config.ema_warmup))


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
def settle_statistics(ema: Generator) -> None:
    """Give BatchNorm in an averaged generator the statistics of its own activations (Brock et al. 2019, appendix D).

    The running statistics belong to the weights of single steps, which the average is not. These are taken over 512
    latents, always the same ones, so that they depend on the weights alone.
    """
    norms = [layer for layer in ema.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over all batches
        layer.train()
    random, config = torch.Generator().manual_seed(0), ema.config
    device = next(ema.parameters()).device
    for _ in range(SETTLING // SETTLING_BATCH):
        ema(torch.randn(SETTLING_BATCH, config.latent_dim, generator=random).to(device))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
