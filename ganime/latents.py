"""Recipes and the latents they stand for: one seed is one face, whatever it is drawn beside."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ganime.errors import RecipeError

if TYPE_CHECKING:
    from jaxtyping import Float

MAX_SEED = 2**32 - 1
MAX_TRUNCATION = 1.5
MAX_FRAMES = 600


@dataclass(frozen=True)
class Recipe:
    """All it takes to draw a face again.

    model, revision: which weights, as `Checkpoint.name` and `Checkpoint.revision` give them.
    seed: the face, 0 to 2^32 - 1. truncation: factor on the latent, 0 (the average face) to 1.5; 1 leaves it as it is.
    toward, position: for a face on the way from `seed` to the seed `toward`, how far it has come, 0 to 1.

    Raises RecipeError when a value is out of range.
    """

    model: str
    revision: str
    seed: int
    truncation: float = 1.0
    toward: int | None = None
    position: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not isinstance(self.revision, str):
            raise RecipeError("A recipe names its model and revision as text.")
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "truncation", check_truncation(self.truncation))
        if self.toward is not None:
            object.__setattr__(self, "toward", check_seed(self.toward))
        object.__setattr__(self, "position", check_number("A position", self.position, 0.0, 1.0))

    def latent(self, latent_dim: int) -> Float[np.ndarray, " latent"]:
        """The float32 latent this recipe stands for."""
        z = latent(self.seed, latent_dim)
        if self.toward is not None:
            z = slerp(z, latent(self.toward, latent_dim), self.position)
        return z * np.float32(self.truncation)

    def to_json(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises RecipeError for anything else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as error:
            if isinstance(error, RecipeError):
                raise
            raise RecipeError(f"This is no recipe: {error}.") from error


def latent(seed: int, latent_dim: int) -> Float[np.ndarray, " latent"]:
    """The float32 latent of a seed, from N(0, 1).

    NumPy's RandomState is used on purpose: its stream is frozen for good (NEP 19), so a seed names the same
    latent bit for bit on every machine and in every version to come.
    """
    return np.random.RandomState(check_seed(seed)).standard_normal(latent_dim).astype(np.float32)


def latents(seeds: Iterable[int], latent_dim: int, truncation: float = 1.0) -> Float[np.ndarray, "n latent"]:
    """The latents of several seeds, each as if it were drawn alone, times `truncation`."""
    drawn = [latent(seed, latent_dim) for seed in seeds]
    return np.array(drawn, np.float32).reshape(-1, latent_dim) * np.float32(check_truncation(truncation))


def lerp(a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], t: float) -> Float[np.ndarray, " latent"]:
    """The straight line from `a` (t = 0) to `b` (t = 1); in the middle it is shorter than a Gaussian latent is."""
    return (a * (1 - t) + b * t).astype(np.float32)


def slerp(a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], t: float) -> Float[np.ndarray, " latent"]:
    """The arc from `a` (t = 0) to `b` (t = 1), Shoemake 1985; the length goes evenly from one norm to the other.

    Opposite latents have no shortest arc; a fixed half circle is taken. Where one is zero it is a straight line.
    """
    if t in (0, 1):
        return (a, b)[int(t)].astype(np.float32)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    norm_a, norm_b = np.linalg.norm(a64), np.linalg.norm(b64)
    if norm_a == 0 or norm_b == 0:
        return lerp(a, b, t)
    start, end = a64 / norm_a, b64 / norm_b
    across = end - np.dot(start, end) * start  # the part of `end` at right angles to `start`
    if np.linalg.norm(across) < 1e-7:
        across = np.eye(len(a64))[np.argmin(abs(start))]
        across -= np.dot(start, across) * start
    length = np.linalg.norm(across)
    angle = math.atan2(np.dot(end, across) / length if length else 0.0, np.dot(start, end)) * t
    direction = np.cos(angle) * start + np.sin(angle) * (across / length if length else across)
    return (direction * (norm_a * (1 - t) + norm_b * t)).astype(np.float32)


def walk(
    keyframes: Float[np.ndarray, "k latent"], frames: int, loop: bool = False
) -> Float[np.ndarray, "frames latent"]:
    """Latents on the way through all keyframes by slerp, evenly spaced; a loop goes back to the first one.

    Raises RecipeError for fewer than two keyframes or frames outside 2 to 600.
    """
    if len(keyframes) < 2:
        raise RecipeError(f"A walk needs at least 2 seeds; got {len(keyframes)}.")
    if not 2 <= frames <= MAX_FRAMES:
        raise RecipeError(f"A walk has 2 to {MAX_FRAMES} frames; got {frames}.")
    stops = np.concatenate([keyframes, keyframes[:1]]) if loop else keyframes
    path = []
    for position in np.linspace(0, len(stops) - 1, frames, endpoint=not loop):
        leg = min(int(position), len(stops) - 2)
        path.append(slerp(stops[leg], stops[leg + 1], float(position - leg)))
    return np.stack(path)


def check_seed(seed: Any) -> int:
    """A seed as an int in [0, 2^32 - 1]; RecipeError for anything else."""
    whole = isinstance(seed, int | np.integer) or (isinstance(seed, float) and seed.is_integer())
    if isinstance(seed, bool) or not whole or not 0 <= seed <= MAX_SEED:
        raise RecipeError(f"A seed is a whole number from 0 to {MAX_SEED:,}; got {shown(seed)}.")
    return int(seed)


def check_truncation(truncation: Any) -> float:
    """A truncation as a float in [0, 1.5]; RecipeError for anything else."""
    return check_number("A truncation", truncation, 0.0, MAX_TRUNCATION)


def shown(value: Any) -> str:
    """A value as it is written, cut to a length that fits in a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no number of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def check_number(what: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RecipeError(f"{what} is a number from {low:g} to {high:g}; got {shown(value)}.")
    return float(value)
