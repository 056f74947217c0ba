"""Makes new faces from given ones: variations of one, faces between two, children of several, vector arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ganime.drawing.recipe import Recipe, check_number, check_seed, check_whole, encoded, rounded, slerp
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.shapes import Float

MAX_PARENTS = 16
MAX_CHILDREN = 256
MAX_STEPS = 64  # from one face to another


def vary(
    z: Float[np.ndarray, " latent"], strength: float, count: int = 8, seed: int = 0
) -> Float[np.ndarray, "count latent"]:
    """Variations of a latent, with the same length: each is a point on the arc to a random latent.

    strength: position on the arc, from 0, the face itself, to 1, an unrelated face.
    count: 1 to 256; a larger count adds variations to those of a smaller one.
    seed: of the random latents.

    Raises RecipeError for a value out of range.
    """
    strength = check_number("The strength of a variation", strength, 0.0, 1.0)
    random = np.random.RandomState(check_seed(seed))
    strangers = random.standard_normal((check_whole("The number of faces", count, 1, MAX_CHILDREN), len(z)))
    return rounded(np.stack([slerp(z, at_length(stranger, norm(z)), strength) for stranger in strangers]))


def breed(
    parents: Float[np.ndarray, "p latent"], count: int = 8, mutation: float = 0.0, seed: int = 0
) -> Float[np.ndarray, "count latent"]:
    """Children of 2 to 16 latents, alternately by crossover (each number from one parent) and by spherical means.

    The length of a child is between those of its parents. The same seed gives the same children.

    mutation: share of numbers that are drawn again, 0 to 1.

    Raises RecipeError for another number of parents or a value out of range.
    """
    if np.ndim(parents) != 2 or not 2 <= len(parents) <= MAX_PARENTS:
        raise RecipeError(f"A child has 2 to {MAX_PARENTS} parents; got {len(parents)}.")
    mutation = check_number("A mutation rate", mutation, 0.0, 1.0)
    random, dim, children = np.random.RandomState(check_seed(seed)), parents.shape[1], []
    lengths = np.linalg.norm(parents, axis=1)  # (P,)
    for number in range(check_whole("The number of faces", count, 1, MAX_CHILDREN)):
        shares = random.dirichlet(np.ones(len(parents)))  # (P,)
        origin = random.randint(len(parents), size=dim)
        anew, drawn = random.random_sample(dim) < mutation, random.standard_normal(dim)
        child = blend(parents, shares) if number % 2 else parents[origin, np.arange(dim)]  # (latent,)
        weights = shares if number % 2 else np.bincount(origin, minlength=len(parents)) / dim
        children.append(at_length(np.where(anew, drawn, child), float(weights @ lengths)))
    return rounded(np.stack(children))


def arithmetic(
    a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], c: Float[np.ndarray, " latent"]
) -> Float[np.ndarray, " latent"]:
    """a - b + c (Radford et al. 2015), scaled to the mean length of the three: adds to c what a has and b has not."""
    return rounded(at_length(a.astype(np.float64) - b + c, (norm(a) + norm(b) + norm(c)) / 3))


def blend(parents: Float[np.ndarray, "p latent"], shares: Float[np.ndarray, " p"]) -> Float[np.ndarray, " latent"]:
    """A weighted mean on the sphere, by slerp from parent to parent; `shares` are the weights."""
    child, whole = parents[0], float(shares[0])
    for parent, share in zip(parents[1:], shares[1:], strict=True):
        whole += float(share)
        child = slerp(child, parent, float(share) / whole if whole else 0.0)
    return child


def recipes_between(checkpoint: Checkpoint, a: Recipe, b: Recipe, steps: int) -> list[Recipe]:
    """Recipes of the faces on the way from one face to another in equal steps, both ends left out.

    They draw what `walk` draws there; truncation and clarity change evenly, too. Between two seeds with the same
    settings the recipes name both seeds, otherwise they contain latents.

    steps: 2 to 64; there is one recipe fewer.

    Raises RecipeError for a value out of range, or a vector of another length.
    """
    steps = check_whole("The number of steps", steps, 2, MAX_STEPS)
    positions = [number / steps for number in range(1, steps)]
    same_truncation = a.truncation == b.truncation
    plain = all(recipe.vector is None and recipe.toward is None for recipe in (a, b))
    if plain and same_truncation and a.clarity == b.clarity:
        return [replace(a, toward=b.seed, position=position) for position in positions]
    dim, name, revision = checkpoint.generator.config.latent_dim, checkpoint.name, checkpoint.revision
    start, end = (recipe.untruncated(dim) if same_truncation else recipe.latent(dim) for recipe in (a, b))
    truncation = a.truncation if same_truncation else 1.0
    recipes = []
    for position in positions:
        seed = a.seed if position <= 0.5 else b.seed
        clarity = float(np.interp(position, (0, 1), (a.clarity, b.clarity)))
        vector = encoded(slerp(start, end, position))
        recipes.append(Recipe(name, revision, seed, truncation, vector=vector, clarity=clarity))
    return recipes


def recipes_of(checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], origin: Recipe | None = None) -> list[Recipe]:
    """Recipes that contain the latents themselves, before truncation and clarity.

    origin: the face they came from; they have its seed, truncation and clarity. By default 0, 1 and 0.
    """
    name, revision = checkpoint.name, checkpoint.revision
    origin = origin or Recipe(name, revision, seed=0)
    seed, truncation, clarity = origin.seed, origin.truncation, origin.clarity
    return [Recipe(name, revision, seed, truncation, vector=encoded(row), clarity=clarity) for row in z]


def mean_settings(parents: Sequence[Recipe]) -> Recipe:
    """The first of several recipes with the mean truncation and clarity of all, for `recipes_of` of their children."""
    settings = np.array([(parent.truncation, parent.clarity) for parent in parents])  # (P, 2)
    truncation, clarity = np.minimum(settings.mean(0), settings.max(0))  # a mean may exceed all by rounding
    return replace(parents[0], truncation=float(truncation), clarity=float(clarity))


def at_length(z: Float[np.ndarray, " latent"], length: float) -> Float[np.ndarray, " latent"]:
    """Scale a latent to a length; one of length 0 is returned unchanged."""
    now = norm(z)
    return (z * (length / now)).astype(np.float32) if now else z.astype(np.float32)


def norm(z: Float[np.ndarray, " latent"]) -> float:
    return float(np.linalg.norm(z.astype(np.float64)))
