"""How far faces can be moved along a direction before the model draws them badly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from ganime.drawing.clarity import clear, default_clarity
from ganime.drawing.direction_search import FitProgress
from ganime.drawing.directions import MAX_DIRECTIONS, MAX_STRENGTH, Directions, moved
from ganime.drawing.recipe import latents
from ganime.drawing.sampling import render
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import resize_pictures, to_tensor
from ganime.nets.clarity import Clarity
from ganime.shapes import Float, UInt8

JUDGED_FACES, DRAWN_FACES = 96, 64  # moved faces whose clarity is predicted, and moved faces that are drawn
KNOWN_FACES = 512  # of the model, which say how faint its mouths are
DRAWN_AT_ONCE = 64
FIRST_SEED = 3_500_000_000  # far from the seeds that people try first
STEP = 0.5  # of the amounts that are tried
BAD = 0.05  # the share of a model's faces that counts as badly drawn
TOLERATED = 0.1  # share of moved faces that may be drawn as badly as those
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue
MOUTH_PICTURE = 128  # px, the side that mouths are looked at in
MOUTH_ROWS, MOUTH_COLUMNS = slice(72, 84), slice(55, 73)  # the middle of the mouth in it
AROUND, DARKEST = 11, 12  # px, the side of the surroundings of a point; points


def usable_ranges(checkpoint: Checkpoint, directions: Directions) -> Mapping[str, tuple[float, float]]:
    """For each direction, by name, the lowest and the highest amount at which faces survive, within its limits.

    The clarity of the model predicts how many faces are drawn badly after a move. At least one STEP either way is
    always usable. A model without a clarity has the limits alone.
    """
    clarity = checkpoint.clarity
    if clarity is None:
        return limits_of(directions)
    return {
        item.name: (
            max(item.limits[0], -reach(clarity, -item.vector)),
            min(item.limits[1], reach(clarity, item.vector)),
        )
        for item in directions.items
    }


def limits_of(directions: Directions) -> Mapping[str, tuple[float, float]]:
    """The limits of each direction by name."""
    return {item.name: item.limits for item in directions.items}


def reach(clarity: Clarity, way: Float[np.ndarray, " latent"]) -> float:
    """The largest amount, STEP to 3, up to which at most the share TOLERATED of the moved faces is drawn badly.

    What was found, which takes several predictions, is kept with the clarity, and forgotten with it.
    """
    name = way.tobytes()
    found = clarity.reaches.get(name)
    if found is None:
        found = found_reach(clarity, way)
        if len(clarity.reaches) >= 2 * MAX_DIRECTIONS:  # more than one model has
            clarity.reaches.clear()
        clarity.reaches[name] = found
    return found


def found_reach(clarity: Clarity, way: Float[np.ndarray, " latent"]) -> float:
    """`reach`, from predictions."""
    z = judged_latents(len(way))
    limit = np.interp(BAD, np.linspace(0, 1, len(clarity.quantiles)), clarity.quantiles)
    for amount in np.arange(MAX_STRENGTH, STEP, -STEP).tolist():
        if bad_share(clarity, moved(z, amount * way), limit) <= TOLERATED:
            return amount
    return STEP


@lru_cache(maxsize=4)
def judged_latents(latent_dim: int) -> Float[np.ndarray, "n latent"]:
    """The latents of the faces that are moved."""
    return latents(range(FIRST_SEED, FIRST_SEED + JUDGED_FACES), latent_dim)


def bad_share(clarity: Clarity, z: np.ndarray, limit: float) -> float:
    """The share of latents, (N, latent), whose faces are predicted to be below a limit."""
    return float(np.mean(clarity.predict(z) < limit))


def with_limits(checkpoint: Checkpoint, directions: Directions) -> Iterator[FitProgress | Directions]:
    """Measure how far mouths hold along directions; yields FitProgress, and the Directions with their limits last.

    A clarity stands mostly for the eyes, and does not see a mouth that vanishes. So faces are drawn, with the clarity
    of the model, at the end of each usable range. As long as more than the share TOLERATED of their mouths is fainter
    than the share BAD of the model's own, the limit is a STEP nearer.
    """
    yield FitProgress(0.0, "mouths of the model's own faces")
    ranges = usable_ranges(checkpoint, directions)
    faint = float(np.quantile(mouths_of(checkpoint, own_latents(checkpoint, DRAWN_FACES, KNOWN_FACES)), BAD))
    z, items = own_latents(checkpoint, 0, DRAWN_FACES), []

    def held(way: Float[np.ndarray, " latent"], end: float) -> float:
        """The largest amount, STEP to `end`, at which mouths hold; 3 for `end`, beyond which nothing is known."""
        for amount in np.arange(end, STEP, -STEP).tolist():
            if np.mean(mouths_of(checkpoint, moved(z, amount * way)) < faint) <= TOLERATED:
                return MAX_STRENGTH if amount == end else amount
        return STEP

    for number, item in enumerate(directions.items):
        yield FitProgress(number / len(directions.items), f"how far {item.name} goes")
        low, high = ranges[item.name]
        items.append(replace(item, limits=(-held(-item.vector, -low), held(item.vector, high))))
    yield replace(directions, items=tuple(items))


def own_latents(checkpoint: Checkpoint, first: int, count: int) -> Float[np.ndarray, "count latent"]:
    """Latents of faces that nobody is likely to have drawn."""
    seeds = range(FIRST_SEED + first, FIRST_SEED + first + count)
    return latents(seeds, checkpoint.generator.config.latent_dim)


def mouths_of(checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, " n"]:
    """How strongly the mouths of latents' faces are drawn, with the clarity of the model; see `mouth_strength`."""
    clarity = default_clarity(checkpoint)
    parts = np.split(z, range(DRAWN_AT_ONCE, len(z), DRAWN_AT_ONCE))
    return np.concatenate(
        [mouth_strength(render(checkpoint.prepared, clear(checkpoint, part, clarity))) for part in parts]
    )


def mouth_strength(faces: UInt8[np.ndarray, "n s s 3"]) -> Float[np.ndarray, " n"]:
    """How much darker than their surroundings the darkest points of mouths are, on a scale from 0 to 255.

    faces: aligned as the training faces are.
    """
    images = resize_pictures(MOUTH_PICTURE, to_tensor(faces))
    grey = (images * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True) * 127.5  # (N, 1, S, S)
    around = F.avg_pool2d(grey, AROUND, 1, AROUND // 2, count_include_pad=False)
    darker = (around - grey)[:, 0, MOUTH_ROWS, MOUTH_COLUMNS].flatten(1)  # (N, points)
    return darker.topk(DARKEST, 1).values.mean(1).numpy()
