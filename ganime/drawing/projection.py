"""Projection: the latent whose face comes nearest to a given picture, and how near that is."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ganime.drawing.mixing import recipes_of
from ganime.drawing.recipe import Recipe, check_seed, rounded
from ganime.drawing.sampling import render
from ganime.errors import DataError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract, to_tensor

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

CANDIDATES = 192  # faces of which the starts are the nearest ones; their distances also say what near is
AT_A_TIME, LOOKING = 16, 0.1  # of the candidates between two reports, and their share of the progress
STARTS, FIRST_STEPS = 6, 40
FINALISTS, LAST_STEPS = 2, 110
RATE, LAST_RATE = 0.12, 0.01  # of Adam, falling on a cosine within each round
PIXELS, PRIOR = 4.0, 0.3  # weights beside the perceptual loss, which is about 1 for two faces of strangers
SHOWN_EVERY = 5  # steps between two faces that are shown


@dataclass(frozen=True, eq=False)
class Nearing:
    """How far the search has come, 0 to 1, the least loss yet, infinite before the descent, and the face so far, uint8
    (S, S, 3)."""

    progress: float
    loss: float
    face: UInt8[np.ndarray, "size size 3"]


@dataclass(frozen=True, eq=False)
class Projection:
    """The nearest face that was found, and how near it is.

    z: its latent, as `recipe` keeps it. face, target: both uint8 (S, S, 3). distance: between the two on the features;
    typical: the median distance of two random faces of the model. percentile: share of pairs of random faces, in
    percent, that are nearer to one another; 0 is a match, 50 no better than any face. seconds: the time it took.
    """

    z: Float[np.ndarray, " latent"]
    recipe: Recipe
    face: UInt8[np.ndarray, "size size 3"]
    target: UInt8[np.ndarray, "size size 3"]
    distance: float
    typical: float
    percentile: float
    seconds: float


def project(
    checkpoint: Checkpoint, net: FeatureNet, picture: UInt8[np.ndarray, "size size 3"], seed: int = 0
) -> Iterator[Nearing | Projection]:
    """Search a picture's latent: Nearing after Nearing, then the Projection as the last item.

    picture: RGB of the model's own size, as `pictures.decode` makes it. The nearest of 192 random faces are the starts;
    each goes down a perceptual loss (activations of the feature network at unit length, as in LPIPS, Zhang et al.
    2018), squared differences of pixels, and a prior that holds |z| where latents lie. The best two go on to the end.
    Between two items lies little work, so that others can have the device meanwhile. The same picture and seed give the
    same latent. Raises DataError for a picture of another shape.
    """
    began, generator = time.monotonic(), checkpoint.generator
    size, dim = generator.config.image_size, generator.config.latent_dim
    if picture.shape != (size, size, 3) or picture.dtype != np.uint8:
        raise DataError(f"The picture must be uint8 ({size}, {size}, 3); got {picture.dtype} {picture.shape}.")
    target = extract(net, picture[None])[0]  # (1, D)
    drawn = np.random.RandomState(check_seed(seed)).standard_normal((CANDIDATES, dim)).astype(np.float32)
    faces, features = np.empty((0, size, size, 3), np.uint8), np.empty((0, target.shape[1]), np.float32)
    while len(faces) < CANDIDATES:
        more = render(generator, drawn[len(faces) : len(faces) + AT_A_TIME])  # (N, S, S, 3)
        done = LOOKING * len(faces) / CANDIDATES
        faces, features = np.concatenate([faces, more]), np.concatenate([features, extract(net, more)[0]])
        yield Nearing(done, math.inf, faces[np.linalg.norm(features - target, axis=1).argmin()])
    strangers = pair_distances(features)
    typical = float(np.median(strangers))
    apart = (faces.astype(np.float32) - picture).reshape(CANDIDATES, -1)
    unlike = np.linalg.norm(features - target, axis=1) / max(typical, 1e-9) + np.abs(apart).mean(1) / 64  # (N,)
    z, shown = drawn[np.argsort(unlike, kind="stable")[:STARTS]], faces[unlike.argmin()]

    whole, done = STARTS * FIRST_STEPS + FINALISTS * LAST_STEPS, 0
    for steps, kept in ((FIRST_STEPS, FINALISTS), (LAST_STEPS, 1)):
        losses = np.zeros(len(z))
        for step, (latest, losses) in enumerate(descent(checkpoint, net, picture, z, steps), start=1):
            z, done = latest, done + len(latest)
            best = int(losses.argmin())
            if step % SHOWN_EVERY == 0:
                shown = render(generator, z[best : best + 1])[0]
            yield Nearing(LOOKING + (1 - LOOKING) * done / whole, float(losses[best]), shown)
        z = z[np.argsort(losses, kind="stable")[:kept]]
    [found] = rounded(z)
    face = render(generator, found[None])
    distance = float(np.linalg.norm(extract(net, face)[0] - target))
    yield Projection(
        z=found,
        recipe=recipes_of(checkpoint, found[None])[0],
        face=face[0],
        target=picture,
        distance=distance,
        typical=typical,
        percentile=100 * float((strangers < distance).mean()),
        seconds=time.monotonic() - began,
    )


def descent(
    checkpoint: Checkpoint,
    net: FeatureNet,
    picture: UInt8[np.ndarray, "size size 3"],
    start: Float[np.ndarray, "n latent"],
    steps: int,
) -> Iterator[tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, " n"]]]:
    """Latents and their losses step by step on the way down, each for itself; Adam with a falling rate."""
    generator = checkpoint.generator
    device = next(generator.parameters()).device
    goal = to_tensor(picture[None]).to(device)  # (1, 3, S, S)
    seen = unit_activations(net, goal)
    z = torch.from_numpy(start).to(device, copy=True).requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LAST_RATE + (RATE - LAST_RATE) * (1 + math.cos(math.pi * step / steps)) / 2
        faces = generator(z)  # (N, 3, S, S)
        perceived = [
            (mine - theirs).square().sum(1).mean((1, 2))  # (N, C, H, W) -> (N,)
            for mine, theirs in zip(unit_activations(net, faces), seen, strict=True)
        ]
        pixels = (faces - goal).square().mean((1, 2, 3))  # (N,)
        prior = (z.square().mean(1) - 1).square()  # (N,)
        losses = torch.stack(perceived).mean(0) + PIXELS * pixels + PRIOR * prior
        optimizer.zero_grad()
        losses.sum().backward()
        before = z.detach().cpu().numpy().copy()
        optimizer.step()
        yield before, losses.detach().cpu().numpy()


def unit_activations(net: FeatureNet, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n c side side"]]:
    """What the stages of the feature network see, its channels at each point brought to unit length."""
    return [F.normalize(level, dim=1, eps=1e-3) for level in net.activations(images)]


def pair_distances(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " pairs"]:
    """Distances of all pairs of different rows."""
    table = torch.pdist(torch.from_numpy(features.astype(np.float64)))
    return table.numpy()
