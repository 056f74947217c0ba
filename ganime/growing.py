"""A model of twice the side, made from a smaller one so that it begins with what that one has learned."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganime.averaging import settle_statistics
from ganime.checkpoint import Checkpoint
from ganime.config import ModelConfig
from ganime.errors import ConfigError
from ganime.model import Discriminator, Generator

NEEDED = 6  # channels: red, green and blue, each as it is and negated, since ReLU cuts one half of each off
BATCH_NORM_EPS = 1e-5
POWER_ITERATIONS = 32  # until spectral norm knows a weight that was put in place


def grow(start: Checkpoint, image_size: int) -> Checkpoint:
    """`start` with layers added to both nets, next to the picture, until it draws `image_size` px.

    The generator begins by drawing what it drew, magnified bilinearly, and the discriminator by seeing pictures at half
    their side; channels that have no part in this begin afresh (Net2Net, Chen et al. 2016, arXiv:1511.05641; growing,
    Karras et al. 2018, arXiv:1710.10196). Raises ConfigError where the model cannot grow so.
    """
    while start.generator.config.image_size < image_size:
        config = doubled(start)
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global source: leave it as it was
            torch.manual_seed(0)
            generator = grown_generator(start.generator, config)
            discriminator = start.discriminator and grown_discriminator(start.discriminator, config)
        start = replace(start, generator=generator, discriminator=discriminator, folder=None)
    return start


def doubled(start: Checkpoint) -> ModelConfig:
    """The configuration with one more layer, of half the channels, next to the picture."""
    old = start.generator.config
    if (old.generator_norm, old.discriminator_norm) != ("batch", "spectral"):
        raise ConfigError(
            f"{start.name} has {old.generator_norm} norm in the generator and {old.discriminator_norm} norm in the "
            "discriminator; only a model with batch and spectral norm can grow. Begin from scratch."
        )
    config = replace(
        old,
        image_size=old.image_size * 2,
        base_channels=max(1, old.base_channels // 2),
        discriminator_channels=old.discriminator_channels // 2,
    )
    fits = old.channels == config.channels[:-1] and old.judging_channels == config.judging_channels[1:]
    if not fits or min(config.channels[-1], config.judging_channels[0]) < NEEDED:
        raise ConfigError(
            f"{start.name} has {old.channels[-1]} channels next to the picture, {old.judging_channels[0]} in the "
            f"discriminator; to grow, both must be even and at least {2 * NEEDED}. Begin from scratch."
        )
    return config


@torch.no_grad()
def grown_generator(old: Generator, config: ModelConfig) -> Generator:
    """A generator that draws what `old` drew, twice as large."""
    net = Generator(config)
    weights, known = net.state_dict(), old.state_dict()  # these share their memory with the nets
    for name, tensor in known.items():
        if not name.startswith("to_rgb"):
            weights[name].copy_(tensor)
    added, draws = f"blocks.{len(net.blocks) - 1}", known["to_rgb.weight"]  # (C, 3, 4, 4)
    weights[f"{added}.0.weight"][:, :NEEDED] = torch.cat([draws, -draws], 1)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])  # a transposed convolution with it magnifies by two, bilinearly
    weights["to_rgb.weight"].zero_()
    for channel in range(3):
        weights["to_rgb.weight"][channel, channel] = torch.outer(ramp, ramp)
        weights["to_rgb.weight"][channel + 3, channel] = -torch.outer(ramp, ramp)
    settle_statistics(net)
    mean, variance, scale, shift = (
        weights[f"{added}.1.{name}"][:NEEDED] for name in ("running_mean", "running_var", "weight", "bias")
    )
    scale.copy_((variance + BATCH_NORM_EPS).sqrt())  # these channels leave BatchNorm as they came
    shift.copy_(mean + torch.cat([known["to_rgb.bias"], -known["to_rgb.bias"]]))
    return net.eval().requires_grad_(False)


@torch.no_grad()
def grown_discriminator(old: Discriminator, config: ModelConfig) -> Discriminator:
    """A discriminator that begins by seeing of a picture what `old` saw of it at half the side."""
    net = Discriminator(config)
    weights, known = net.state_dict(), old.state_dict()
    for number, block in enumerate(old.blocks, start=1):
        for name, tensor in block.state_dict().items():
            weights[f"blocks.{number}.{name}"].copy_(tensor)
    for name, tensor in old.head.state_dict().items():
        weights[f"head.{name}"].copy_(tensor)
    halves, sees, saw = (
        f"{layer}.0.parametrizations.weight.original" for layer in ("from_rgb", "blocks.0", "from_rgb")
    )
    weights[halves][:NEEDED] = 0
    for channel in range(3):
        weights[halves][channel, channel, 1:3, 1:3] = 0.25
        weights[halves][channel + 3, channel, 1:3, 1:3] = -0.25
    weights[sees][:, :NEEDED] = torch.cat([known[saw], -known[saw]], 1)
    weights["blocks.0.0.bias"].copy_(known["from_rgb.0.bias"])
    for _ in range(POWER_ITERATIONS):  # in training mode each picture is one
        net(torch.zeros(1, 3, config.image_size, config.image_size))
    return net.eval()
