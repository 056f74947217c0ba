"""How far faces can be moved along a direction before the model draws them badly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ganime.drawing.directions import MAX_STRENGTH, Directions, moved
from ganime.drawing.recipe import latents
from ganime.models.checkpoint import Checkpoint
from ganime.nets.clarity import Clarity

JUDGED_FACES = 96
FIRST_SEED = 3_500_000_000  # far from the seeds that people try first
STEP = 0.5  # of the amounts that are tried
BAD = 0.05  # the share of a model's faces that counts as badly drawn
TOLERATED = 0.1  # share of moved faces that may be drawn as badly as those


def usable_ranges(checkpoint: Checkpoint, directions: Directions) -> Mapping[str, tuple[float, float]]:
    """For each direction, by name, the lowest and the highest amount at which faces survive, within -3 to 3.

    The clarity of the model predicts how many faces are drawn badly after a move. At least one STEP either way is
    always usable. A model without a clarity has the whole range for every direction.
    """
    clarity = checkpoint.clarity
    if clarity is None:
        return whole_ranges(directions)
    seeds = range(FIRST_SEED, FIRST_SEED + JUDGED_FACES)
    z = latents(seeds, checkpoint.generator.config.latent_dim)  # (N, latent)
    return {item.name: (-reach(clarity, z, -item.vector), reach(clarity, z, item.vector)) for item in directions.items}


def whole_ranges(directions: Directions) -> Mapping[str, tuple[float, float]]:
    """The whole range, -3 to 3, for each direction by name."""
    return {item.name: (-MAX_STRENGTH, MAX_STRENGTH) for item in directions.items}


def reach(clarity: Clarity, z: np.ndarray, way: np.ndarray) -> float:
    """The largest amount, STEP to 3, up to which at most the share TOLERATED of the moved faces is drawn badly."""
    limit = np.interp(BAD, np.linspace(0, 1, len(clarity.quantiles)), clarity.quantiles)
    for amount in np.arange(MAX_STRENGTH, STEP, -STEP).tolist():
        if bad_share(clarity, moved(z, amount * way), limit) <= TOLERATED:
            return amount
    return STEP


def bad_share(clarity: Clarity, z: np.ndarray, limit: float) -> float:
    """The share of latents, (N, latent), whose faces are predicted to be below a limit."""
    return float(np.mean(clarity.predict(z) < limit))
