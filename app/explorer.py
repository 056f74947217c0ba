"""Explorer: what the Explore tab and its endpoints do with faces, all of it by recipe; nothing of a visitor is kept."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from app.searches import Searches
from app.studio import BATCH, MAX_FACES, Studio, animated
from ganime.checkpoint import Checkpoint
from ganime.choosing import Choice, Looking, choose
from ganime.direction_fit import factorised, group, unit
from ganime.directions import Direction, Directions, load_directions, steer
from ganime.errors import DataError, RecipeError
from ganime.explore import arithmetic, breed, recipes_of, vary
from ganime.features import FeatureNet, load_features
from ganime.latents import MAX_VECTOR, Recipe, check_number, rounded, walk
from ganime.layers import LayerMaps, generator_maps
from ganime.pictures import decode, printable
from ganime.projection import Nearing, Projection, project
from ganime.sampling import render

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

CHILDREN = 8  # tiles that a tool shows
MAX_FRAMES = 240
MAX_PIXELS = 240 * 256 * 256  # of all frames of a file, so that nobody waits for long behind another's
MAX_PICTURE_BYTES = 4 * 2**20
MAX_PICTURE_TEXT = MAX_PICTURE_BYTES * 4 // 3 + 4  # characters of it in base64
MAX_RECIPE_TEXT = MAX_VECTOR + 1000  # characters of a recipe in JSON
EXPRESSIONS = ("smile", "open_mouth", "blush")
UNNAMED = ("sefa", "pca")
HEADINGS = ("Hair colour", "Eyes", "Expression", "Other", "Your own", "Without a name")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Recipes and their faces, uint8 (N, H, W, 3), in the same order."""

    recipes: list[Recipe]
    faces: UInt8[np.ndarray, "n h w 3"]


