"""Projection: the latent whose face is most similar to a given image, and how similar it is."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganime.drawing.mixing import recipes_of
from ganime.drawing.recipe import Recipe, check_seed, rounded
from ganime.drawing.sampling import render
from ganime.errors import DataError, GanimeError
from ganime.models.checkpoint import Checkpoint
from ganime.nets.anime_features import FeatureNet, extract, to_tensor
from ganime.shapes import Float, UInt8

CANDIDATES = 192  # random faces; the nearest ones are the starting points, and their distances set the scale
CANDIDATES_PER_REPORT = 16  # candidates drawn between two reports
CANDIDATES_SHARE = 0.1  # of the progress, for drawing the candidates
FIRST_LATENTS, FIRST_STEPS = 6, 40
LAST_LATENTS, LAST_STEPS = 2, 110
FIRST_RATE, LAST_RATE = 0.12, 0.01  # of Adam, falling on a cosine within each round
PIXEL_WEIGHT, PRIOR_WEIGHT = 4.0, 0.3  # weights; the perceptual loss is about 1 for two unrelated faces
STEPS_PER_IMAGE = 5  # between two reported faces


@dataclass(frozen=True, eq=False)
class ProjectionProgress:
    """Progress of `project`.

    progress: 0 to 1.
    loss: the smallest so far; infinite before the descent.
    recipe, face: the best so far, (S, S, 3).
    """

    progress: float
    loss: float
    recipe: Recipe
    face: UInt8[np.ndarray, "size size 3"]


@dataclass(frozen=True, eq=False)
class Projection:
    """The most similar face that was found.

    z, recipe: its latent, rounded as in the recipe, and its recipe.
    face: (S, S, 3).
    distance: between the features of the two.
    typical: the median distance between two random faces of the model.
    percentile: percentage of pairs of random faces that are nearer to each other; 0 is a match, 50 a random face.
    clearer: than this share of the model's faces, 0 to 1; None where no clarity was fitted to the model.
    seconds: duration.
    """

    z: Float[np.ndarray, " latent"]
    recipe: Recipe
    face: UInt8[np.ndarray, "size size 3"]
    distance: float
    typical: float
    percentile: float
    clearer: float | None
    seconds: float


def project(
    checkpoint: Checkpoint, net: FeatureNet, picture: UInt8[np.ndarray, "size size 3"], seed: int = 0
) -> Iterator[ProjectionProgress | Projection]:
    """Search for the latent of a picture; yields ProjectionProgress, and the Projection last.

    The most similar of 192 random faces are the starting points. Each is optimised for a perceptual loss (normalised
    activations of the feature network, as in LPIPS, Zhang et al. 2018, arXiv:1801.03924), the squared difference of
    pixels, and a prior on the length of z; the best two are optimised further. There is little work between two items,
    so that others can use the device in the meantime. The same image and seed give the same latent.

    picture: RGB of the model's image size.

    Raises DataError for an image of another shape, RecipeError for a seed out of range.
    """
    began, generator = time.monotonic(), checkpoint.generator
    size, dim = generator.config.image_size, generator.config.latent_dim
    if picture.shape != (size, size, 3) or picture.dtype != np.uint8:
        raise DataError(f"The picture must be uint8 ({size}, {size}, 3); got {picture.dtype} {picture.shape}.")
    target = extract(net, picture[None])[0]  # (1, D)
    drawn = np.random.RandomState(check_seed(seed)).standard_normal((CANDIDATES, dim)).astype(np.float32)
    faces, features = np.empty((0, size, size, 3), np.uint8), np.empty((0, target.shape[1]), np.float32)
    while len(faces) < CANDIDATES:
        more = render(checkpoint.prepared, drawn[len(faces) : len(faces) + CANDIDATES_PER_REPORT])  # (N, S, S, 3)
        done = CANDIDATES_SHARE * len(faces) / CANDIDATES
        faces, features = np.concatenate([faces, more]), np.concatenate([features, extract(net, more)[0]])
        nearest = int(np.linalg.norm(features - target, axis=1).argmin())
        yield ProjectionProgress(done, math.inf, recipes_of(checkpoint, drawn[[nearest]])[0], faces[nearest])
    strangers = torch.pdist(torch.from_numpy(features.astype(np.float64))).numpy()  # (pairs,)
    typical = float(np.median(strangers))
    apart = (faces.astype(np.float32) - picture).reshape(CANDIDATES, -1)
    unlike = np.linalg.norm(features - target, axis=1) / max(typical, 1e-9) + np.abs(apart).mean(1) / 64  # (N,)
    z = drawn[np.argsort(unlike, kind="stable")[:FIRST_LATENTS]]  # (FIRST_LATENTS, latent)
    shown_z, shown = z[0], faces[unlike.argmin()]

    whole, done = FIRST_LATENTS * FIRST_STEPS + LAST_LATENTS * LAST_STEPS, 0
    for steps, kept in ((FIRST_STEPS, LAST_LATENTS), (LAST_STEPS, 1)):
        losses = np.zeros(len(z))
        for step, (latest, losses) in enumerate(descent(checkpoint, net, picture, z, steps), start=1):
            z, done = latest, done + len(latest)
            best = int(losses.argmin())
            if step % STEPS_PER_IMAGE == 0:
                shown_z, shown = z[best], render(checkpoint.prepared, z[best : best + 1])[0]
            progress = CANDIDATES_SHARE + (1 - CANDIDATES_SHARE) * done / whole
            yield ProjectionProgress(progress, float(losses[best]), recipes_of(checkpoint, shown_z[None])[0], shown)
        z = z[np.argsort(losses, kind="stable")[:kept]]
    [found] = rounded(z)
    face = render(checkpoint.prepared, found[None])
    distance = float(np.linalg.norm(extract(net, face)[0] - target))
    yield Projection(
        z=found,
        recipe=recipes_of(checkpoint, found[None])[0],
        face=face[0],
        distance=distance,
        typical=typical,
        percentile=100 * float((strangers < distance).mean()),
        clearer=clearer_than(checkpoint, found),
        seconds=time.monotonic() - began,
    )


def clearer_than(checkpoint: Checkpoint, z: Float[np.ndarray, " latent"]) -> float | None:
    """The share of the model's faces that are less clear than a latent's; None where its clarity cannot tell."""
    with suppress(GanimeError):  # a damaged file is reported where the clarity is used
        if checkpoint.clarity and z.any():
            return checkpoint.clarity.share_below(z)
    return None


def descent(
    checkpoint: Checkpoint,
    net: FeatureNet,
    picture: UInt8[np.ndarray, "size size 3"],
    start: Float[np.ndarray, "n latent"],
    steps: int,
) -> Iterator[tuple[Float[np.ndarray, "n latent"], Float[np.ndarray, " n"]]]:
    """Yield latents and their losses at each step of Adam; each latent is optimised by itself, at a falling rate."""
    generator, device = checkpoint.generator, checkpoint.generator.device
    goal = to_tensor(picture[None]).to(device)  # (1, 3, S, S)
    seen = normalised_activations(net, goal)
    z = torch.from_numpy(start).to(device, copy=True).requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=FIRST_RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LAST_RATE + (FIRST_RATE - LAST_RATE) * (1 + math.cos(math.pi * step / steps)) / 2
        faces = generator(z)  # (N, 3, S, S)
        perceived = [
            (mine - theirs).square().sum(1).mean((1, 2))  # (N, C, H, W) -> (N,)
            for mine, theirs in zip(normalised_activations(net, faces), seen, strict=True)
        ]
        pixels = (faces - goal).square().mean((1, 2, 3))  # (N,)
        prior = (z.square().mean(1) - 1).square()  # (N,)
        losses = torch.stack(perceived).mean(0) + PIXEL_WEIGHT * pixels + PRIOR_WEIGHT * prior
        optimizer.zero_grad()
        losses.sum().backward()
        before = z.detach().cpu().numpy().copy()
        optimizer.step()
        yield before, losses.detach().cpu().numpy()


def normalised_activations(net: FeatureNet, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n c side side"]]:
    """Activations of each stage of the feature network, normalised over the channels at each point."""
    return [F.normalize(level, dim=1, eps=1e-3) for level in net.activations(images)]
