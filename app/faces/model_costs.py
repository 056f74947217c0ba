"""What a model may cost on a page that many visitors share: time, and memory for the maps of its layers."""

from __future__ import annotations

from math import prod

from ganime.config import ModelConfig
from ganime.drawing.layers import costs_of
from ganime.errors import CheckpointError
from ganime.nets.dcgan import Generator

MAX_MULTIPLY_ADDS = 4_000_000_000  # per face; the embedded model needs a fortieth of it
MAX_MAP = 2**23  # numbers in a map of a face: 32 MB, of which 16 are drawn at a time
MAX_FIRST = 2**15  # numbers behind the first layer, which is computed for 1,024 latents at once; embedded: 2^13
MAX_LATENT = 1024  # numbers in a latent


def check_cost(name: str, config: ModelConfig) -> None:
    """Raise CheckpointError for a model that is too slow or too large for a shared page. name: for the visitor."""
    costs = costs_of(Generator, config)
    adds = sum(cost.multiply_adds for cost in costs)
    largest = max(max(prod(cost.output), cost.inputs * prod(cost.output[1:])) for cost in costs)
    own = "Run it on your own machine."
    if adds > MAX_MULTIPLY_ADDS:
        raise CheckpointError(
            f"{name} needs {adds / 1e9:.1f} billion multiply-adds for each face. This page draws with at most "
            f"{MAX_MULTIPLY_ADDS / 1e9:.0f} billion, to keep waiting times short. {own}"
        )
    if largest > MAX_MAP or prod(costs[0].output) > MAX_FIRST:
        raise CheckpointError(
            f"{name} needs maps of {largest:,} numbers for each face, and {prod(costs[0].output):,} behind its first "
            f"layer. This page draws with at most {MAX_MAP:,} and {MAX_FIRST:,}. {own}"
        )
    if config.latent_dim > MAX_LATENT:
        raise CheckpointError(
            f"{name} has latents of {config.latent_dim:,} numbers; here {MAX_LATENT:,} are allowed. {own}"
        )
