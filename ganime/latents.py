"""Recipes and the latents they stand for: one seed is one face, whatever it is drawn beside."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ganime.errors import RecipeError

if TYPE_CHECKING:
    from jaxtyping import Float

MAX_SEED = 2**32 - 1


def latent(seed: int, latent_dim: int) -> Float[np.ndarray, " latent"]:
    """The float32 latent of a seed, from N(0, 1).

    NumPy's RandomState is used on purpose: its stream is frozen for good (NEP 19), so a seed names the same
    latent bit for bit on every machine and in every version to come.
    """
    return np.random.RandomState(check_seed(seed)).standard_normal(latent_dim).astype(np.float32)


def latents(seeds: Iterable[int], latent_dim: int) -> Float[np.ndarray, "n latent"]:
    """The latents of several seeds, each as if it were drawn alone."""
    return np.stack([latent(seed, latent_dim) for seed in seeds])


def check_seed(seed: Any) -> int:
    """A seed as an int in [0, 2^32 - 1]; RecipeError for anything else."""
    try:
        value = operator.index(seed)
    except TypeError:
        value = int(seed) if isinstance(seed, float) and seed.is_integer() else -1
    if isinstance(seed, bool) or not 0 <= value <= MAX_SEED:
        raise RecipeError(f"A seed is a whole number from 0 to {MAX_SEED:,}; got {seed!r}.")
    return value
