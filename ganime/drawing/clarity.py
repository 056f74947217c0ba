"""Clear faces: latents moved to where the model draws well, by the clarity that was fitted to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganime.drawing.recipe import check_clarity
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.shapes import Float

DEFAULT_CLARITY = 0.35  # mends the worst third and leaves the others alone, which costs little variety


def clear(
    checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], clarity: float | Sequence[float]
) -> Float[np.ndarray, "n latent"]:
    """Latents moved to where the faces are clear; see `Clarity.clear`.

    clarity: 0 (unchanged) to 0.95, one for all or one for each.

    Raises RecipeError for a value out of range, and for one above 0 if no clarity was fitted to the model.
    """
    if isinstance(clarity, Sequence):
        shares = [check_clarity(share) for share in clarity]
    else:
        shares = [check_clarity(clarity)] * len(z)
    if not any(shares):
        return z
    fitted = checkpoint.clarity
    if fitted is None:
        raise RecipeError(
            f"No clarity was fitted to {checkpoint.name}. Set clarity to 0, or fit it: ganime clarity MODEL."
        )
    return np.stack([fitted.clear(row, share) for row, share in zip(z, shares, strict=True)])


def chosen_clarity(checkpoint: Checkpoint, clarity: float | None) -> float:
    """The clarity that was asked for; for None, that of the model by default."""
    return default_clarity(checkpoint) if clarity is None else clarity


def default_clarity(checkpoint: Checkpoint) -> float:
    """The clarity that the page and the command line draw with by default; 0 if none was fitted to the model."""
    return DEFAULT_CLARITY if checkpoint.clarity else 0.0
