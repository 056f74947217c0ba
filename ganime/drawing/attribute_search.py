"""Faces that carry what is asked for: many are drawn, and where too few have it the latents are searched."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ganime.drawing.mixing import MAX_CHILDREN, recipes_of
from ganime.drawing.recipe import (
    MAX_SEED,
    MAX_TRUNCATION,
    Recipe,
    check_number,
    check_seed,
    check_whole,
    latents,
    rounded,
)
from ganime.drawing.sampling import generate_recipes, recipes_for, render
from ganime.errors import RecipeError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract
from ganime.nets.dcgan import Generator
from ganime.text import quoted

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8

DRAWN, AT_A_TIME = 64, 16  # faces before it is asked whether they are enough, and between two reports
MOST_DRAWN = 384  # before the search begins
STEPS = 32  # of the search at most
RATE = 0.06  # of Adam; a face that is driven farther or faster turns garish
SURE = 1.0  # log odds that the search wants of each attribute, a probability of 0.73
CARRIED = 0.5  # probability from which a face counts as carrying an attribute


@dataclass(frozen=True)
class Looking:
    """How far the choice has come: faces found, faces looked at (those of the search's steps included)."""

    found: int
    looked_at: int
    searching: bool


@dataclass(frozen=True, eq=False)
class Choice:
    """Faces that were chosen, the surest first.

    recipes: a plain seed for a face that was found, a latent for one that was searched. faces: uint8 (N, H, W, 3).
    probabilities: (N, K) in the order of `wanted`. carries: which have all that was asked for. looked_at: how many
    faces it took. searched: how many were not found but made. seconds: the time it took.
    """

    wanted: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    faces: UInt8[np.ndarray, "n h w 3"]
    probabilities: Float[np.ndarray, "n k"]
    looked_at: int
    searched: int
    seconds: float

    @property
    def carries(self) -> Bool[np.ndarray, " n"]:
        return np.asarray(self.probabilities.min(1) > CARRIED)


def choose(
    checkpoint: Checkpoint,
    net: FeatureNet,
    wanted: Sequence[str],
    count: int = 8,
    seed: int = 0,
    truncation: float = 1.0,
) -> Iterator[Looking | Choice]:
    """Faces with all the attributes of `wanted`: Looking after Looking, then the Choice as the last item.

    First by rejection among the faces of the seeds from `seed` on; then, for as many as are missing, from the best that
    were rejected by gradient ascent on the network's log odds over the sphere the latents lie on. A face that the
    search could not bring there is returned all the same, and not marked as carrying it. The same seed gives the same
    faces. Raises RecipeError for an attribute that the network does not know, none at all, or a value out of range.
    """
    began = time.monotonic()
    places, dim = attribute_places(net, wanted), checkpoint.generator.config.latent_dim
    count, seed = check_whole("The number of faces", count, 1, MAX_CHILDREN), check_seed(seed)
    truncation = check_number("A truncation", truncation, 0.1, MAX_TRUNCATION)
    z, seen = np.empty((0, dim), np.float32), np.empty((0, len(places)), np.float32)
    while len(z) % DRAWN or (len(z) < MOST_DRAWN and (seen.min(1) > CARRIED).sum() < count):
        seeds = [(seed + number) % (MAX_SEED + 1) for number in range(len(z), len(z) + AT_A_TIME)]
        drawn = latents(seeds, dim, truncation)
        probabilities = extract(net, render(checkpoint.generator, drawn))[1][:, places]  # (AT_A_TIME, K)
        z, seen = np.concatenate([z, drawn]), np.concatenate([seen, probabilities])
        yield Looking(min(count, int((seen.min(1) > CARRIED).sum())), len(z), searching=False)

    log_odds = np.log(seen.clip(1e-6)) - np.log((1 - seen).clip(1e-6))  # (N, K)
    order = [int(i) for i in np.argsort(-np.minimum(log_odds, SURE).sum(1), kind="stable")]
    found = [i for i in order if seen[i].min() > CARRIED][:count]
    missing = [i for i in order if seen[i].min() <= CARRIED][: count - len(found)]
    looked_at, searched = len(z), z[missing]
    for better in ascent(checkpoint.generator, net, z[missing], places) if missing else ():
        looked_at, searched = looked_at + len(missing), rounded(better)
        yield Looking(len(found), looked_at, searching=True)
    numbers = [(seed + i) % (MAX_SEED + 1) for i in (*found, *missing)]
    recipes = recipes_for(checkpoint, numbers[: len(found)], truncation)
    for number, row in zip(numbers[len(found) :], searched, strict=True):
        recipes += recipes_of(checkpoint, row[None], number)
    faces = generate_recipes(checkpoint, recipes)
    probabilities = extract(net, faces)[1][:, places]  # (N, K)
    order = np.argsort(-probabilities.min(1), kind="stable")
    yield Choice(
        wanted=tuple(wanted),
        recipes=tuple(recipes[i] for i in order),
        faces=faces[order],
        probabilities=probabilities[order],
        looked_at=looked_at,
        searched=len(missing),
        seconds=time.monotonic() - began,
    )


def ascent(
    generator: Generator, net: FeatureNet, start: Float[np.ndarray, "n latent"], places: list[int]
) -> Iterator[Float[np.ndarray, "n latent"]]:
    """The latents after each step of a search for attributes, always as long as at the start; Adam."""
    device = next(generator.parameters()).device
    z = torch.from_numpy(start).to(device, copy=True).requires_grad_(True)
    length = z.detach().norm(dim=1, keepdim=True)  # (N, 1)
    optimizer = torch.optim.Adam([z], lr=RATE)
    for _ in range(STEPS):
        lacking = F.relu(SURE - net(generator(z))[1][:, places]).sum(1)  # (N, K) -> (N,)
        if not lacking.any():
            return
        before = z.detach().clone()
        optimizer.zero_grad()
        lacking.sum().backward()
        optimizer.step()
        with torch.no_grad():
            z *= length / z.norm(dim=1, keepdim=True).clamp(min=1e-6)
            z[lacking == 0] = before[lacking == 0]  # momentum would carry on what has arrived
        yield z.detach().cpu().numpy().copy()


def attribute_places(net: FeatureNet, wanted: Sequence[str]) -> list[int]:
    """The columns of attributes. Raises RecipeError, naming those there are, for one that the network does not know."""
    names = list(net.attributes)
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted or isinstance(wanted, str):
        raise RecipeError(f"Ask for one or more of {', '.join(names)}; got {quoted(unknown or wanted)}.")
    return [names.index(name) for name in wanted]
