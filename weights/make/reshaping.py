"""Changes to a model between two stages: another hidden layer, and coarser colours."""

from __future__ import annotations

from dataclasses import replace

from ganime.errors import ConfigError
from ganime.models.checkpoint import Checkpoint
from ganime.models.resizing import RGB_CHANNELS, check_shapes, last_layer, reshaped, seeded, with_layer


def refined(start: Checkpoint) -> Checkpoint:
    """`start` with a hidden layer more in the generator, at the picture's own side (`rgb_stride` 1).

    It begins by drawing what it drew; the discriminator stays. Raises ConfigError where that cannot be.
    """
    old = start.generator.config
    if old.rgb_stride == 1:
        return start
    config = replace(
        old,
        rgb_stride=1,
        base_channels=max(1, old.base_channels // 2),
        discriminator_channels=old.judging_channels[0],
    )
    check_shapes(start.name, old, config, old.channels == config.channels[:-1])
    if config.channels[-1] < RGB_CHANNELS:
        raise ConfigError(
            f"{start.name} has {old.channels[-1]} channels next to the picture; "
            f"to be refined, it needs {2 * RGB_CHANNELS}."
        )
    with seeded():
        generator = with_layer(start.generator, config, *last_layer(start.generator))
        discriminator = start.discriminator and reshaped(start.discriminator, config)
    return replace(start, generator=generator, discriminator=discriminator, folder=None)


def recoloured(start: Checkpoint) -> Checkpoint:
    """`start`, drawing colours at half the side of its brightness (`chroma_stride` 2); no weight changes."""
    with seeded():
        generator = reshaped(start.generator, replace(start.generator.config, chroma_stride=2))
        discriminator = start.discriminator and reshaped(start.discriminator, generator.config)
    return replace(start, generator=generator, discriminator=discriminator, folder=None)