class Explorer:
    """Every method may be called from any thread, and raises GanimeError with a text for the visitor.

    key: the model, as the library gave it out. A recipe of another model is refused by name, never drawn wrongly.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.searches = Searches(studio.device)

    @cached_property
    def net(self) -> FeatureNet:
        """The network that knows attributes; read once it is needed."""
        return load_features()

    def checkpoint(self, key: str, recipes: Sequence[Recipe] = (), most: int = MAX_FACES) -> Checkpoint:
        """The model of a key. Raises RecipeError for too many recipes, or one that another model draws."""
        if len(recipes) > most:
            raise RecipeError(f"At most {most} faces at a time; got {len(recipes)}.")
        checkpoint = self.studio.library.checkpoint(key)
        for recipe in recipes:
            if recipe.revision != checkpoint.revision:
                raise RecipeError(
                    f"This face was drawn by {printable(recipe.model, 80)}, weights {printable(recipe.revision, 20)}; "
                    f"loaded is {printable(checkpoint.name, 80)}, weights {checkpoint.revision}. Load its model first."
                )
        return checkpoint

    def draw(self, key: str, recipes: list[Recipe]) -> Drawn:
        """The faces of recipes."""
        checkpoint = self.checkpoint(key, recipes)
        if not recipes:
            raise RecipeError("There is no face to draw.")
        dim = checkpoint.generator.config.latent_dim
        return Drawn(recipes, self.render(checkpoint, np.stack([recipe.latent(dim) for recipe in recipes])))

    def vary(self, key: str, recipe: Recipe, strength: float, seed: int, count: int = CHILDREN) -> Drawn:
        """Neighbours of a face; strength: 0 the face itself, 1 nothing in common with it."""
        checkpoint, [z] = self.starts(key, [recipe])
        return self.draw_latents(key, checkpoint, vary(z, strength, bounded(count), seed), recipe)

    def steer(self, key: str, recipe: Recipe, amounts: Mapping[str, float]) -> Drawn:
        """A face moved along directions, each by its amount, -3 to 3."""
        checkpoint, [z] = self.starts(key, [recipe])
        moved = rounded(steer(z, self.directions(key), amounts))
        return self.draw_latents(key, checkpoint, moved[None], recipe)

    def breed(self, key: str, recipes: list[Recipe], mutation: float, seed: int) -> Drawn:
        """Children of two or more faces; mutation: the share of a latent's numbers that are drawn anew."""
        checkpoint, parents = self.starts(key, recipes)
        truncation = sum(recipe.truncation for recipe in recipes) / max(1, len(recipes))
        children = breed(parents, CHILDREN, mutation, seed)
        return self.draw_latents(key, checkpoint, children, Recipe("", "", recipes[0].seed, truncation))

    def arithmetic(self, key: str, a: Recipe, b: Recipe, c: Recipe) -> Drawn:
        """A - B + C."""
        checkpoint, (one, two, three) = self.starts(key, [a, b, c])
        return self.draw_latents(key, checkpoint, arithmetic(one, two, three)[None], c)

    def choose(self, key: str, wanted: list[str], seed: int) -> Iterator[Looking | Choice]:
        """Faces with attributes, for `searches`."""
        return choose(self.checkpoint(key), self.net, wanted, CHILDREN, seed)

    def project(self, key: str, picture: bytes) -> Iterator[Nearing | Projection]:
        """The face nearest to a picture file, for `searches`."""
        checkpoint = self.checkpoint(key)
        if len(picture) > MAX_PICTURE_BYTES:
            raise DataError(f"A picture has at most {MAX_PICTURE_BYTES:,} bytes here; got {len(picture):,}.")
        return self.nearing(checkpoint, picture)

    def nearing(self, checkpoint: Checkpoint, picture: bytes) -> Iterator[Nearing | Projection]:
        """The search itself; it decodes the picture when it has its place, not before."""
        try:
            target = decode(picture, checkpoint.generator.config.image_size).pixels
        except DataError as error:
            raise DataError(f"This picture cannot be used: {error}.") from error
        yield from project(checkpoint, self.net, target)

    def walk(self, key: str, recipes: list[Recipe], frames: int, loop: bool) -> UInt8[np.ndarray, "frames h w 3"]:
        """Frames of a walk through faces in their order; a loop goes back to the first."""
        if not isinstance(frames, int) or not 2 <= frames <= MAX_FRAMES:
            raise RecipeError(f"A walk has 2 to {MAX_FRAMES} frames here; got {frames}.")
        checkpoint = self.checkpoint(key, recipes)
        dim = checkpoint.generator.config.latent_dim
        path = walk(np.array([recipe.latent(dim) for recipe in recipes], np.float32), frames, loop)
        return self.render(checkpoint, path)

    def animation(
        self, key: str, recipes: list[Recipe], frames: int, loop: bool, fps: float, suffix: str, size: int | None
    ) -> bytes:
        """The walk as an endless animation file; suffix: .gif, .webp or .png (APNG)."""
        fps = check_number("The speed", fps, 1, 60)
        if frames * (size or 0) ** 2 > MAX_PIXELS:
            most = MAX_PIXELS // (size or 1) ** 2
            raise RecipeError(f"At {size} px a file has at most {most} frames; got {frames}. Choose a smaller size.")
        return animated(self.walk(key, recipes, frames, loop), suffix, fps, size)

    def inside(self, key: str, recipe: Recipe) -> list[LayerMaps]:
        """What each layer of the generator makes of a face."""
        checkpoint = self.checkpoint(key, [recipe])
        with self.studio.device:
            return generator_maps(checkpoint.generator, recipe.latent(checkpoint.generator.config.latent_dim))

    def directions(self, key: str) -> Directions:
        """The directions beside a model, or else the unnamed ones that its first layer holds, found in an instant."""
        checkpoint = self.checkpoint(key)
        dim = checkpoint.generator.config.latent_dim
        if found := load_directions(checkpoint.folder, checkpoint.revision, dim):
            return found
        ways = factorised(checkpoint.generator)
        items = [Direction(f"sefa-{number}", "sefa", unit(way)) for number, way in enumerate(ways, start=1)]
        return Directions(checkpoint.name, checkpoint.revision, tuple(items))

    def starts(self, key: str, recipes: list[Recipe]) -> tuple[Checkpoint, Float[np.ndarray, "n latent"]]:
        """The model of faces and their latents before truncation."""
        checkpoint = self.checkpoint(key, recipes)
        dim = checkpoint.generator.config.latent_dim
        z = [recipe.untruncated(dim) for recipe in recipes]
        return checkpoint, np.array(z, np.float32).reshape(-1, dim)  # (N, latent)

    def draw_latents(self, key: str, checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"], origin: Recipe) -> Drawn:
        """Faces that no seed draws; origin: the face they came from."""
        return self.draw(key, recipes_of(checkpoint, z, origin.seed, origin.truncation))

    def render(self, checkpoint: Checkpoint, z: Float[np.ndarray, "n latent"]) -> UInt8[np.ndarray, "n h w 3"]:
        """The faces of latents; others have a turn after every batch."""
        drawn = []
        for start in range(0, len(z), BATCH):
            with self.studio.device:
                drawn.append(render(checkpoint.generator, z[start : start + BATCH]))
        return np.concatenate(drawn)


def unpacked(picture: str) -> bytes:
    """The bytes of a picture that came as base64 text. Raises DataError for any other text."""
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"A picture comes as base64 text; this is none ({error}).") from error


def bounded(count: int) -> int:
    """A number of faces that are drawn at once."""
    if not isinstance(count, int) or not 1 <= count <= MAX_FACES:
        raise RecipeError(f"The number of faces must lie in 1 to {MAX_FACES}; got {count}.")
    return count


def heading(name: str, kind: str = "attribute") -> str:
    """What a slider or an attribute is listed under."""
    if kind in UNNAMED:
        return "Without a name"
    if kind == "own":
        return "Your own"
    if name in EXPRESSIONS:
        return "Expression"
    return {"hair colour": "Hair colour", "eye colour": "Eyes"}.get(group(name), "Other")
