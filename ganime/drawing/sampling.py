"""From recipes to pixels: batches of latents through the generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ganime.drawing.clarity import clear
from ganime.drawing.recipe import Recipe, check_truncation, latents, walk
from ganime.models.checkpoint import Checkpoint
from ganime.nets.dcgan import Generator
from ganime.nets.prepared import PreparedGenerator
from ganime.shapes import Float, UInt8

RENDER_BATCH = 16  # the maps of more faces exceed a processor's caches


def generate(
    checkpoint: Checkpoint,
    seeds: Sequence[int],
    truncation: float = 1.0,
    clarity: float = 0.0,
    batch_size: int = RENDER_BATCH,
) -> UInt8[np.ndarray, "n size size 3"]:
    """The faces of `seeds`, RGB 0 to 255; a seed gives the same face beside any others and in any batch size.

    Raises RecipeError for a value out of range and for a clarity of a model without one.
    """
    z = latents(seeds, checkpoint.generator.config.latent_dim, truncation)
    return render(checkpoint.prepared, clear(checkpoint, z, clarity), batch_size)


def generate_recipes(checkpoint: Checkpoint, recipes: Sequence[Recipe]) -> UInt8[np.ndarray, "n size size 3"]:
    """The faces of `recipes`. The caller must check that they are recipes for this model."""
    return render(checkpoint.prepared, latents_of(checkpoint, recipes))


def latents_of(checkpoint: Checkpoint, recipes: Sequence[Recipe]) -> Float[np.ndarray, "n latent"]:
    """The latents that draw `recipes`, truncation and clarity applied.

    Raises RecipeError for a vector of another length and for a clarity of a model without one.
    """
    dim = checkpoint.generator.config.latent_dim
    z = np.array([recipe.latent(dim) for recipe in recipes], np.float32).reshape(-1, dim)  # (N, latent)
    return clear(checkpoint, z, [recipe.clarity for recipe in recipes])


def untruncated(checkpoint: Checkpoint, recipes: Sequence[Recipe]) -> Float[np.ndarray, "n latent"]:
    """The latents of `recipes` before truncation and clarity, which are what the tools change.

    Raises RecipeError for a vector of another length.
    """
    dim = checkpoint.generator.config.latent_dim
    return np.array([recipe.untruncated(dim) for recipe in recipes], np.float32).reshape(-1, dim)


def interpolate(
    checkpoint: Checkpoint,
    seeds: Sequence[int],
    frames: int,
    truncation: float = 1.0,
    loop: bool = False,
    easing: str = "linear",
    clarity: float = 0.0,
) -> UInt8[np.ndarray, "frames size size 3"]:
    """Frames of a walk by slerp through the faces of `seeds`, the first and last included unless it loops.

    easing: "linear", or "smooth" to slow down at every face.
    clarity: of every frame, not of the ends alone.

    Raises RecipeError as `generate`.
    """
    path = walk(latents(seeds, checkpoint.generator.config.latent_dim), frames, loop, easing)
    path *= np.float32(check_truncation(truncation))
    return render(checkpoint.prepared, clear(checkpoint, path, clarity))


@torch.inference_mode()
def render(
    generator: Generator | PreparedGenerator, z: Float[np.ndarray, "n latent"], batch_size: int = RENDER_BATCH
) -> UInt8[np.ndarray, "n size size 3"]:
    """Draw latents in fp32, `batch_size` at a time, on the device of the generator.

    A prepared generator (`Checkpoint.prepared`) is faster; a generator whose weights change must not be prepared.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")
    size, device = generator.config.image_size, generator.device
    faces = np.empty((len(z), size, size, 3), np.uint8)
    for start in range(0, len(z), batch_size):
        images = generator(torch.from_numpy(z[start : start + batch_size]).to(device))  # (B, 3, S, S) in [-1, 1]
        pixels = ((images + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        faces[start : start + batch_size] = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return faces


def recipes_for(
    checkpoint: Checkpoint, seeds: Sequence[int], truncation: float = 1.0, clarity: float = 0.0
) -> list[Recipe]:
    """The recipes of the faces of `seeds` for this model."""
    name, revision = checkpoint.name, checkpoint.revision
    return [Recipe(name, revision, seed, truncation, clarity=clarity) for seed in seeds]
