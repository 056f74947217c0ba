"""Studio: the single door from the page to the engine. It hands out pictures by recipe."""

from __future__ import annotations

import io
import threading
import zipfile
from collections import Counter
from dataclasses import replace
from typing import Literal

import numpy as np

from app.faces.library import Library
from app.jobs.service import Jobs
from app.settings import Settings
from ganime.drawing.recipe import MAX_SEED, Recipe, check_seed
from ganime.drawing.sampling import generate_recipes, recipes_for
from ganime.errors import GanimeError, RecipeError
from ganime.images import png_bytes

MAX_FACES = 64
Size = Literal[0, 256, 512]  # of downloads, in px; 0 for as drawn
MAX_WALK_FRAMES = 120
BATCH = 16  # faces drawn before another visitor has a turn


class Studio:
    """Pictures for all visitors, from the models of its library.

    Every method may be called from any thread; one batch is drawn at a time, so that the cores are not fought over.
    Each raises GanimeError with a text for the visitor when what was asked for cannot be had.
    jobs: the training jobs, None when nobody can train here; `no_jobs` then says why.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.jobs: Jobs | None = None
        self.no_jobs = "The owner of this page has switched training off (GANIME_TRAINING=off)."
        if settings.training != "off":
            try:
                self.jobs = Jobs(settings)
            except GanimeError as error:  # such as a disk that cannot be written: faces are drawn nevertheless
                self.no_jobs = f"Nothing can be trained on this page just now. {error}"
        self.library = Library(settings, self.jobs)
        self.device = threading.Lock()

    def recipes(self, key: str, count: int, seed: int, truncation: float) -> list[Recipe]:
        """Recipes of `count` faces with the seeds from `seed` on; the seed after the last one is 0 again."""
        first = check_seed(seed)
        if not isinstance(count, int | float) or not 1 <= count <= MAX_FACES:
            raise RecipeError(f"The number of faces must lie in 1 to {MAX_FACES}; got {count}.")
        seeds = [(first + number) % (MAX_SEED + 1) for number in range(int(count))]
        return recipes_for(self.library.checkpoint(key), seeds, truncation)

    def walk_recipes(self, key: str, start: int, end: int, frames: int, truncation: float) -> list[Recipe]:
        """Recipes of the frames on the way from the face of `start` to that of `end`."""
        if not isinstance(frames, int | float) or not 2 <= frames <= MAX_WALK_FRAMES:
            raise RecipeError(f"The number of frames must lie in 2 to {MAX_WALK_FRAMES}; got {frames}.")
        [first] = recipes_for(self.library.checkpoint(key), [check_seed(start)], truncation)
        positions = [place / (int(frames) - 1) for place in range(int(frames))]
        return [replace(first, toward=check_seed(end), position=position) for position in positions]

    def faces(self, key: str, recipes: list[Recipe]) -> np.ndarray:
        """The faces of recipes, uint8 (N, H, W, 3)."""
        checkpoint = self.library.checkpoint(key)
        drawn = []
        for start in range(0, len(recipes), BATCH):
            with self.device:
                drawn.append(generate_recipes(checkpoint, recipes[start : start + BATCH]))
        return np.concatenate(drawn)

    def face_pngs(self, key: str, recipes: list[Recipe], size: int | None = None) -> list[bytes]:
        """Faces as PNGs with their recipes inside; the recipes are made to name the model that drew them."""
        checkpoint = self.library.checkpoint(key)
        signed = [replace(recipe, model=checkpoint.name, revision=checkpoint.revision) for recipe in recipes]
        faces = self.faces(key, signed)
        return [png_bytes(face, recipe.to_json(), size) for face, recipe in zip(faces, signed, strict=True)]

    def faces_zip(self, key: str, recipes: list[Recipe]) -> bytes:
        """Faces as a ZIP of PNG files, see `file_names`."""
        if not 1 <= len(recipes) <= MAX_FACES:
            raise RecipeError(f"A ZIP holds 1 to {MAX_FACES} faces; got {len(recipes)}.")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in zip(file_names(recipes), self.face_pngs(key, recipes), strict=True):
                archive.writestr(name, data)
        return buffer.getvalue()


def file_names(recipes: list[Recipe]) -> list[str]:
    """face-SEED.png for each recipe; where several came from one seed, all but the first have a number behind it."""
    names, seen = [], Counter[int]()
    for recipe in recipes:
        seen[recipe.seed] += 1
        again = f"-{seen[recipe.seed]}" if seen[recipe.seed] > 1 else ""
        names.append(f"face-{recipe.seed}{again}.png")
    return names
