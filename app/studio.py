"""Studio: the single door from the page to the engine. It holds the models and hands out pictures by recipe."""

from __future__ import annotations

import io
import tempfile
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.settings import Settings
from ganime.checkpoint import EMBEDDED, Checkpoint, load_checkpoint
from ganime.errors import GanimeError, RecipeError
from ganime.hub import PulledModel, pull
from ganime.images import png_bytes, save_animation
from ganime.latents import MAX_SEED, Recipe, check_seed
from ganime.models import open_model
from ganime.sampling import generate_recipes, interpolate, recipes_for

MAX_FACES = 64
MAX_WALK_FRAMES = 120
EMBEDDED_KEY, START_KEY = "embedded", "start"


@dataclass(frozen=True)
class ModelInfo:
    """What the page tells about a model. key: how the page names it to the studio."""

    key: str
    name: str
    origin: str
    revision: str
    image_size: int
    parameters: int
    note: str = ""


class Studio:
    """Models and sampling for all visitors.

    Every method may be called from any thread; one picture is drawn at a time, so that the cores are not fought over.
    Each raises GanimeError with a text for the visitor when what was asked for cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = threading.Lock()
        self.registry = threading.Lock()
        self.pulled: OrderedDict[str, Checkpoint] = OrderedDict()  # least recently used first
        self.kept = {EMBEDDED_KEY: load_checkpoint(EMBEDDED)}
        self.start = describe(EMBEDDED_KEY, self.kept[EMBEDDED_KEY], "embedded")
        if settings.model:
            try:
                self.kept[START_KEY] = open_model(settings.model, self.hub_cache, timeout=settings.hub_timeout)
                self.start = describe(START_KEY, self.kept[START_KEY], f"from {settings.model}")
            except GanimeError as error:
                note = f"{settings.model} could not be loaded, so the embedded model is in place. {error}"
                self.start = replace(self.start, note=note)

    @property
    def hub_cache(self) -> Path:
        return self.settings.home / "hub"

    def embedded(self) -> ModelInfo:
        """The model that is always there."""
        return describe(EMBEDDED_KEY, self.kept[EMBEDDED_KEY], "embedded")

    def load(self, reference: str) -> ModelInfo:
        """Fetch a model from the hub by `repo_id` or `repo_id@revision` and make it available under its key."""
        found = self.pull(reference)
        key = f"{found.repo_id}@{found.revision}"
        checkpoint = self.checkpoint(key, found.folder)
        return replace(describe(key, checkpoint, f"hub, revision {found.revision[:12]}"), note=found.note)

    def pull(self, reference: str) -> PulledModel:
        """Fetch what a visitor asks for: never with the owner's token, which may open private models."""
        return pull(reference, self.hub_cache, self.settings.hub_timeout, token=False)

    def checkpoint(self, key: str, folder: Path | None = None) -> Checkpoint:
        """The model of a key, from memory or else from the hub's cache (or `folder`, where it has just been put)."""
        if key in self.kept:
            return self.kept[key]
        with self.registry:
            if key in self.pulled:
                self.pulled.move_to_end(key)
                return self.pulled[key]
        folder = folder or self.pull(key).folder
        checkpoint = replace(load_checkpoint(folder), name=key.partition("@")[0])
        with self.registry:
            self.pulled[key] = checkpoint
            while len(self.pulled) > self.settings.models_in_memory:
                self.pulled.popitem(last=False)
        return checkpoint

    def recipes(self, key: str, count: int, seed: int, truncation: float) -> list[Recipe]:
        """Recipes of `count` faces with the seeds from `seed` on; the seed after the last one is 0 again."""
        first = check_seed(seed)
        if not isinstance(count, int | float) or not 1 <= count <= MAX_FACES:
            raise RecipeError(f"The number of faces must lie in 1 to {MAX_FACES}; got {count}.")
        seeds = [(first + number) % (MAX_SEED + 1) for number in range(int(count))]
        return recipes_for(self.checkpoint(key), seeds, truncation)

    def faces(self, key: str, recipes: list[Recipe]) -> np.ndarray:
        """The faces of recipes, uint8 (N, H, W, 3)."""
        checkpoint = self.checkpoint(key)
        with self.device:
            return generate_recipes(checkpoint, recipes)

    def walk(self, key: str, start: int, end: int, frames: int, truncation: float) -> np.ndarray:
        """Frames from the face of `start` to that of `end` by slerp, uint8 (frames, H, W, 3)."""
        if not isinstance(frames, int | float) or not 2 <= frames <= MAX_WALK_FRAMES:
            raise RecipeError(f"The number of frames must lie in 2 to {MAX_WALK_FRAMES}; got {frames}.")
        checkpoint = self.checkpoint(key)
        with self.device:
            return interpolate(checkpoint, [check_seed(start), check_seed(end)], int(frames), truncation)

    def face_pngs(self, key: str, recipes: list[Recipe], size: int | None = None) -> list[bytes]:
        """Faces as PNGs with their recipes inside; the recipes are made to name the model that drew them."""
        checkpoint = self.checkpoint(key)
        signed = [replace(recipe, model=checkpoint.name, revision=checkpoint.revision) for recipe in recipes]
        faces = self.faces(key, signed)
        return [png_bytes(face, recipe.to_json(), size) for face, recipe in zip(faces, signed, strict=True)]

    def faces_zip(self, key: str, recipes: list[Recipe], size: int | None) -> bytes:
        """Faces as a ZIP of face-SEED.png files."""
        if not 1 <= len(recipes) <= MAX_FACES:
            raise RecipeError(f"A ZIP holds 1 to {MAX_FACES} faces; got {len(recipes)}.")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for recipe, data in zip(recipes, self.face_pngs(key, recipes, size), strict=True):
                archive.writestr(f"face-{recipe.seed}.png", data)
        return buffer.getvalue()

    def walk_animation(
        self, key: str, start: int, end: int, frames: int, truncation: float, suffix: str, size: int | None = None
    ) -> bytes:
        """The walk there and back as an endless animation; suffix: .webp, .gif or .png."""
        pictures = self.walk(key, start, end, frames, truncation)
        there_and_back = np.concatenate([pictures, pictures[-2:0:-1]])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"walk{suffix}"
            save_animation(there_and_back, path, size=size)
            return path.read_bytes()


def describe(key: str, checkpoint: Checkpoint, origin: str) -> ModelInfo:
    parameters = sum(parameter.numel() for parameter in checkpoint.generator.parameters())
    size = checkpoint.generator.config.image_size
    return ModelInfo(key, checkpoint.name, origin, checkpoint.revision, size, parameters)
