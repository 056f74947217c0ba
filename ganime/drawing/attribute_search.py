"""Finds faces with given attributes: draws many, and optimises latents if too few of them match."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ganime.drawing import recipe
from ganime.drawing.clarity import BEST_OF, best_seeds
from ganime.drawing.mixing import MAX_CHILDREN, recipes_of
from ganime.drawing.sampling import generate_recipes, latents_of, recipes_for, render
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract
from ganime.nets.dcgan import Generator
from ganime.shapes import Bool, Float, UInt8
from ganime.text import quoted

FACES_PER_ROUND, FACES_PER_REPORT = 64, 16  # faces drawn before counting matches, and between two reports
MIN_DRAWN, MAX_DRAWN = 192, 384  # unless enough are certain, before too few are enough and latents are optimised
ASCENT_STEPS = 32  # at most
ASCENT_RATE = 0.06  # of Adam; more steps or a higher rate make faces garish
TARGET_LOG_ODDS = 1.0  # wanted of each attribute, a probability of 0.73
PRESENT, CERTAIN = 0.5, 0.95  # probabilities above which a face has an attribute, and above which people agree


@dataclass(frozen=True)
class SearchProgress:
    """Progress of `choose_faces`.

    recipes: of the faces that match so far, at most as many as were asked for.
    looked_at: faces examined; each optimisation step of a face counts.
    searching: whether latents are being optimised.
    """

    recipes: tuple[recipe.Recipe, ...]
    looked_at: int
    searching: bool

    @property
    def found(self) -> int:
        """How many faces match so far."""
        return len(self.recipes)


@dataclass(frozen=True, eq=False)
class ChosenFaces:
    """The result of `choose_faces`, most probable faces first.

    wanted: the K attributes.
    recipes: a seed for a face that was drawn, a latent for one that was optimised.
    faces: (N, H, W, 3).
    probabilities: (N, K), of the attributes.
    looked_at: how many faces were examined.
    searched: how many of the faces were optimised.
    seconds: duration.
    """

    wanted: tuple[str, ...]
    recipes: tuple[recipe.Recipe, ...]
    faces: UInt8[np.ndarray, "n h w 3"]
    probabilities: Float[np.ndarray, "n k"]
    looked_at: int
    searched: int
    seconds: float

    @property
    def carries(self) -> Bool[np.ndarray, " n"]:
        """Which faces have all the attributes."""
        return np.asarray(self.probabilities.min(1) > PRESENT)


def choose_faces(
    checkpoint: Checkpoint,
    net: FeatureNet,
    wanted: Sequence[str],
    count: int = 8,
    seed: int = 0,
    truncation: float = 1.0,
    clarity: float = 0.0,
) -> Iterator[SearchProgress | ChosenFaces]:
    """Find faces with all the attributes of `wanted`; yields SearchProgress, and the ChosenFaces last.

    Faces are drawn, and those that match most certainly are kept. If too few match, the best of the others are
    optimised by gradient ascent on the log odds of the attributes, at constant length of the latent. A face that still
    does not match is returned too; see `ChosenFaces.carries`. The same seed gives the same faces.

    wanted: names of attributes of `net`.
    count: faces to return, 1 to 256.
    seed: the first seed to draw.
    truncation: 0.1 to 1.5.
    clarity: of the faces that are drawn; those that are optimised begin from them and have none. For one above 0, only
        the clearest of every four consecutive seeds is drawn; see `best_seeds`.

    Raises RecipeError for an unknown attribute, no attribute, or a value out of range.
    """
    began = time.monotonic()
    places, dim = attribute_columns(net, wanted), checkpoint.generator.config.latent_dim
    count, seed = recipe.check_whole("The number of faces", count, 1, MAX_CHILDREN), recipe.check_seed(seed)
    truncation = recipe.check_number("A truncation", truncation, 0.1, recipe.MAX_TRUNCATION)

    seeds: list[int] = []
    group = BEST_OF if clarity and checkpoint.clarity else 1  # seeds, of which one is drawn

    def drawn_recipes(numbers: Iterable[int]) -> list[recipe.Recipe]:
        return recipes_for(checkpoint, [seeds[number] for number in numbers], truncation, clarity)

    z, seen = np.empty((0, dim), np.float32), np.empty((0, len(places)), np.float32)
    while len(z) % FACES_PER_ROUND or not has_enough(seen, count):
        next_seed = (seed + group * len(seeds)) % (recipe.MAX_SEED + 1)
        seeds += best_seeds(checkpoint, next_seed, FACES_PER_REPORT, group)
        drawn = latents_of(checkpoint, drawn_recipes(range(len(z), len(seeds))))
        probabilities = extract(net, render(checkpoint.prepared, drawn))[1][:, places]  # (FACES_PER_REPORT, K)
        z, seen = np.concatenate([z, drawn]), np.concatenate([seen, probabilities])
        found, _ = best_of(seen, count)
        yield SearchProgress(tuple(drawn_recipes(found)), len(z), searching=False)

    found, missing = best_of(seen, count)
    recipes, origins = drawn_recipes(found), [seeds[number] for number in missing]
    looked_at, adjusted = len(z), recipes_from(checkpoint, z[missing], origins)
    for better, matching in ascent(checkpoint.generator, net, z[missing], places) if missing else ():
        looked_at, adjusted = looked_at + len(missing), recipes_from(checkpoint, recipe.rounded(better), origins)
        yield SearchProgress((*recipes, *(adjusted[i] for i in np.flatnonzero(matching))), looked_at, searching=True)
    recipes += adjusted
    faces = generate_recipes(checkpoint, recipes)
    probabilities = extract(net, faces)[1][:, places]  # (N, K)
    order = np.argsort(-probabilities.min(1), kind="stable")
    yield ChosenFaces(
        wanted=tuple(wanted),
        recipes=tuple(recipes[i] for i in order),
        faces=faces[order],
        probabilities=probabilities[order],
        looked_at=looked_at,
        searched=len(missing),
        seconds=time.monotonic() - began,
    )


def has_enough(seen: Float[np.ndarray, "n k"], count: int) -> bool:
    """Whether enough faces were drawn. seen: the probabilities of their attributes."""
    surest = seen.min(1)  # (N,)
    if len(seen) >= MAX_DRAWN or (surest > CERTAIN).sum() >= count:
        return True
    return len(seen) >= MIN_DRAWN and bool((surest > PRESENT).sum() >= count)


def best_of(seen: Float[np.ndarray, "n k"], count: int) -> tuple[list[int], list[int]]:
    """The faces that match, at most `count`, and the best others in place of those that are missing; the best first."""
    probable = seen.clip(1e-6, CERTAIN)
    order = np.argsort(-np.log(probable / (1 - probable)).sum(1), kind="stable").tolist()
    found = [number for number in order if seen[number].min() > PRESENT][:count]
    return found, [number for number in order if number not in found][: count - len(found)]


def ascent(
    generator: Generator, net: FeatureNet, start: Float[np.ndarray, "n latent"], places: list[int]
) -> Iterator[tuple[Float[np.ndarray, "n latent"], Bool[np.ndarray, " n"]]]:
    """Raise the attributes' log odds of latents, whose lengths stay constant.

    Yields after each step of Adam the latents, and which of them have reached TARGET_LOG_ODDS and are moved no further.
    """
    z = torch.from_numpy(start).to(generator.device, copy=True).requires_grad_(True)
    length = z.detach().norm(dim=1, keepdim=True)  # (N, 1)
    optimizer = torch.optim.Adam([z], lr=ASCENT_RATE)
    for _ in range(ASCENT_STEPS):
        lacking = F.relu(TARGET_LOG_ODDS - net(generator(z))[1][:, places]).sum(1)  # (N, K) -> (N,)
        if not lacking.any():
            return
        before = z.detach().clone()
        optimizer.zero_grad()
        lacking.sum().backward()
        optimizer.step()
        with torch.no_grad():
            z *= length / z.norm(dim=1, keepdim=True).clamp(min=1e-6)
            z[lacking == 0] = before[lacking == 0]  # momentum would move faces that already match
        yield z.detach().cpu().numpy().copy(), (lacking == 0).cpu().numpy()


def recipes_from(checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], seeds: Sequence[int]) -> list[recipe.Recipe]:
    """The recipes of latents that were optimised from the faces of `seeds`."""
    return [
        recipes_of(checkpoint, row[None], recipe.Recipe(checkpoint.name, checkpoint.revision, seed))[0]
        for row, seed in zip(z, seeds, strict=True)
    ]


def attribute_columns(net: FeatureNet, wanted: Sequence[str]) -> list[int]:
    """The columns of attributes in the output of `net`. Raises RecipeError, listing all names, for an unknown one."""
    names = list(net.attributes)
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted or isinstance(wanted, str):
        raise RecipeError(f"Ask for one or more of {', '.join(names)}; got {quoted(unknown or wanted)}.")
    return [names.index(name) for name in wanted]
