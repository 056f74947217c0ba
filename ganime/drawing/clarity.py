"""Clear faces: latents moved to where the model draws well, by the clarity that was fitted to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ganime.drawing.recipe import MAX_SEED, check_clarity, check_seed, check_whole, latents
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.shapes import Float

BEST_OF = 4  # seeds, of which the page draws one where it rolls faces: fewer broken faces at little cost in variety
MAX_BEST_OF = 64
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


def best_seeds(checkpoint: Checkpoint, first: int, count: int, best_of: int = BEST_OF) -> list[int]:
    """Seeds of clear faces: of every `best_of` consecutive seeds, the one whose face is predicted to be clearest.

    Nothing is drawn for it. The face of a seed stays what it is, and only the others are left out, which costs variety
    (rejection by a prediction from the latent, Issenhuth et al. 2021, arXiv:2110.09803).

    first: 0 to 2^32 - 1, the first seed looked at; 0 follows the largest one.
    count: how many seeds to return.
    best_of: 1 (every seed) to 64.

    Raises RecipeError for a value out of range, and for a `best_of` above 1 if no clarity was fitted to the model.
    """
    first, count = check_seed(first), check_whole("count", count, 0, MAX_SEED)
    best_of = check_whole("best_of", best_of, 1, MAX_BEST_OF)
    if best_of > 1 and checkpoint.clarity is None:
        raise RecipeError(
            f"No clarity was fitted to {checkpoint.name}, so nothing tells its clear faces from others. Set best_of to "
            "1, or fit a clarity: ganime clarity MODEL."
        )
    starts = range(first, first + count * best_of, best_of)
    groups = ([(start + place) % (MAX_SEED + 1) for place in range(best_of)] for start in starts)
    dim = checkpoint.generator.config.latent_dim
    return [group[clearest(checkpoint, latents(group, dim))] if best_of > 1 else group[0] for group in groups]


def clearest_of(
    checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], best_of: int = BEST_OF
) -> Float[np.ndarray, "n2 latent"]:
    """Of every `best_of` latents the one whose face is predicted to be clearest; all of them for 1."""
    if best_of == 1:
        return z
    groups = (z[start : start + best_of] for start in range(0, len(z), best_of))
    return np.stack([group[clearest(checkpoint, group)] for group in groups])


def clearest(checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"]) -> int:
    """The place of the latent whose face is predicted to be clearest.

    Few latents at a time: NumPy shares larger products among threads, which take more time to start than they save.
    """
    assert checkpoint.clarity is not None
    return int(checkpoint.clarity.predict(z).argmax())
