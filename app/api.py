"""The public endpoints, for gradio_client and plain HTTP; everything else on the page is private."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache

from app.studio import Studio
from app.theme import raised


def publish(studio: Studio, cache: str) -> None:
    """Add the endpoints to the page under construction; their files go to Gradio's cache, which sweeps itself."""

    def served(name: str, data: bytes) -> dict[str, Any]:
        path = save_bytes_to_cache(data, name, cache)
        return FileData(path=path, orig_name=name, size=len(data)).model_dump()

    @raised
    def generate(count: int = 16, seed: int = 0, truncation: float = 1.0) -> list[dict]:
        """Draw faces: a list of PNG files, one for each of the seeds `seed`, `seed` + 1, ...

        Each file holds its recipe (model, revision, seed, truncation) as PNG text under the key `ganime`.
        count: 1 to 64. seed: 0 to 4294967295. truncation: 0 (the average face) to 1.5; 1 is as trained.
        """
        recipes = studio.recipes(studio.library.start.key, count, seed, truncation)
        pngs = studio.face_pngs(studio.library.start.key, recipes)
        return [served(f"face-{recipe.seed}.png", png) for recipe, png in zip(recipes, pngs, strict=True)]

    @raised
    def interpolate(start: int, end: int, frames: int = 48) -> dict:
        """Walk from the face of seed `start` to that of seed `end` and back: one endless, lossless WebP animation.

        start, end: 0 to 4294967295. frames: one way, 2 to 120; the animation has 2 * frames - 2.
        """
        data = studio.walk_animation(studio.library.start.key, start, end, frames, 1.0, ".webp")
        return served(f"walk-{start}-{end}.webp", data)

    gr.api(generate, api_name="generate", concurrency_id="device", concurrency_limit=2)
    gr.api(interpolate, api_name="interpolate", concurrency_id="device", concurrency_limit=2)
